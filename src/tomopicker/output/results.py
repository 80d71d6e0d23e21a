"""Results read from a folder of picks: candidates and picks of each tomogram, and selecting again among candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.files import make_durable
from tomopicker.geometry import Frame
from tomopicker.io.read_options import ReadOptions
from tomopicker.output import layout
from tomopicker.output.layout import FAILED, RECORD, file_of_kind, files_of
from tomopicker.output.lock import locked
from tomopicker.output.merged import merge
from tomopicker.output.record import (
    finished,
    picked_counts,
    read_record,
    recorded_frames,
    recorded_selection,
    write_record,
)
from tomopicker.picking.calibration import Count
from tomopicker.picking.selection import Selected, Selection, best_first, join
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram

ROUNDING = 5e-8
"""Tolerance of thresholds: files round probabilities to seven digits."""


@dataclass(frozen=True)
class KindResult:
    """A kind in a tomogram: threshold, expected number of particles, and the count with its interval if calibrated."""

    threshold: float
    particles: float
    count: Count | None


@dataclass(frozen=True)
class TomogramResult:
    """One tomogram of a folder of picks.

    Parameters
    ----------
    candidates : Picks
        Best first; scores are probabilities.
    whole : KindResult
        All kinds together.
    kinds : mapping of str to KindResult
        Each kind; the only one under an empty name.
    max_particles : int or None
        Maximum number of picks of each kind.
    """

    name: str
    frame: Frame
    candidates: Picks
    whole: KindResult
    kinds: Mapping[str, KindResult]
    max_particles: int | None = None

    def candidates_of(self, kind: str) -> Picks:
        """Return the candidates of one of the kinds."""
        return self.candidates if len(self.kinds) == 1 else self.candidates.of_kind(kind)

    def at(self, threshold: float) -> Selected:
        """Select at another threshold, each kind separately; `max_particles` still applies."""
        return _join([self._select(kind, threshold) for kind in self.kinds])

    @property
    def selected(self) -> Selected:
        """The picks, with their expected metrics."""
        return _join(list(self.selected_kinds.values()))

    @property
    def selected_kinds(self) -> dict[str, Selected]:
        """The picks of each kind."""
        return {kind: self._select(kind, own.threshold - ROUNDING) for kind, own in self.kinds.items()}

    def _select(self, kind: str, threshold: float) -> Selected:
        selection = Selection(threshold, None, self.max_particles)
        return selection.select(self.candidates_of(kind), self.kinds[kind].particles, None)


def _join(parts: list[Selected]) -> Selected:
    return parts[0] if len(parts) == 1 else join(parts)


@dataclass(frozen=True)
class FolderResults:
    """A folder of picks.

    Parameters
    ----------
    record : dict
        Content of ``picks.json``.
    tomograms : tuple of TomogramResult
        Finished tomograms, sorted by name.
    failed : mapping of str to str
        Errors of the failed tomograms.
    """

    folder: Path
    record: dict[str, Any]
    tomograms: tuple[TomogramResult, ...]
    failed: Mapping[str, str]

    @property
    def diameter(self) -> float:
        """Diameter of the particle, the first of several kinds, Å."""
        return float(self.record["model"]["settings"]["particle_diameter"])

    @property
    def diameters(self) -> dict[str, float]:
        """Diameter of each kind, Å; that of the only one under an empty name."""
        kinds = self.record["model"].get("kinds", {})
        return {kind: float(own["particle_diameter"]) for kind, own in kinds.items()} or {"": self.diameter}


def describe_picks(selected: Selected, count: Count | None) -> dict[str, Any]:
    """Return the numbers that pages show of picks: count with interval, expected metrics, median score if any."""
    return {
        "picks": len(selected.picks),
        "count": count and [count.estimate, count.low, count.high],
        "threshold": selected.threshold,
        "precision": selected.expected.precision,
        "recall": selected.expected.recall,
        "f1": selected.expected.f1,
        "median": float(np.median(selected.picks.scores)) if len(selected.picks) else None,
    }


def tabulate_candidates(results: Sequence[TomogramResult]) -> pd.DataFrame:
    """Tabulate the candidates: tomogram, kind (empty for the only one), x, y, z in Å, probability, picked."""
    tables = []
    for result in results:
        for kind, selected in result.selected_kinds.items():
            candidates = result.candidates_of(kind)
            facts = {"probability": candidates.scores, "picked": candidates.scores > selected.threshold}
            table = pd.DataFrame(candidates.positions, columns=list("xyz"))
            tables.append(table.assign(tomogram=result.name, kind=kind, **facts))
    return pd.concat(tables, ignore_index=True)


def open_picked(folder: Path, record: Mapping[str, Any], name: str) -> Tomogram:
    """Open the file of a tomogram in a folder of picks as it was opened for picking.

    Raises `TomoPickerError` if the file is missing or has changed.
    """
    entry, settings = record["tomograms"][name], record["settings"]
    if not entry.get("path"):
        raise TomoPickerError(f"{folder}: the file of '{name}' is not recorded; pick it again")
    path = Path(entry["path"])
    reading = ReadOptions(
        settings.get("dataset"), settings.get("axes"), voxel_size=float(entry["voxel_size_angstrom"]),
        invert=bool(entry.get("inverted", False)),
    )  # fmt: skip
    tomogram = io.open_tomogram(path, options=reading)
    if list(tomogram.frame.shape) != list(entry["shape_zyx"]):
        raise TomoPickerError(f"{path}: is another tomogram now; pick it again")
    return replace(tomogram, name=name)


def read_results(folder: Path) -> FolderResults:
    """Read a folder that ``tomopicker pick`` wrote.

    Raises `TomoPickerError` if it is not one, nothing in it is finished, or its candidates are damaged.
    """
    record = read_record(folder / RECORD)
    results = []
    try:
        for name, frame in recorded_frames(record).items():
            entry = record["tomograms"][name]
            candidates = best_first([_read_candidates(folder, name, frame, entry["candidates"])])
            kinds = {kind: _result(own) for kind, own in (entry.get("kinds") or {"": entry}).items()}
            max_particles = record["settings"].get("max_particles")
            results.append(TomogramResult(name, frame, candidates, _result(entry), kinds, max_particles))
    except (KeyError, TypeError, ValueError) as error:
        raise TomoPickerError(f"{folder / RECORD}: is damaged; give --overwrite to 'tomopicker pick'") from error
    if not results:
        raise TomoPickerError(f"{folder}: no tomogram in it is finished; run 'tomopicker pick' first")
    failed = {
        name: str(entry.get("error", "")) for name, entry in record["tomograms"].items() if entry["status"] == FAILED
    }
    return FolderResults(folder, record, tuple(results), failed)


def _read_candidates(path: Path, name: str, frame: Frame, count: int) -> Picks:
    """Read the candidates of a tomogram in a folder of picks; `count` is their number in the record."""
    if not count:
        return Picks.of(name, np.empty((0, 3)))
    try:
        return io.read_picks(files_of(path, name)[2], {name: frame})
    except TomoPickerError as error:
        raise TomoPickerError(f"{error}; 'tomopicker pick --overwrite' writes it again") from error


def _result(own: Mapping[str, Any]) -> KindResult:
    count = own.get("count")
    return KindResult(float(own["threshold"]), float(own["expected"]["particles"]), Count(**count) if count else None)


UNFINISHED = "unfinished_cut"
"""Setting in the record of a folder while its picks are replaced."""


def reselect(path: Path, selection: Selection) -> tuple[dict[str, Any], str | None]:
    """Select again among the candidates of every finished tomogram, and write picks, merged files and record.

    The default selection restores the files of `pick`.

    Returns
    -------
    entries : dict
        Record of each finished tomogram.
    remark : str or None
        See `merge`.

    Raises
    ------
    TomoPickerError
        If nothing in the folder was picked, or its candidates are damaged.
    """
    read_record(path / RECORD)  # Raises in a folder without a record, before it is locked.
    with locked(path):
        record = read_record(path / RECORD)
        frames = recorded_frames(record)
        if not frames:
            raise TomoPickerError(f"{path}: no tomogram in it is finished; run 'tomopicker pick' first")
        star_format = record["settings"]["star_format"]
        # If this is interrupted, the settings differ from those of `pick`, whose error then names this command.
        write_record(path / RECORD, record | {"settings": record["settings"] | {UNFINISHED: True}}, None)
        for name, frame in frames.items():
            entry = record["tomograms"][name]
            candidates = _read_candidates(path, name, frame, entry["candidates"])
            kinds = {
                kind: selection.select(
                    candidates.of_kind(kind), entry["kinds"][kind]["expected"]["particles"], model["threshold"]
                )
                for kind, model in record["model"].get("kinds", {}).items()
            }
            particles, default = entry["expected"]["particles"], record["model"]["threshold"]
            selected = join(list(kinds.values())) if kinds else selection.select(candidates, particles, default)
            written = layout.write_selected(path, name, frame, selected, star_format, kinds)
            for kind in kinds:
                written["kinds"][kind] = entry["kinds"][kind] | written["kinds"][kind]
            record["tomograms"][name] = entry | written
            make_durable(file for kind in ["", *kinds] for file in files_of(path, file_of_kind(name, kind))[:2])
            layout.write_entry(path, name, record["tomograms"][name])
        record["settings"] = {name: value for name, value in record["settings"].items() if name != UNFINISHED}
        record["settings"] |= recorded_selection(selection)
        remark = merge(path, frames, picked_counts(record), star_format)
        write_record(path / RECORD, record, sorted(record["tomograms"].items()))
    return finished(record), remark
