"""A folder of picks, read back: the candidates and the picks of each tomogram."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io.volumes.arrays import ReadOptions
from tomopicker.output.layout import RECORD
from tomopicker.output.record import read_record, recorded_frames
from tomopicker.output.reselect import candidates_of
from tomopicker.output.tomogram_record import DONE, FAILED
from tomopicker.picking.calibration import Count
from tomopicker.picking.selection import Selected, Selection, join
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Scores

ROUNDING = 5e-8
"""Probabilities of candidates are read back rounded to seven digits, which must not put a pick below the threshold."""


@dataclass(frozen=True)
class KindResult:
    """One of several kinds in a tomogram: its threshold, its particles, and those with an interval if calibrated."""

    threshold: float
    particles: float
    count: Count | None


@dataclass(frozen=True)
class TomogramResult:
    """One tomogram of a folder of picks.

    Parameters
    ----------
    name : str
    path : Path or None
        Its file, as the record states it.
    frame : Frame
    candidates : Picks
        Best first; scores are probabilities.
    threshold : float
        Of the picks.
    count : Count or None
        Particles, where scores were calibrated.
    particles : float
        The same without an interval.
    inverted : bool
    max_particles : int or None
        A cap on the picks.
    kinds : mapping of str to KindResult
        Where the model picks several.
    """

    name: str
    path: Path | None
    frame: Frame
    candidates: Picks
    threshold: float
    count: Count | None
    particles: float
    inverted: bool
    max_particles: int | None = None
    kinds: Mapping[str, KindResult] = field(default_factory=dict)

    def at(self, threshold: float) -> Selected:
        """Select at another threshold, each kind separately; the cap on picks still applies."""
        if self.kinds:
            return join([self._of_kind(kind, threshold) for kind in self.kinds])
        return Selection(threshold, None, self.max_particles).select(self.candidates, self.particles, None)

    @property
    def chosen(self) -> Selected:
        """The picks, with what is expected of them."""
        if self.kinds:
            return join(list(self.chosen_kinds.values()))
        return self.at(self.threshold - ROUNDING)

    @property
    def chosen_kinds(self) -> dict[str, Selected]:
        """The picks of each kind, where there are several."""
        return {kind: self._of_kind(kind, own.threshold - ROUNDING) for kind, own in self.kinds.items()}

    @property
    def thresholds(self) -> Scores:
        """The threshold that holds for each candidate: its kind's."""
        if not self.kinds:
            return np.full(len(self.candidates), self.threshold - ROUNDING)
        return np.array(
            [self.kinds[kind].threshold - ROUNDING for kind in self.candidates.kinds.tolist()], dtype=np.float64
        )

    def _of_kind(self, kind: str, threshold: float) -> Selected:
        selection = Selection(threshold, None, self.max_particles)
        return selection.select(self.candidates.of_kind(kind), self.kinds[kind].particles, None)


@dataclass(frozen=True)
class FolderResults:
    """A folder of picks.

    Parameters
    ----------
    folder : Path
    record : dict
        What ``picks.json`` holds.
    tomograms : tuple of TomogramResult
        Those finished, by name.
    failed : mapping of str to str
        The others, and why.
    """

    folder: Path
    record: Mapping[str, Any]
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

    def open(self, result: TomogramResult) -> Tomogram:
        """Open the file of a tomogram, as it was picked in.

        Raises
        ------
        TomoPickerError
            If it is gone, or another tomogram now.
        """
        settings = self.record["settings"]
        if result.path is None:
            raise TomoPickerError(f"{self.folder}: the file of '{result.name}' is not recorded; pick it again")
        tomogram = io.open_tomogram(
            result.path, voxel_size=result.frame.voxel_size, invert=result.inverted,
            options=ReadOptions(settings.get("dataset"), settings.get("axes")),
        )  # fmt: skip
        if tuple(tomogram.frame.shape) != tuple(result.frame.shape):
            raise TomoPickerError(f"{result.path}: is another tomogram now; pick it again")
        return tomogram


def read_results(folder: Path) -> FolderResults:
    """Read a folder that ``tomopicker pick`` wrote.

    Raises
    ------
    TomoPickerError
        If it is not one, nothing in it is finished, or its candidates are damaged.
    """
    record = read_record(folder / RECORD)
    found = []
    try:
        for name, frame in sorted(recorded_frames(record).items()):
            entry = record["tomograms"][name]
            candidates = candidates_of(folder, name, frame, entry["candidates"])
            best_first = candidates.select(np.argsort(-candidates.scores, kind="stable"))
            count, path = entry.get("count"), entry.get("path")
            found.append(
                TomogramResult(
                    name, Path(path) if path else None, frame, best_first, float(entry["threshold"]),
                    Count(**count) if count else None, float(entry["expected"]["particles"]),
                    bool(entry.get("inverted", False)), record["settings"].get("max_particles"),
                    {kind: _of_kind(own) for kind, own in entry.get("kinds", {}).items()},
                )
            )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise TomoPickerError(f"{folder / RECORD}: is damaged; give --overwrite to 'tomopicker pick'") from error
    if not found:
        raise TomoPickerError(f"{folder}: no tomogram in it is finished; run 'tomopicker pick' first")
    others = {name: entry for name, entry in record["tomograms"].items() if entry["status"] == FAILED}
    assert all(record["tomograms"][each.name]["status"] == DONE for each in found)
    return FolderResults(folder, record, tuple(found), {name: str(e.get("error", "")) for name, e in others.items()})


def _of_kind(own: Mapping[str, Any]) -> KindResult:
    count = own.get("count")
    return KindResult(float(own["threshold"]), float(own["expected"]["particles"]), Count(**count) if count else None)
