"""From measurements to findings: one line per test, with the remedy."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Float64
from scipy.spatial import cKDTree

from tomopicker.diagnostics.centring import REACH, Offset
from tomopicker.diagnostics.hypotheses import Hypothesis
from tomopicker.diagnostics.measurements import FEW_PICKS, Measurements
from tomopicker.geometry import Frame, angstrom_to_voxels, is_outside
from tomopicker.picks import Picks

VISIBLE, SIGNIFICANT = 3.0, 5.0
"""Significance, in standard errors, of the contrast at the picks, which is tested once, and of a hypothesis, of which
some 60 are tested."""
MIN_PICKS = 3
"""Picks below which their contrast proves nothing."""
LIKELY, GAIN = 3.5, 2.5
"""Significance and improvement, in standard errors, of a hypothesis that is named for a few picks without contrast."""
DIAMETER_RATIOS = {0.5: (1.8, "half"), 2.0: (0.6, "twice")}
"""Contrast for half, and for twice, the diameter over that for the diameter, from which on the diameter is doubted. Of
four simulated molecules, alone and crowded, the second was below 0.4 and the first below 1.5 at the right diameter; the
second 0.7 or more for half the diameter, the first 2.3 or more for twice the diameter."""
MIN_SIZED = 5
"""Picks below which their size is not judged."""
MIN_DARKER = 80
"""Probability, in per cent, that a pick is darker than background, below which many picks miss their particles."""
OFFSET_SIGNIFICANCE = 2.5
CENTRED, OFF_CENTRE = 0.02, 0.05
"""In diameters: an offset below the first harms nothing; one from the second on fails; between them, if it is
significant, it is a warning, as it may be half a voxel by which two programs differ."""
NEAR = 0.75
"""Fraction of the reach of the fine search for the centre from which on an offset is left to the coarse one."""
CLOSE = 0.5
"""In diameters: two particles cannot lie nearer."""


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
        One word.
    status : Status
    message : str
        One line.
    fix : str
        The remedy; empty if there is nothing to do.
    """

    test: str
    status: Status
    message: str
    fix: str = ""


def inside(picks: Picks, frames: dict[str, Frame]) -> Finding:
    """Are the positions in their volumes?"""
    n = 0
    for name in picks.tomogram_names:
        voxels = angstrom_to_voxels(picks.in_tomogram(name).positions, frames[name].voxel_size)
        n += int(is_outside(voxels, frames[name].shape).sum())
    if not n:
        return Finding("inside", Status.PASS, f"all {len(picks)} positions lie in their tomogram")
    message = f"{n} of {len(picks)} positions lie outside their tomogram"
    return Finding("inside", Status.FAIL, message, "see the next lines; else check the unit and the voxel size")


def best_hypothesis(
    measured: Measurements, stands_out: float = SIGNIFICANT, gains: float = SIGNIFICANT
) -> Hypothesis | None:
    """Return the hypothesis with most contrast, if it exceeds background and the picks by so many standard errors."""
    best, values = max(measured.alternatives.items(), key=lambda item: float(item[1].mean()))
    gain = values - measured.at_picks
    error = max(float(gain.std()) / np.sqrt(len(gain)), measured.error / 10)
    return best if measured.z(values) > stands_out and float(gain.mean()) > gains * error else None


def has_offset(measured: Measurements, radius: float) -> bool:
    """Whether the contrast has a constant offset from the picks, too large for the fine search (radius in Å)."""
    far = float(np.linalg.norm(measured.offset)) > NEAR * REACH * radius
    # The search cube has thousands of positions, so the threshold is higher than for a hypothesis.
    z = measured.z(measured.at_offset)
    return far and z > 1.5 * SIGNIFICANT and z - measured.z(measured.at_picks) > SIGNIFICANT


def contrast(measured: Measurements, explained: bool) -> Finding:
    """Is there contrast at the positions? `explained`: a hypothesis or an offset gives other positions that have it."""
    n, z = len(measured.at_picks), measured.z(measured.at_picks)
    darker = 100 * auc(measured.at_picks, measured.background)
    few = n < FEW_PICKS and not explained
    if z <= -VISIBLE:
        message = f"the picks are bright ({100 - darker:.0f} of 100 brighter than background)"
        return Finding("contrast", Status.FAIL, message, "give --invert if protein is bright in these tomograms")
    if few and n < MIN_PICKS:
        message = f"{'1 pick is' if n == 1 else f'{n} picks are'} too few to compare with background"
        return Finding(
            "contrast", Status.WARN, message, f"look at the picture; the test needs {FEW_PICKS} picks or more"
        )
    if z < VISIBLE:
        message = f"the contrast at the picks is that of background ({z:+.1f} standard errors)"
        fix = "see the lines below" if explained else "is it the right tomogram, and the right --particle-diameter?"
        if not few:
            return Finding("contrast", Status.FAIL, message, fix)
        message += f"; {n} picks are too few to decide whether they lie on particles"
        return Finding("contrast", Status.WARN, message, f"look at the picture: {fix}")
    message = f"a pick is darker than background in {darker:.0f} of 100 cases"
    if darker < MIN_DARKER:
        return Finding("contrast", Status.WARN, message, "many may miss their particles: look at the gallery")
    return Finding("contrast", Status.PASS, message)


