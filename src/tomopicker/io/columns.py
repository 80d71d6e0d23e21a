"""Columns of text as numbers, strings and a `PickTable`; shared by all formats of picks."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import PickTable, Unit
from tomopicker.io.text import read_text
from tomopicker.picks import Picks
from tomopicker.types import Positions, Scores

TOMOGRAM_COLUMNS = (
    "tomogram", "tomo", "tomogram_name", "tomo_name", "tomoname", "rlntomoname", "rlnmicrographname", "micrograph",
    "micrograph_name", "micrographname", "image_name", "filename", "tilt_series", "tiltseries", "series", "run",
    "run_name", "experiment", "ts",
)  # fmt: skip
SCORE_COLUMNS = (
    "score", "scores", "rlnautopickfigureofmerit", "confidence", "probability", "prob", "rlnlccmax", "lccmax",
    "figure_of_merit", "fom", "ccc", "cc",
)  # fmt: skip
IMAGES = {"rlnImageName", "rlnReconstructImageName", "rlnImageOriginalName", "rlnCtfImage", "rlnCtfMaxResolution"}
"""Columns of subtomograms extracted at the old positions, and of their CTF; they are dropped."""


class Rows:
    """The rows of a file of picks: parses their fields; errors name the file and the row.

    Parameters
    ----------
    labels : sequence of str
        The name of each row in messages (``line 7``).
    """

    def __init__(self, source: Path | str, labels: Sequence[str]) -> None:
        self.source, self.labels = str(source), labels

    @classmethod
    def counted(cls, source: Path | str, noun: str, n: int) -> "Rows":
        """Label rows by a noun and their number, from 1."""
        return cls(source, [f"{noun} {i + 1}" for i in range(n)])

    @classmethod
    def of_lines(cls, path: Path) -> tuple["Rows", list[str]]:
        """Read a text file: its rows, labelled by line number, and its lines; blank lines are skipped."""
        lines = [(f"line {i}", line) for i, line in enumerate(read_text(path).splitlines(), start=1) if line.strip()]
        return cls(path, [label for label, _ in lines]), [line for _, line in lines]

    def __len__(self) -> int:
        return len(self.labels)

    def error(self, row: int, message: str) -> TomoPickerError:
        """Return an error that names the file and a row, by index."""
        return TomoPickerError(f"{self.source}: {self.labels[row]}{message}; correct the file")

    def numbers(self, values: Sequence[object] | pd.Series, column: str, blank: float | None = None) -> Scores:
        """Convert a column of strings or numbers to float64.

        Parameters
        ----------
        values : sequence
            One per row.
        column : str
            Its name, for the message.
        blank : float, optional
            The value of an empty field; an error if left out.

        Raises
        ------
        TomoPickerError
            Naming the first row that is not a number.
        """
        try:
            whole = np.asarray(values, dtype=np.float64)
            if whole.ndim == 1:
                return whole
        except (TypeError, ValueError, OverflowError):
            pass
        out = np.empty(len(values), dtype=np.float64)
        for i, value in enumerate(values):
            text = str(value).strip()
            try:
                out[i] = blank if blank is not None and text in {"", "<NA>", "None"} else float(text)
            except ValueError as error:
                raise self.error(i, f": {column} is {text[:40]!r}, not a number") from error
        return out

    def stack(self, columns: Mapping[str, Sequence[object]] | pd.DataFrame) -> np.ndarray:
        """Convert columns, by name, to an array of shape (n, number of columns); see `numbers`."""
        return np.stack([self.numbers(values, str(name)) for name, values in columns.items()], axis=1)

    def check_widths(self, table: Sequence[Sequence[str]], width: int) -> None:
        """Raise `TomoPickerError` if a row has more or fewer fields than `width`."""
        for i, fields in enumerate(table):
            if len(fields) != width:
                raise self.error(i, f" has {len(fields)} columns where {width} are expected")

    def check_coordinates(self, coordinates: Positions) -> None:
        """Raise `TomoPickerError` if there are no rows, or a coordinate is NaN or infinite."""
        if not len(coordinates):
            raise TomoPickerError(f"{self.source}: no picks in this file; give one with at least one position")
        bad = np.flatnonzero(~np.isfinite(coordinates).all(axis=1))
        if len(bad):
            x, y, z = coordinates[bad[0]]
            position = f"position ({x:g}, {y:g}, {z:g}) is not finite"
            raise TomoPickerError(f"{self.source}: {self.labels[bad[0]]}: {position}; remove such rows")

    def check_angles(self, angles: Positions) -> Positions:
        """Return the angles; raise `TomoPickerError` if one is NaN or infinite."""
        bad = np.flatnonzero(~np.isfinite(angles).all(axis=1))
        if len(bad):
            raise self.error(int(bad[0]), ": an angle is not finite")
        return angles

    def table(
        self,
        coordinates: Positions,
        unit: Unit,
        tomograms: Iterable[object] | None = None,
        scores: Scores | None = None,
        extra: Mapping[str, Any] | pd.DataFrame | None = None,
        **more: Any,
    ) -> PickTable:
        """Make a table of checked coordinates; no tomograms or scores if the file has none.

        Parameters
        ----------
        coordinates, unit, tomograms, scores, extra, **more
            Those of `PickTable`; `extra` may be columns by name.

        Raises
        ------
        TomoPickerError
            If there are no rows, or a coordinate is not finite.
        """
        self.check_coordinates(coordinates)
        n = len(coordinates)
        return PickTable(
            coordinates,
            unit,
            to_strings([""] * n if tomograms is None else tomograms),
            np.full(n, np.nan) if scores is None else scores,
            extra=extra if isinstance(extra, pd.DataFrame) else pd.DataFrame(dict(extra or {}), index=range(n)),
            source=self.source,
            **more,
        )


def to_strings(values: Iterable[object]) -> np.ndarray:
    """Return an array of stripped str objects; '0001' stays '0001', missing values become ''."""
    return np.array(
        [
            ""
            if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
            else str(value).strip()
            for value in values
        ],
        dtype=object,
    )


def infer_numeric(values: Iterable[str]) -> pd.Series:
    """Convert a column of text to numbers if that loses nothing ('0001' does), else leave it as text."""
    text = [value.strip() for value in values]
    try:
        if all(str(int(value)) == value for value in text):
            return pd.Series([int(value) for value in text], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    is_padded = any(len(value) > 1 and value[0] == "0" and value[1].isdigit() for value in text)
    try:
        if text and not is_padded:
            return pd.Series([float(value) if value else np.nan for value in text], dtype=np.float64)
    except ValueError:
        pass
    return pd.Series(text, dtype=object)


def column_or_default(picks: Picks, name: str, default: float = 0.0) -> Scores:
    """Return a column of numbers that picks carry; the default without the column, or where it is not a number."""
    if name not in picks.extra:
        return np.full(len(picks), default)
    values = pd.to_numeric(picks.extra[name], errors="coerce").to_numpy(np.float64)
    return np.where(np.isfinite(values), values, default)


def join_tables(tables: Sequence[PickTable], source: str) -> PickTable:
    """Concatenate tables of one unit.

    Raises `TomoPickerError` if their units differ, or there is none.
    """
    if not tables:
        raise TomoPickerError(f"{source}: it lists no file of picks; give one that does")
    units = {table.unit for table in tables}
    if len(units) > 1:
        names = " and ".join(sorted(unit.value for unit in units))
        raise TomoPickerError(f"{source}: the files it lists differ in unit ({names}); give them one by one")
    sizes = [np.full(len(table), np.nan) if table.pixel_size is None else table.pixel_size for table in tables]
    return PickTable(
        np.concatenate([table.coordinates for table in tables]),
        tables[0].unit,
        np.concatenate([table.tomograms for table in tables]),
        np.concatenate([table.scores for table in tables]),
        None if all(table.pixel_size is None for table in tables) else np.concatenate(sizes),
        pd.concat([table.extra for table in tables], ignore_index=True),
        {name: frame for table in tables for name, frame in table.frames.items()},
        source,
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
        is_unit_stated=all(table.is_unit_stated for table in tables),
        inferred=next((table.inferred for table in tables if table.inferred), None),
        ambiguity=next((table.ambiguity for table in tables if table.ambiguity), None),
    )
