"""The findings of the tests: one line each, with the remedy."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy.spatial import cKDTree

from tomopicker.diagnostics.centring import MAX_OFFSET_RADII, Offset
from tomopicker.diagnostics.hypotheses import Hypothesis
from tomopicker.diagnostics.measurements import MIN_SHUFFLED, Measurements
from tomopicker.geometry import Frame, angstrom_to_voxels, is_outside
from tomopicker.picks import Picks

MIN_CONTRAST_Z, MIN_HYPOTHESIS_Z = 3.0, 5.0
"""Minimum significance, in standard errors, of the contrast at the picks, and of one of about 60 hypotheses."""
MIN_PICKS = 3
"""Minimum number of picks whose contrast is tested."""
LIKELY_Z, LIKELY_GAIN = 3.5, 2.5
"""Minimum significance and improvement, in standard errors, of a likely hypothesis for a few picks without contrast."""
DIAMETER_RATIOS = {0.5: (1.8, "half"), 2.0: (0.6, "twice")}
"""By factor on the diameter: the contrast relative to that for the given diameter above which the diameter is doubtful,
and its description. For four simulated molecules, alone and crowded, at the right diameter the ratio for 0.5 was below
1.5 and that for 2 below 0.4; at half the diameter the ratio for 2 was at least 0.7, and at twice the diameter that for
0.5 at least 2.3."""
MIN_DIAMETER_PICKS = 5
"""Minimum number of picks whose diameter is tested."""
MIN_DARKER_PERCENT = 80
"""Minimum probability that a pick is darker than background; below, many picks miss their particles."""
MIN_OFFSET_SIGNIFICANCE = 2.5
WARN_OFFSET, FAIL_OFFSET = 0.02, 0.05
"""Significant offsets, in particle diameters, that are a warning and a failure. Half a voxel, by which two programs may
differ, is usually a warning."""
COARSE_OFFSET_FRACTION = 0.75
"""Fraction of the fine search's maximum offset above which the coarse search is used."""
MIN_SPACING = 0.5
"""Minimum distance of two particles, in diameters."""


