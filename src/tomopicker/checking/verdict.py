"""From measurements to a verdict: one finding a test, in a plain line, and what to do about it."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Float64
from scipy.spatial import cKDTree

from tomopicker.checking.centring import REACH, Offset
from tomopicker.checking.contrast import FEW
from tomopicker.checking.evidence import Readings
from tomopicker.checking.mistakes import Mistake
from tomopicker.geometry import Frame, angstrom_to_voxels, is_outside
from tomopicker.picks import Picks

SEEN, SURE = 3.0, 5.0
"""Standard errors that the contrast at the picks, and that of a better reading, must stand out by: one is tried of the
former, some 60 of the latter."""
FEWEST = 3
"""Picks below which what is seen at them proves nothing."""
LIKELY, GAIN = 3.5, 2.5
"""Standard errors by which another reading of a few picks at which nothing is seen must stand out, and do better, to be
mentioned."""
WIDER, NARROWER = 0.6, 1.8
"""Contrast for twice, and for half, the diameter over that for the diameter, from which on the diameter is doubted. Of
four simulated molecules, alone and crowded, the first was below 0.4 and the second below 1.5 at the right diameter; the
first 0.7 or more where the radius was given, the second 2.3 or more where the diameter was doubled."""
SIZED = 5
"""Picks below which their size is not judged."""
MOSTLY = 0.8
"""Chance that a pick shows more contrast than a place elsewhere, below which many picks lie beside particles."""
OFFSET_SIGNIFICANCE = 2.5
CENTRED, BESIDE = 0.02, 0.05
"""In diameters: an offset below the first harms nothing; one from the second on is a fault; between them, if it is
significant, it deserves a look, as it may be half a voxel by which two programs differ."""
NEAR = 0.75
"""Share of the reach of the fine search for the centre from which on an offset is left to the coarse one."""
CLOSE = 0.5
"""In diameters: two particles cannot lie nearer."""


class Status(Enum):
    """How a test went."""

    GOOD = "ok"
    DOUBTFUL = "look"
    BAD = "FAULT"


@dataclass(frozen=True)
class Finding:
    """The outcome of one test.

    Parameters
    ----------
    test : str
        One word or two.
    status : Status
    says : str
        What was found, in a line.
    remedy : str
        What to do; empty if nothing.
    """

    test: str
    status: Status
    says: str
    remedy: str = ""


def inside(picks: Picks, frames: dict[str, Frame]) -> Finding:
    """Are the positions in their volumes?"""
    out = np.zeros(len(picks), dtype=bool)
    for name in picks.tomogram_names:
        rows = picks.tomograms == name
        voxels = angstrom_to_voxels(picks.positions[rows], frames[name].voxel_size)
        out[rows] = is_outside(voxels, frames[name].shape)
    n = int(out.sum())
    if not n:
        return Finding("inside", Status.GOOD, f"all {len(picks)} positions lie in their tomogram")
    return Finding(
        "inside", Status.BAD, f"{n} of {len(picks)} positions lie outside their tomogram",
        "look at the next lines; else check the unit and the voxel size",
    )  # fmt: skip


def best_mistake(readings: Readings) -> Mistake | None:
    """Give the reading that explains the picks, if one does far better than the positions as given."""
    best = max(readings.otherwise, key=lambda mistake: float(readings.otherwise[mistake].mean()))
    there = readings.otherwise[best]
    stands_out = float(there.mean()) - readings.usual > SURE * readings.error
    gain = there - readings.given
    better = float(gain.mean()) > SURE * max(float(gain.std()) / np.sqrt(len(gain)), readings.error / 10)
    return best if stands_out and better else None


def is_displaced(readings: Readings, radius: float) -> bool:
    """Say whether the contrast lies at one place beside the picks, too far off for the fine search (radius in Å)."""
    far = float(np.linalg.norm(readings.offset)) > NEAR * REACH * radius
    # A cube about the picks has some thousand places to be best at, so more is asked for than of a reading.
    better = readings.at_offset - float(readings.given.mean()) > SURE * readings.error
    return far and better and readings.at_offset - readings.usual > 1.5 * SURE * readings.error


def contrast(readings: Readings, explained: bool) -> Finding:
    """Is there anything at the positions?"""
    at, off = readings.given, readings.background
    z = (float(at.mean()) - readings.usual) / readings.error
    share = chance_of_more(at, off)
    if z <= -SEEN:
        return Finding(
            "contrast", Status.BAD, f"the picks are bright ({100 - 100 * share:.0f} of 100 brighter than elsewhere)",
            "give --invert if protein is bright in these tomograms",
        )  # fmt: skip
    few = len(at) < FEW and not explained
    if few and len(at) < FEWEST:
        says = f"{len(at)} {'picks are' if len(at) > 1 else 'pick is'} too few to tell from places elsewhere"
        return Finding("contrast", Status.DOUBTFUL, says, f"look at the picture; {FEW} picks or more can tell")
    if z < SEEN:
        says = f"the places picked look like any others ({z:+.1f} standard errors)"
        right = "is it the right tomogram, and the right --particle-diameter?"
        if few:
            says += f"; {len(at)} picks cannot tell whether they lie on particles"
            return Finding("contrast", Status.DOUBTFUL, says, f"look at the picture: {right}")
        return Finding("contrast", Status.BAD, says, "see the lines below" if explained else right)
    words = f"a pick is darker than a place elsewhere in {100 * share:.0f} of 100 cases"
    if share < MOSTLY:
        return Finding(
            "contrast", Status.DOUBTFUL, words, "many may lie beside particles: look at the gallery"
        )  # fmt: skip
    return Finding("contrast", Status.GOOD, words)


def is_dark(readings: Readings) -> bool:
    """Say whether the places picked hold more than others, so that there is a centre to look for."""
    return float(readings.given.mean()) - readings.usual >= SEEN * readings.error


def chance_of_more(at: Float64[np.ndarray, " n"], off: Float64[np.ndarray, " m"]) -> float:
    """Give the chance that one of `at` is larger than one of `off` (the area under the ROC curve)."""
    return float(np.searchsorted(np.sort(off), at).mean() / len(off))


def reading(mistake: Mistake | None, readings: Readings) -> Finding:
    """Does another reading of the coordinates fit better?"""
    if mistake is not None:
        return Finding("reading", Status.BAD, f"it fits far better if {mistake.says}", mistake.remedy)
    if len(readings.given) < FEW and not is_dark(readings):
        best = max(readings.otherwise, key=lambda each: float(readings.otherwise[each].mean()))
        there = readings.otherwise[best]
        gain = there - readings.given
        error = max(float(gain.std()) / np.sqrt(len(gain)), readings.error / 10)
        if float(there.mean()) - readings.usual > LIKELY * readings.error and float(gain.mean()) > GAIN * error:
            says = f"it may fit better if {best.says}; {len(gain)} picks are too few to be sure"
            return Finding("reading", Status.DOUBTFUL, says, best.remedy)
    return Finding("reading", Status.GOOD, "no other order, direction, scale or origin of the axes fits better")


def diameter(readings: Readings, value: float) -> Finding | None:
    """Is the particle as wide as the diameter given (Å)? None with too few picks, or where nothing is seen at them."""
    if len(readings.own) < SIZED:
        return None
    own = float(readings.own.mean())
    for other, share, factor, words in (
        (readings.narrower, NARROWER, 0.5, "about half as wide"),
        (readings.wider, WIDER, 2.0, "about twice as wide"),
    ):
        excess = other - share * readings.own
        seen = float(other.mean()) > SEEN / np.sqrt(len(other))
        if seen and float(excess.mean()) > 2 * float(excess.std()) / np.sqrt(len(excess)):
            return Finding(
                "diameter", Status.DOUBTFUL,
                f"what is at the picks looks {words}: it stands out by {float(other.mean()):.1f} standard deviations "
                f"at {factor * value:g} Å, by {own:.1f} at {value:g} Å",
                f"--particle-diameter is the whole width in Å: is {factor * value:g} right?",
            )  # fmt: skip
    if not is_dark(readings):
        return None
    return Finding("diameter", Status.GOOD, f"what is at the picks is about as wide as {value:g} Å")


def tomogram_names(readings: Readings, picks: Picks) -> Finding | None:
    """Do the picks of one tomogram fit another? None with only one."""
    if not readings.swapped:
        return None
    own = {name: float(readings.given[picks.tomograms == name].mean()) for name in picks.tomogram_names}
    for (name, other), values in readings.swapped.items():
        error = readings.error * float(np.sqrt(len(readings.given) / len(values)))
        if values.mean() - max(own[name], readings.usual) > SURE * error:
            return Finding(
                "tomogram", Status.BAD, f"the picks of {name} fit {other}",
                "correct the tomogram's name in the file of picks",
            )  # fmt: skip
    return Finding("tomogram", Status.GOOD, "no picks fit another of these tomograms better")


def centre(
    offset: Offset | None, voxel_size: float, n: int, *, diameter: float, found: bool, mended: bool
) -> Finding:  # fmt: skip
    """Is the mean subtomogram centred, of the positions as given or as mended?

    Parameters
    ----------
    offset : Offset or None
        In voxels of `voxel_size` Å.
    voxel_size : float
    n : int
        Picks.
    diameter : float
        Of the particle, Å, by which the offset is judged.
    found : bool
        Whether anything is seen at the positions.
    mended : bool
        Whether the positions were read otherwise before.
    """
    if not found:
        return Finding("centre", Status.DOUBTFUL, "not tested: nothing is seen at the positions")
    if offset is None:
        return Finding("centre", Status.DOUBTFUL, f"{n} picks are too few to say whether they are centred")
    after = "once that is mended, " if mended else ""
    x, y, z = offset.voxels
    a, b, c = offset.error
    error = float(np.sqrt(np.square(offset.error).sum())) * voxel_size / diameter
    share = float(np.linalg.norm(offset.voxels)) * voxel_size / diameter
    where = (
        f"{x:+.2f}, {y:+.2f}, {z:+.2f} voxels in x, y, z (± {a:.2f}, {b:.2f}, {c:.2f}; a voxel is {voxel_size:g} Å), "
        f"{100 * share:.1f} % of the diameter"
    )
    if offset.significance > OFFSET_SIGNIFICANCE and share > CENTRED:
        shift = ",".join(f"{value:.2g}" for value in np.where(np.abs(offset.voxels) > 2 * offset.error, (x, y, z), 0))
        return Finding(
            "centre", Status.BAD if share >= BESIDE else Status.DOUBTFUL,
            f"{after}the particle lies beside the position by {where}",
            f"tomopicker convert --shift={shift} moves the positions there",
        )  # fmt: skip
    # What an offset along all three axes must be to be seen.
    least = OFFSET_SIGNIFICANCE * error
    return Finding(
        "centre", Status.GOOD, f"{after}centred: off by {where}", "" if least <= BESIDE else
        f"an offset below {100 * least:.0f} % of the diameter would not be seen with {n} picks",
    )  # fmt: skip


def duplicates(picks: Picks, diameter: float) -> Finding:
    """Do two picks lie on one particle? The diameter in Å."""
    near, close = (_in_pairs(picks, distance) for distance in (diameter, CLOSE * diameter))
    if close:
        return Finding(
            "duplicates", Status.BAD, f"{close} picks have another nearer than half the diameter ({diameter / 2:g} Å)",
            "remove one of each two; was a file joined to itself, or --min-distance set too small?",
        )  # fmt: skip
    words = f"; {near} have one nearer than the diameter" if near else ""
    return Finding("duplicates", Status.GOOD, f"no pick has another nearer than half the diameter{words}")


def _in_pairs(picks: Picks, distance: float) -> int:
    count = 0
    for name in picks.tomogram_names:
        pairs = cKDTree(picks.in_tomogram(name).positions).query_pairs(distance, output_type="ndarray")
        count += len(np.unique(pairs))
    return count
