"""Check of clicks before training: do they lie on particles of these tomograms?"""

from collections.abc import Sequence
from pathlib import Path

from tomopicker.diagnostics.check import check
from tomopicker.diagnostics.findings import Finding, Status
from tomopicker.errors import UsageError
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.wording import number_of

STOPS = ("reading", "tomogram")
"""Tests whose failure stops a training: another reading of the coordinates fits far better."""
MIN_CLICKS = 5
"""Clicks below which picks are poor."""


def check_clicks(tomograms: Sequence[Tomogram], clicks: Picks, diameter: float, files: Sequence[Path]) -> list[str]:
    """Run the tests of ``tomopicker check`` on clicks (in Å) that are to be trained on; give warnings, a line each.

    The diameter is the particle's, in Å; the files of the clicks are for the suggested command.

    Raises `UsageError` if another reading of the clicks, or another of the tomograms, fits far better.
    """
    warnings = []
    if len(clicks) < MIN_CLICKS:
        warnings.append(
            f"{number_of(len(clicks), 'click')} {'shows' if len(clicks) == 1 else 'show'} too little of a particle: "
            f"picks will be poor; click {MIN_CLICKS} or more"
        )
    for group in _of_one_voxel_size(tomograms):
        findings = check(group, clicks, diameter).findings
        named = ", ".join(str(path) for path in files)
        for finding in findings:
            if finding.status is Status.FAIL and finding.test in STOPS:
                raise UsageError(
                    f"{named}: the clicks do not lie on particles: {_line(finding)} (--no-check trains on them as they "
                    "are)"
                )
        # Few clicks cannot be tested for centring; repeated clicks are left out before.
        warnings += [
            _line(finding)
            for finding in findings
            if (finding.status is Status.FAIL and finding.test != "duplicates")
            or (finding.status is Status.WARN and finding.test in {"contrast", "reading", "diameter"})
        ]
    if warnings:
        shown = " ".join(str(tomogram.path or tomogram.name) for tomogram in tomograms)
        picture = f"see them with: tomopicker check {files[0]} {shown} --particle-diameter {diameter:g}"
        warnings = [f"the clicks: {warning}" for warning in warnings] + [picture]
    return warnings


def _line(finding: Finding) -> str:
    return f"{finding.message}; {finding.fix}" if finding.fix else finding.message


def _of_one_voxel_size(tomograms: Sequence[Tomogram]) -> list[list[Tomogram]]:
    """Group tomograms for `check` by voxel size: sizes within a group differ by less than 1%."""
    groups: list[list[Tomogram]] = []
    for tomogram in sorted(tomograms, key=lambda each: each.voxel_size):
        if groups and tomogram.voxel_size <= 1.01 * groups[-1][0].voxel_size:
            groups[-1].append(tomogram)
        else:
            groups.append([tomogram])
    return groups
