"""Columns of text turned into numbers, strings and the value `PickTable`; shared by every format of picks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import PickTable, Unit
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
"""Columns of the subtomograms that were extracted at the old positions and of their CTF; they do not travel on."""


class Rows:
    """The rows of a file of picks: turn their fields into numbers, and name the file and the row that has none.

    Parameters
    ----------
    labels : sequence of str
        What to call each row in a message (``line 7``).
    """

    def __init__(self, source: Path | str, labels: Sequence[str]) -> None:
        self.source, self.labels = str(source), labels

    @classmethod
    def counted(cls, source: Path | str, noun: str, n: int) -> "Rows":
        """Call rows by a noun and their number, from 1."""
        return cls(source, [f"{noun} {i + 1}" for i in range(n)])

    def __len__(self) -> int:
        return len(self.labels)

    def numbers(self, values: Sequence[object], column: str, blank: float | None = None) -> Scores:
        """Turn a column of strings or numbers into float64.

        Parameters
        ----------
        values : sequence
            One a row.
        column : str
            Its name, for the message.
        blank : float, optional
            What an empty field means; an error if left out.

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
                message = f"{self.source}: {self.labels[i]}: {column} is {text[:40]!r}, not a number; correct the file"
                raise TomoPickerError(message) from error
        return out

    def stack(self, columns: Mapping[str, Sequence[object]] | pd.DataFrame) -> np.ndarray:
        """Turn columns, by name, into an array of shape (n, number of columns); see `numbers`."""
        return np.stack([self.numbers(list(values), str(name)) for name, values in columns.items()], axis=1)

    def check_coordinates(self, coordinates: Positions) -> None:
        """Refuse an empty table, and coordinates that are NaN or infinite, with a `TomoPickerError`."""
        if not len(coordinates):
            raise TomoPickerError(f"{self.source}: no picks in this file; give one with at least one position")
        bad = np.flatnonzero(~np.isfinite(coordinates).all(axis=1))
        if len(bad):
            x, y, z = coordinates[bad[0]]
            where = f"position ({x:g}, {y:g}, {z:g}) is not finite"
            raise TomoPickerError(f"{self.source}: {self.labels[bad[0]]}: {where}; remove such rows")

    def check_angles(self, angles: Positions) -> Positions:
        """Refuse angles that are NaN or infinite, with a `TomoPickerError`; give back the others."""
        bad = np.flatnonzero(~np.isfinite(angles).all(axis=1))
        if len(bad):
            raise TomoPickerError(f"{self.source}: {self.labels[bad[0]]}: an angle is not finite; correct the file")
        return angles

    def table(
        self,
        coordinates: Positions,
        unit: Unit,
        tomograms: Sequence[object] | np.ndarray | None = None,
        scores: Scores | None = None,
        extra: Mapping[str, Any] | pd.DataFrame | None = None,
        **more: Any,
    ) -> PickTable:
        """Make a table of checked coordinates; no tomograms or scores where the file has none.

        Parameters
        ----------
        coordinates, unit, tomograms, scores, extra, **more
            As `PickTable` has them; `extra` may be columns by name.

        Raises
        ------
        TomoPickerError
            If there are no rows, or a coordinate is not finite.
        """
        self.check_coordinates(coordinates)
        n = len(coordinates)
        if not isinstance(extra, pd.DataFrame):
            extra = pd.DataFrame(dict(extra or {}), index=range(n))
        return PickTable(
            coordinates,
            unit,
            to_strings([""] * n if tomograms is None else list(tomograms)),
            np.full(n, np.nan) if scores is None else scores,
            extra=extra,
            source=self.source,
            **more,
        )


def to_strings(values: Sequence[object]) -> np.ndarray:
    """Turn a column into an array of str objects, blanks stripped; '0001' stays '0001', missing values become ''."""
    out = np.empty(len(values), dtype=object)
    out[:] = [
        "" if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)) else str(value).strip()
        for value in values
    ]
    return out


def infer_numeric(values: Sequence[str]) -> pd.Series:
    """Turn a column of text into numbers if that loses nothing ('0001' does), else leave it text."""
    text = [value.strip() for value in values]
    try:
        if all(str(int(value)) == value for value in text):
            return pd.Series([int(value) for value in text], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    padded = any(len(value) > 1 and value[0] == "0" and value[1].isdigit() for value in text)
    try:
        if text and not padded:
            return pd.Series([float(value) if value else np.nan for value in text], dtype=np.float64)
    except ValueError:
        pass
    return pd.Series(text, dtype=object)


def column_or_default(extra: pd.DataFrame, name: str, n: int, default: float = 0.0) -> Scores:
    """Take a column of numbers that came with n picks; the default where there is none, or a value is no number."""
    if name not in extra:
        return np.full(n, default)
    values = pd.to_numeric(extra[name], errors="coerce").to_numpy(np.float64)
    return np.where(np.isfinite(values), values, default)


def join_tables(tables: Sequence[PickTable], source: str) -> PickTable:
    """Join tables of one unit, file after file.

    Raises `TomoPickerError` if their units differ, or there is none.
    """
    if not tables:
        raise TomoPickerError(f"{source}: it lists no file of picks; give one that does")
    units = {table.unit for table in tables}
    if len(units) > 1:
        words = " and ".join(sorted(unit.value for unit in units))
        raise TomoPickerError(f"{source}: the files it lists differ in unit ({words}); give them one by one")
    sizes = [np.full(len(table), np.nan) if table.pixel_size is None else table.pixel_size for table in tables]
    extras = [table.extra if table.extra.shape[1] else pd.DataFrame(index=range(len(table))) for table in tables]
    return PickTable(
        np.concatenate([table.coordinates for table in tables]),
        tables[0].unit,
        np.concatenate([table.tomograms for table in tables]),
        np.concatenate([table.scores for table in tables]),
        None if all(table.pixel_size is None for table in tables) else np.concatenate(sizes),
        pd.concat(extras, ignore_index=True),
        {name: frame for table in tables for name, frame in table.frames.items()},
        source,
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
        is_unit_stated=all(table.is_unit_stated for table in tables),
        inferred=next((table.inferred for table in tables if table.inferred), None),
        doubt=next((table.doubt for table in tables if table.doubt), None),
    )
