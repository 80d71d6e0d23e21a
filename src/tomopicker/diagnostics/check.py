"""Check of picks, and of clicks before training: contrast, hypotheses, and tests of the corrected positions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from tomopicker.diagnostics import findings
from tomopicker.diagnostics.centring import average, find_offset
from tomopicker.diagnostics.findings import Finding, Status
from tomopicker.diagnostics.measurements import score_hypotheses, shuffled_background
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.wording import number_of

FATAL_TESTS = ("reading", "tomogram")
"""Tests whose failure prevents a training: another reading of the coordinates fits far better."""
MIN_CLICKS = 5
"""Number of clicks below which picks are poor."""


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    Parameters
    ----------
    findings : list of Finding
        One per test.
    means : dict of str to array, (z, y, x)
        Mean subtomograms of the picks, of the corrected picks if a hypothesis or an offset explains an error, and of
        the same number of background positions.
    mean_voxel_size : float
        Voxel size of the means in Å.
    """

    findings: list[Finding]
    means: Mapping[str, Float32[np.ndarray, "z y x"]]
    mean_voxel_size: float

    @property
    def faults(self) -> int:
        """Number of failed tests."""
        return sum(finding.status is Status.FAIL for finding in self.findings)

    @property
    def undecided(self) -> bool:
        """True if the picks look like background positions, but are too few for that to be a failure."""
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
        Tomograms of the picks, opened so that protein is dark.
    picks : Picks
        In Å; positions outside their tomogram are findings, not errors.
    diameter : float
        Particle diameter in Å.

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
            visible=explained or measured.z(measured.at_picks) >= findings.MIN_CONTRAST_Z,
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


def check_clicks(tomograms: Sequence[Tomogram], clicks: Picks, diameter: float, files: Sequence[Path]) -> list[str]:
    """Check clicks (in Å) before training on them, and return warnings of one line each.

    `diameter` is that of the particle in Å; `files`, those of the clicks, appear in the suggested command.

    Raises `UsageError` if another reading of the clicks, or another one of the tomograms, fits far better.
    """
    warnings = []
    if len(clicks) < MIN_CLICKS:
        warnings.append(
            f"{number_of(len(clicks), 'click')} {'shows' if len(clicks) == 1 else 'show'} too little of a particle: "
            f"picks will be poor; click {MIN_CLICKS} or more"
        )
    for group in _group_by_voxel_size(tomograms):
        results = check(group, clicks, diameter).findings
        named = ", ".join(str(path) for path in files)
        for finding in results:
            if finding.status is Status.FAIL and finding.test in FATAL_TESTS:
                raise UsageError(
                    f"{named}: the clicks do not lie on particles: {_line(finding)} (--no-check trains on them as they "
                    "are)"
                )
        # Duplicate clicks are removed before training, and few clicks are often too few to test for centring.
        warnings += [
            _line(finding)
            for finding in results
            if (finding.status is Status.FAIL and finding.test != "duplicates")
            or (finding.status is Status.WARN and finding.test in {"contrast", "reading", "diameter"})
        ]
    if warnings:
        paths = " ".join(str(tomogram.path or tomogram.name) for tomogram in tomograms)
        command = f"see them with: tomopicker check {files[0]} {paths} --particle-diameter {diameter:g}"
        warnings = [f"the clicks: {warning}" for warning in warnings] + [command]
    return warnings


def _line(finding: Finding) -> str:
    return f"{finding.message}; {finding.fix}" if finding.fix else finding.message


def _group_by_voxel_size(tomograms: Sequence[Tomogram]) -> list[list[Tomogram]]:
    """Group tomograms whose voxel sizes differ by less than 1%, as `check` requires."""
    groups: list[list[Tomogram]] = []
    for tomogram in sorted(tomograms, key=lambda tomogram: tomogram.voxel_size):
        if groups and tomogram.voxel_size <= 1.01 * groups[-1][0].voxel_size:
            groups[-1].append(tomogram)
        else:
            groups.append([tomogram])
    return groups