def auc(scores: Float64[np.ndarray, " n"], background: Float64[np.ndarray, " m"]) -> float:
    """Return the area under the ROC curve: the probability that one of `scores` exceeds one of `background`."""
    return float(np.searchsorted(np.sort(background), scores).mean() / len(background))


def reading(hypothesis: Hypothesis | None, measured: Measurements) -> Finding:
    """Does another reading of the coordinates fit better?"""
    if hypothesis is not None:
        return Finding("reading", Status.FAIL, f"it fits far better if {hypothesis.message}", hypothesis.fix)
    n = len(measured.at_picks)
    if (
        n < FEW_PICKS
        and measured.z(measured.at_picks) < VISIBLE
        and (likely := best_hypothesis(measured, LIKELY, GAIN))
    ):
        message = f"it may fit better if {likely.message}; {n} picks are too few to decide"
        return Finding("reading", Status.WARN, message, likely.fix)
    return Finding("reading", Status.PASS, "no other order, direction, scale or origin of the axes fits better")


def diameter(measured: Measurements, value: float) -> Finding | None:
    """Is the particle as wide as the stated diameter (Å)? None with too few picks, or without contrast at them."""
    own = measured.at_diameter[1.0]
    if len(own) < MIN_SIZED:
        return None
    for factor, (ratio, width) in DIAMETER_RATIOS.items():
        other = measured.at_diameter[factor]
        excess = other - ratio * own
        visible = float(other.mean()) > VISIBLE / np.sqrt(len(other))
        if visible and float(excess.mean()) > 2 * float(excess.std()) / np.sqrt(len(excess)):
            message = (
                f"the objects at the picks are about {width} as wide: at {factor * value:g} Å they stand out by "
                f"{float(other.mean()):.1f} standard deviations, objects of {value:g} Å by "
                f"{ratio * float(own.mean()):.1f} at most"
            )
            fix = f"--particle-diameter is the whole width in Å: is {factor * value:g} right?"
            return Finding("diameter", Status.WARN, message, fix)
    passed = Finding("diameter", Status.PASS, f"the objects at the picks are about {value:g} Å wide")
    return passed if measured.z(measured.at_picks) >= VISIBLE else None


def tomogram_names(measured: Measurements, picks: Picks) -> Finding | None:
    """Do the picks of one tomogram fit another? None with only one."""
    for (name, other), values in measured.cross.items():
        own = max(measured.z(measured.at_picks[picks.tomograms == name]), 0.0)
        if measured.z(values) - own > SIGNIFICANT * float(np.sqrt(len(measured.at_picks) / len(values))):
            fix = "correct the tomogram's name in the file of picks"
            return Finding("tomogram", Status.FAIL, f"the picks of {name} fit {other}", fix)
    passed = Finding("tomogram", Status.PASS, "no picks fit another of these tomograms better")
    return passed if measured.cross else None


def centre(
    offset: Offset | None, voxel_size: float, n: int, *, diameter: float, visible: bool, corrected: bool
) -> Finding:
    """Is the mean subtomogram of the positions, or of the corrected positions, centred?

    Parameters
    ----------
    offset : Offset or None
    voxel_size : float
        Å, for the message.
    n : int
        Picks.
    diameter : float
        Of the particle, Å, by which the offset is judged.
    visible : bool
        Whether there is contrast at the positions.
    corrected : bool
        Whether a hypothesis corrected the positions before.
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
    if offset.significance > OFFSET_SIGNIFICANCE and length > CENTRED:
        shift = ",".join(f"{d:.2g}" if abs(d) > 2 * error else "0" for d, error in ((x, a), (y, b), (z, c)))
        status = Status.FAIL if length >= OFF_CENTRE else Status.WARN
        message = f"{after}the particle's centre is off the position by {where}"
        return Finding("centre", status, message, f"tomopicker convert --shift={shift} moves the positions there")
    # The smallest significant offset along all three axes.
    least = OFFSET_SIGNIFICANCE * float(np.linalg.norm(offset.error)) / diameter
    undetected = f"an offset below {100 * least:.0f}% of the diameter is not significant with {n} picks"
    return Finding("centre", Status.PASS, f"{after}centred: off by {where}", "" if least <= OFF_CENTRE else undetected)


def duplicates(picks: Picks, diameter: float) -> Finding:
    """Do two picks lie on one particle? The diameter in Å."""
    near, close = (_in_pairs(picks, distance) for distance in (diameter, CLOSE * diameter))
    if close:
        message = f"{close} picks have another nearer than half the diameter ({diameter / 2:g} Å)"
        fix = "remove one of each two; was a file joined to itself, or --min-distance set too small?"
        return Finding("duplicates", Status.FAIL, message, fix)
    others = f"; {near} have one nearer than the diameter" if near else ""
    return Finding("duplicates", Status.PASS, f"no pick has another nearer than half the diameter{others}")


def _in_pairs(picks: Picks, distance: float) -> int:
    trees = (cKDTree(picks.in_tomogram(name).positions) for name in picks.tomogram_names)
    return sum(len(np.unique(tree.query_pairs(distance, output_type="ndarray"))) for tree in trees)
