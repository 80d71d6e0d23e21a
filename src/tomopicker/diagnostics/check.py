"""The whole check: measure contrast, test hypotheses, and run the other tests with corrected positions."""

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
        Mean subtomograms: of the picks; of the corrected picks, if a hypothesis or offset explains an error; and of as
        many background positions.
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
        """Whether the picks look like background positions, but are too few for that to be a failure."""
        return any(finding.test == "contrast" and finding.status is Status.WARN for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The result in words."""
        if self.faults:
            return "These picks are not right"
        return "These tests cannot decide whether the picks are right" if self.undecided else "No fault found"


def check(tomograms: Sequence[Tomogram], picks: Picks, diameter: float) -> Checked:
    """Test whether picks lie on particles.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Those of the picks. Opened so that protein is dark.
    picks : Picks
        Å; positions outside their tomogram are findings, not errors.
    diameter : float
        Of the particle, Å.

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
        raise TomoPickerError("no picks lie in these tomograms; give others")
    if max(sizes) > 1.01 * min(sizes):
        raise TomoPickerError(
            f"the tomograms have voxels of {min(sizes):g} to {max(sizes):g} Å; check those of one size at a time"
        )
    frames = {tomogram.name: tomogram.frame for tomogram in used}
    parts = [picks.in_tomogram(name) for name in frames]
    picks = Picks.concatenate(parts)
    measured = score_hypotheses(used, picks, diameter, np.random.default_rng(0))

    hypothesis = findings.best_hypothesis(measured)
    shift = measured.offset if hypothesis is None and findings.has_offset(measured, diameter / 2) else np.zeros(3)
    corrected = replace(picks, positions=picks.positions + shift)
    if hypothesis is not None:
        moved = [hypothesis.transform(part.positions, frames[name]) for name, part in zip(frames, parts, strict=True)]
        corrected = replace(picks, positions=np.concatenate(moved))
    explained = hypothesis is not None or bool(shift.any())
    original = average(used, picks, diameter)
    centred = average(used, corrected, diameter) if explained else original
    offset = find_offset(centred, diameter)
    if offset is not None:
        offset = replace(offset, angstrom=offset.angstrom + shift)

    tests = [
        findings.inside(picks, frames),
        findings.contrast(measured, explained),
        findings.tomogram_names(measured, picks),
        findings.reading(hypothesis, measured),
        findings.diameter(measured, diameter),
        findings.centre(
            offset,
            used[0].voxel_size,
            len(picks),
            diameter=diameter,
            visible=explained or measured.z(measured.at_picks) >= findings.VISIBLE,
            corrected=hypothesis is not None,
        ),
        findings.duplicates(corrected, diameter),
    ]
    rng = np.random.default_rng(0)
    background = Picks.concatenate(
        Picks.of(name, shuffled_background(part.positions, 1, rng, frames[name]))
        for name, part in zip(frames, parts, strict=True)
    )
    means = {"of the picks": original.mean}
    if explained:
        means["of the corrected picks"] = centred.mean
    means["of background positions"] = average(used, background, diameter).mean
    return Checked([test for test in tests if test is not None], means, original.voxel_size)
