"""The whole check: measure, test hypotheses, and judge the rest with the positions corrected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from tomopicker.diagnostics import findings
from tomopicker.diagnostics.centring import average, find_offset
from tomopicker.diagnostics.findings import Finding, Status
from tomopicker.diagnostics.measurements import score_hypotheses, shuffled_background
from tomopicker.errors import TomoPickerError
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    Parameters
    ----------
    findings : list of Finding
        One a test.
    means : dict of str to array, (z, y, x)
        Mean subtomograms, by what was averaged: the picks as given; as corrected, if that explains what is wrong; and
        as many background places.
    mean_voxel_size : float
        Å, of the means.
    """

    findings: list[Finding]
    means: Mapping[str, Float32[np.ndarray, "z y x"]]
    mean_voxel_size: float

    @property
    def faults(self) -> int:
        """How many tests failed."""
        return sum(finding.status is Status.FAIL for finding in self.findings)

    @property
    def undecided(self) -> bool:
        """Whether the picks cannot be told from background places, and are too few for that to be a failure."""
        return any(finding.test == "contrast" and finding.status is Status.WARN for finding in self.findings)


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
        Of the background places that picks are compared with.

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
    parts = [picks.in_tomogram(name) for name in frames]
    picks = Picks.concatenate(parts)
    found = score_hypotheses(used, picks, diameter, np.random.default_rng(seed))

    hypothesis = findings.best_hypothesis(found)
    shift = found.offset if hypothesis is None and findings.has_offset(found, diameter / 2) else np.zeros(3)
    corrected = replace(picks, positions=picks.positions + shift)
    if hypothesis is not None:
        moved = [hypothesis.transform(part.positions, frames[name]) for name, part in zip(frames, parts, strict=True)]
        corrected = replace(picks, positions=np.concatenate(moved))
    explained = hypothesis is not None or bool(shift.any())
    given = average(used, picks, diameter)
    centred = average(used, corrected, diameter) if explained else given
    offset = find_offset(centred, diameter)
    if offset is not None:
        offset = replace(offset, angstrom=offset.angstrom + shift)

    tests = [
        findings.inside(picks, frames),
        findings.contrast(found, explained),
        findings.tomogram_names(found, picks),
        findings.reading(hypothesis, found),
        findings.diameter(found, diameter),
        findings.centre(
            offset,
            used[0].voxel_size,
            len(picks),
            diameter=diameter,
            found=explained or found.z(found.given) >= findings.SEEN,
            corrected=hypothesis is not None,
        ),
        findings.duplicates(corrected, diameter),
    ]
    rng = np.random.default_rng(seed)
    background = Picks.concatenate(
        Picks.of(name, shuffled_background(part.positions, 1, rng, frames[name]))
        for name, part in zip(frames, parts, strict=True)
    )
    means = {"of the picks as given": given.mean}
    if explained:
        means["of the picks put right"] = centred.mean
    means["of places elsewhere"] = average(used, background, diameter).mean
    return Checked([test for test in tests if test is not None], means, given.voxel_size)
