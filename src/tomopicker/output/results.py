"""A folder of picks, read back: candidates and picks of each tomogram; other picks selected among the candidates."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.files import make_durable
from tomopicker.geometry import Frame
from tomopicker.io.read_options import ReadOptions
from tomopicker.output import layout
from tomopicker.output.layout import FAILED, RECORD, file_of_kind, files_of
from tomopicker.output.merged import merge
from tomopicker.output.record import (
    finished,
    kind_counts,
    picked_counts,
    read_record,
    recorded_frames,
    selection_facts,
    write_record,
)
from tomopicker.output.running import marked
from tomopicker.picking.calibration import Count
from tomopicker.picking.selection import Selected, Selection, join
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram

ROUNDING = 5e-8
"""Probabilities of candidates are read back rounded to seven digits, which must not put a pick below the threshold."""


@dataclass(frozen=True)
class KindResult:
    """One kind in a tomogram: its threshold, its particles, and those with an interval if calibrated."""

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
        Of all kinds together.
    kinds : mapping of str to KindResult
        Of each kind; where the model picks one, under an empty name.
    max_particles : int or None
        A cap on the picks of each kind.
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
        """Select at another threshold, each kind separately; the cap on picks still applies."""
        return _joined([self._choose(kind, threshold) for kind in self.kinds])

    @property
    def chosen(self) -> Selected:
        """The picks, with what is expected of them."""
        return _joined(list(self.chosen_kinds.values()))

    @property
    def chosen_kinds(self) -> dict[str, Selected]:
        """The picks of each kind."""
        return {kind: self._choose(kind, own.threshold - ROUNDING) for kind, own in self.kinds.items()}

    def _choose(self, kind: str, threshold: float) -> Selected:
        selection = Selection(threshold, None, self.max_particles)
        return selection.select(self.candidates_of(kind), self.kinds[kind].particles, None)


def _joined(parts: list[Selected]) -> Selected:
    return parts[0] if len(parts) == 1 else join(parts)


@dataclass(frozen=True)
class FolderResults:
    """A folder of picks.

    Parameters
    ----------
    record : dict
        What ``picks.json`` holds.
    tomograms : tuple of TomogramResult
        Those finished, by name.
    failed : mapping of str to str
        The others, and why.
    """

    folder: Path
    record: dict[str, Any]
    tomograms: tuple[TomogramResult, ...]
    failed: Mapping[str, str]

    @property
    def diameter(self) -> float:
        """Of the particle, of the first of several kinds, Å."""
        return float(self.record["model"]["settings"]["particle_diameter"])

    @property
    def diameters(self) -> dict[str, float]:
        """Of each kind, Å; of one kind that is not named, under the empty name."""
        kinds = self.record["model"].get("kinds", {})
        return {kind: float(own["particle_diameter"]) for kind, own in kinds.items()} or {"": self.diameter}


def open_picked(folder: Path, record: Mapping[str, Any], name: str) -> Tomogram:
    """Open the file of a tomogram of a folder of picks, whose record this is, as it was picked in.

    Raises `TomoPickerError` if its file is gone, or another tomogram now.
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
    found = []
    try:
        for name, frame in sorted(recorded_frames(record).items()):
            entry = record["tomograms"][name]
            candidates = candidates_of(folder, name, frame, entry["candidates"])
            best_first = candidates.select(np.argsort(-candidates.scores, kind="stable"))
            kinds = {kind: _result(own) for kind, own in (entry.get("kinds") or {"": entry}).items()}
            cap = record["settings"].get("max_particles")
            found.append(TomogramResult(name, frame, best_first, _result(entry), kinds, cap))
    except (KeyError, TypeError, ValueError) as error:
        raise TomoPickerError(f"{folder / RECORD}: is damaged; give --overwrite to 'tomopicker pick'") from error
    if not found:
        raise TomoPickerError(f"{folder}: no tomogram in it is finished; run 'tomopicker pick' first")
    others = {name: entry for name, entry in record["tomograms"].items() if entry["status"] == FAILED}
    return FolderResults(folder, record, tuple(found), {name: str(e.get("error", "")) for name, e in others.items()})


def candidates_of(path: Path, name: str, frame: Frame, count: int) -> Picks:
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
"""The setting of a folder whose picks are being replaced."""


def reselect(path: Path, selection: Selection) -> tuple[dict[str, Any], str | None]:
    """Select among the candidates of every finished tomogram again, and write picks, merged files and record.

    The default selection restores the files of `pick`. Gives the record of each finished tomogram, and a remark as of
    `merge`.

    Raises `TomoPickerError` if nothing in the folder was picked, or its candidates are damaged.
    """
    read_record(path / RECORD)  # No mark in a folder without a record.
    with marked(path):
        record = read_record(path / RECORD)
        frames = recorded_frames(record)
        if not frames:
            raise TomoPickerError(f"{path}: no tomogram in it is finished; run 'tomopicker pick' first")
        star_format = record["settings"]["star_format"]
        # If this is interrupted, `pick` finds other settings than its own, and its error names this command.
        write_record(path / RECORD, record | {"settings": record["settings"] | {UNFINISHED: True}}, None)
        for name, frame in frames.items():
            entry = record["tomograms"][name]
            candidates = candidates_of(path, name, frame, entry["candidates"])
            kinds = {
                kind: selection.select(
                    candidates.of_kind(kind), entry["kinds"][kind]["expected"]["particles"], model["threshold"]
                )
                for kind, model in record["model"].get("kinds", {}).items()
            }
            particles, default = entry["expected"]["particles"], record["model"]["threshold"]
            chosen = join(list(kinds.values())) if kinds else selection.select(candidates, particles, default)
            written = layout.write_chosen(path, name, frame, chosen, star_format, kinds)
            for kind in kinds:
                written["kinds"][kind] = entry["kinds"][kind] | written["kinds"][kind]
            record["tomograms"][name] = entry | written
            make_durable(file for kind in ["", *kinds] for file in files_of(path, file_of_kind(name, kind))[:2])
            layout.write_entry(path, name, record["tomograms"][name])
        record["settings"] = {name: value for name, value in record["settings"].items() if name != UNFINISHED}
        record["settings"] |= selection_facts(selection)
        remark = merge(path, frames, picked_counts(record), star_format, kinds=kind_counts(record))
        write_record(path / RECORD, record, sorted(record["tomograms"].items()))
    return dict(sorted(finished(record).items())), remark
