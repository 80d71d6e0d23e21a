"""The whole check: measure, judge, and where something explains what is wrong, go on with the positions put right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from tomopicker.checking import verdict
from tomopicker.checking.centring import Offset, find_offset
from tomopicker.checking.contrast import shuffled_background
from tomopicker.checking.findings import Finding, Status
from tomopicker.checking.hypotheses import Hypothesis
from tomopicker.checking.measurements import MeanBoxes, average, score_hypotheses
from tomopicker.errors import TomoPickerError
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions


@dataclass(frozen=True)
class Checked:
    """What a check gave.

    Parameters
    ----------
    findings : list of Finding
        One a test.
    means : dict of str to array, (z, y, x)
        Mean subtomograms, by what was averaged: the picks as given; and as put right if a fault explains them;
        and as many places elsewhere.
    mean_voxel_size : float
        Å, of the means.
    """

    findings: list[Finding]
    means: Mapping[str, Float32[np.ndarray, "z y x"]]
    mean_voxel_size: float

    @property
    def faults(self) -> int:
        """How many tests found a fault."""
        return sum(finding.status is Status.BAD for finding in self.findings)

    @property
    def undecided(self) -> bool:
        """Whether nothing tells the picks from other places, and they are too few for that to be a fault."""
        return any(finding.test == "contrast" and finding.status is Status.DOUBTFUL for finding in self.findings)


def check(tomograms: Sequence[Tomogram], picks: Picks, diameter: float, seed: int = 0) -> Checked:
    """Test whether picks lie on particles.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Those of the picks. Opened so that protein is dark.
    picks : Picks
        Å; positions outside their tomogram are findings, not errors.
    diameter : float
        Of the particle, Å.
    seed : int
        Of the places elsewhere that picks are compared with.

    Returns
    -------
    Checked

    Raises
    ------
    TomoPickerError
        If there are no picks, a tomogram is constant, or the tomograms' voxel sizes differ.
    """
    used = [tomogram for tomogram in tomograms if tomogram.name in picks.tomogram_names]
    sizes = [tomogram.voxel_size for tomogram in used]
    if not used:
        raise TomoPickerError("no picks of the tomograms given; give others")
    if max(sizes) > 1.01 * min(sizes):
        raise TomoPickerError(
            f"the tomograms have voxels of {min(sizes):g} to {max(sizes):g} Å; check those of one size at a time"
        )
    frames = {tomogram.name: tomogram.frame for tomogram in used}
    picks = Picks.concatenate([picks.in_tomogram(name) for name in frames])
    readings = score_hypotheses(used, picks, diameter, np.random.default_rng(seed))
    mistake = verdict.best_mistake(readings)
    displaced = mistake is None and verdict.is_displaced(readings, diameter / 2)
    better = _mended(picks, used, mistake, readings.offset if displaced else np.zeros(3))
    given = average(used, _by_name(picks), diameter)
    explained = mistake is not None or displaced
    mended = average(used, _by_name(better), diameter) if explained else given
    offset = _offset(mended, diameter, used[0].voxel_size)
    if displaced and offset is not None:
        offset = replace(offset, voxels=offset.voxels + readings.offset / used[0].voxel_size)
    findings = [
        verdict.inside(picks, frames),
        verdict.contrast(readings, explained),
        verdict.tomogram_names(readings, picks),
        verdict.reading(mistake, readings),
        verdict.diameter(readings, diameter),
        verdict.centre(
            offset,
            used[0].voxel_size,
            len(picks),
            diameter=diameter,
            found=explained or verdict.is_dark(readings),
            mended=mistake is not None,
        ),
        verdict.duplicates(better, diameter),
    ]
    rng = np.random.default_rng(seed)
    random = {name: shuffled_background(positions, 1, rng, frames[name]) for name, positions in _by_name(picks).items()}
    means = {
        "of the picks as given": given.mean,
        **({"of the picks put right": mended.mean} if explained else {}),
        "of places elsewhere": average(used, random, diameter).mean,
    }
    return Checked([finding for finding in findings if finding is not None], means, given.voxel_size)


def _by_name(picks: Picks) -> dict[str, Positions]:
    return {name: picks.in_tomogram(name).positions for name in picks.tomogram_names}


def _mended(picks: Picks, tomograms: Sequence[Tomogram], mistake: Hypothesis | None, offset: np.ndarray) -> Picks:
    positions = picks.positions + offset
    for tomogram in tomograms:
        rows = picks.tomograms == tomogram.name
        if mistake is not None:
            positions[rows] = mistake.mend(picks.positions[rows], tomogram.frame)
    return replace(picks, positions=positions)


def _offset(boxes: MeanBoxes, diameter: float, voxel_size: float) -> Offset | None:
    """Find the centre of the mean in voxels of the tomogram."""
    found = find_offset(boxes.sums, boxes.counts, diameter / 2 / boxes.voxel_size)
    factor = boxes.voxel_size / voxel_size
    return None if found is None else Offset(found.voxels * factor, found.error * factor)