class Status(Enum):
    """The outcome of a test."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """The result of one test.

    Parameters
    ----------
    test : str
        Name of the test, one word.
    status : Status
    message : str
        The result, in one line.
    fix : str
        The remedy; empty if there is nothing to do.
    """

    test: str
    status: Status
    message: str
    fix: str = ""


def inside(picks: Picks, frames: dict[str, Frame]) -> Finding:
    """Test whether the positions lie in their volumes."""
    n = 0
    for name in picks.tomogram_names:
        voxels = angstrom_to_voxels(picks.in_tomogram(name).positions, frames[name].voxel_size)
        n += int(is_outside(voxels, frames[name].shape).sum())
    if not n:
        return Finding("inside", Status.PASS, f"all {len(picks)} positions lie in their tomogram")
    message = f"{n} of {len(picks)} positions lie outside their tomogram"
    return Finding("inside", Status.FAIL, message, "see the next lines; else check the unit and the voxel size")


def best_hypothesis(
    measured: Measurements, min_z: float = MIN_HYPOTHESIS_Z, min_gain: float = MIN_HYPOTHESIS_Z
) -> Hypothesis | None:
    """Return the hypothesis with the highest contrast, if it exceeds the background and the picks significantly.

    `min_z` and `min_gain` are the minimum excess over each, in standard errors.
    """
    best, values = max(measured.alternatives.items(), key=lambda item: float(item[1].mean()))
    gain = values - measured.at_picks
    error = max(float(gain.std()) / np.sqrt(len(gain)), measured.error / 10)
    return best if measured.z(values) > min_z and float(gain.mean()) > min_gain * error else None


def has_offset(measured: Measurements, radius: float) -> bool:
    """Test whether the contrast has a constant offset from the picks, too large for the fine search (radius in Å)."""
    is_far = float(np.linalg.norm(measured.offset)) > COARSE_OFFSET_FRACTION * MAX_OFFSET_RADII * radius
    # The threshold is higher than for a hypothesis, since the maximum is over thousands of offsets.
    z = measured.z(measured.at_offset)
    return is_far and z > 1.5 * MIN_HYPOTHESIS_Z and z - measured.z(measured.at_picks) > MIN_HYPOTHESIS_Z


def contrast(measured: Measurements, explained: bool) -> Finding:
    """Test whether the picks have contrast; `explained` if a hypothesis or an offset explains why they have none."""
    n, z = len(measured.at_picks), measured.z(measured.at_picks)
    n_darker_than = np.searchsorted(np.sort(measured.background), measured.at_picks)
    darker = 100 * float(n_darker_than.mean() / len(measured.background))
    is_inconclusive = n < MIN_SHUFFLED and not explained
    if z <= -MIN_CONTRAST_Z:
        message = f"the picks are bright ({100 - darker:.0f} of 100 brighter than background)"
        return Finding("contrast", Status.FAIL, message, "give --invert if protein is bright in these tomograms")
    if is_inconclusive and n < MIN_PICKS:
        message = f"{'1 pick is' if n == 1 else f'{n} picks are'} too few to compare with background"
        return Finding(
            "contrast", Status.WARN, message, f"look at the picture; the test needs {MIN_SHUFFLED} picks or more"
        )
    if z < MIN_CONTRAST_Z:
        message = f"the contrast at the picks is that of background ({z:+.1f} standard errors)"
        fix = "see the lines below" if explained else "is it the right tomogram, and the right --particle-diameter?"
        if not is_inconclusive:
            return Finding("contrast", Status.FAIL, message, fix)
        message += f"; {n} picks are too few to decide whether they lie on particles"
        return Finding("contrast", Status.WARN, message, f"look at the picture: {fix}")
    message = f"a pick is darker than background in {darker:.0f} of 100 cases"
    if darker < MIN_DARKER_PERCENT:
        return Finding("contrast", Status.WARN, message, "many may miss their particles: look at the gallery")
    return Finding("contrast", Status.PASS, message)


def reading(hypothesis: Hypothesis | None, measured: Measurements) -> Finding:
    """Test whether another reading of the coordinates fits better."""
    if hypothesis is not None:
        return Finding("reading", Status.FAIL, f"it fits far better if {hypothesis.message}", hypothesis.fix)
    n = len(measured.at_picks)
    if (
        n < MIN_SHUFFLED
        and measured.z(measured.at_picks) < MIN_CONTRAST_Z
        and (likely := best_hypothesis(measured, LIKELY_Z, LIKELY_GAIN))
    ):
        message = f"it may fit better if {likely.message}; {n} picks are too few to decide"
        return Finding("reading", Status.WARN, message, likely.fix)
    return Finding("reading", Status.PASS, "no other order, direction, scale or origin of the axes fits better")


def diameter(measured: Measurements, value: float) -> Finding | None:
    """Test the given diameter (Å); return None with too few picks, or without contrast at them."""
    own = measured.at_diameter[1.0]
    if len(own) < MIN_DIAMETER_PICKS:
        return None
    for factor, (ratio, width) in DIAMETER_RATIOS.items():
        other = measured.at_diameter[factor]
        excess = other - ratio * own
        visible = float(other.mean()) > MIN_CONTRAST_Z / np.sqrt(len(other))
        if visible and float(excess.mean()) > 2 * float(excess.std()) / np.sqrt(len(excess)):
            message = (
                f"the objects at the picks are about {width} as wide: at {factor * value:g} Å they stand out by "
                f"{float(other.mean()):.1f} standard deviations, objects of {value:g} Å by "
                f"{ratio * float(own.mean()):.1f} at most"
            )
            fix = f"--particle-diameter is the whole width in Å: is {factor * value:g} right?"
            return Finding("diameter", Status.WARN, message, fix)
    passed = Finding("diameter", Status.PASS, f"the objects at the picks are about {value:g} Å wide")
    return passed if measured.z(measured.at_picks) >= MIN_CONTRAST_Z else None


def tomogram_names(measured: Measurements, picks: Picks) -> Finding | None:
    """Test whether the picks of one tomogram fit another one; return None with only one tomogram."""
    for (name, other), values in measured.cross.items():
        own = max(measured.z(measured.at_picks[picks.tomograms == name]), 0.0)
        if measured.z(values) - own > MIN_HYPOTHESIS_Z * float(np.sqrt(len(measured.at_picks) / len(values))):
            fix = "correct the tomogram's name in the file of picks"
            return Finding("tomogram", Status.FAIL, f"the picks of {name} fit {other}", fix)
    passed = Finding("tomogram", Status.PASS, "no picks fit another of these tomograms better")
    return passed if measured.cross else None


def centre(
    offset: Offset | None, voxel_size: float, n: int, *, diameter: float, visible: bool, corrected: bool
) -> Finding:
    """Test whether the mean subtomogram of the positions, or of the corrected positions, is centred.

    Parameters
    ----------
    offset : Offset or None
    voxel_size : float
        In Å, for the message.
    n : int
        Number of picks.
    diameter : float
        Particle diameter in Å, to which the offset is compared.
    visible : bool
        Whether the positions have contrast.
    corrected : bool
        Whether a hypothesis corrected the positions.
    """
    if not visible:
        return Finding("centre", Status.WARN, "not tested: no contrast at the positions")
    if offset is None:
        return Finding("centre", Status.WARN, f"{n} picks are too few to test whether they are centred")
    after = "after correction, " if corrected else ""
    (x, y, z), (a, b, c) = offset.angstrom / voxel_size, offset.error / voxel_size
    length = float(np.linalg.norm(offset.angstrom)) / diameter
    where = (
        f"{x:+.2f}, {y:+.2f}, {z:+.2f} voxels in x, y, z (± {a:.2f}, {b:.2f}, {c:.2f}; a voxel is {voxel_size:g} Å), "
        f"{100 * length:.1f}% of the diameter"
    )
    if offset.significance > MIN_OFFSET_SIGNIFICANCE and length > WARN_OFFSET:
        shift = ",".join(f"{d:.2g}" if abs(d) > 2 * error else "0" for d, error in ((x, a), (y, b), (z, c)))
        status = Status.FAIL if length >= FAIL_OFFSET else Status.WARN
        message = f"{after}the particle's centre is off the position by {where}"
        return Finding("centre", status, message, f"tomopicker convert --shift={shift} moves the positions there")
    # The smallest significant offset.
    smallest = MIN_OFFSET_SIGNIFICANCE * float(np.linalg.norm(offset.error)) / diameter
    undetected = f"an offset below {100 * smallest:.0f}% of the diameter is not significant with {n} picks"
    return Finding(
        "centre", Status.PASS, f"{after}centred: off by {where}", "" if smallest <= FAIL_OFFSET else undetected
    )


def duplicates(picks: Picks, diameter: float) -> Finding:
    """Test whether two picks lie on one particle; the diameter is in Å."""
    near, close = (_count_paired(picks, distance) for distance in (diameter, MIN_SPACING * diameter))
    if close:
        message = f"{close} picks have another nearer than half the diameter ({diameter / 2:g} Å)"
        fix = "remove one of each two; was a file joined to itself, or --min-distance set too small?"
        return Finding("duplicates", Status.FAIL, message, fix)
    others = f"; {near} have one nearer than the diameter" if near else ""
    return Finding("duplicates", Status.PASS, f"no pick has another nearer than half the diameter{others}")


def _count_paired(picks: Picks, distance: float) -> int:
    """Count the picks with another one within a distance."""
    trees = (cKDTree(picks.in_tomogram(name).positions) for name in picks.tomogram_names)
    return sum(len(np.unique(tree.query_pairs(distance, output_type="ndarray"))) for tree in trees)
