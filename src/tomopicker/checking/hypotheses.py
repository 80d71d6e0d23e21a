"""The ways in which positions usually come out wrong, each as the transform that would put them right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from tomopicker.geometry import Frame
from tomopicker.types import Positions

AXES = "xyz"
FACTORS = (2.0, 0.5, 3.0, 1 / 3, 4.0, 0.25, 8.0, 0.125)


@dataclass(frozen=True)
class Hypothesis:
    """A way to read positions otherwise.

    Parameters
    ----------
    says : str
        What is wrong with the positions, if this reading is right.
    remedy : str
        What to do about it.
    mend : callable
        (positions, frame) to positions; (x, y, z) in Å from the centre of the first voxel.
    """

    says: str
    remedy: str
    mend: Callable[[Positions, Frame], Positions]


def hypotheses(voxel_size: float) -> list[Hypothesis]:
    """List the readings that are tried: 47 of axes, 10 of scale, 2 of origin.

    Parameters
    ----------
    voxel_size : float
        Å, of the tomograms: Å taken for voxels, and voxels taken for Å, are among the scales.
    """
    return [*_axes(), *_scales(voxel_size), *_origins()]


def _axes() -> Iterator[Hypothesis]:
    """Every order of the axes with every choice of direction, but the one that changes nothing."""
    for order, flipped in product(permutations(range(3)), product((False, True), repeat=3)):
        if order == (0, 1, 2) and not any(flipped):
            continue
        said = []
        if order != (0, 1, 2):
            moved = [i for i in range(3) if order[i] != i]
            swap = " and ".join(AXES[i] for i in moved)
            said.append(
                f"{swap} are swapped" if len(moved) == 2 else f"x, y, z are {', '.join(AXES[i] for i in order)}"
            )
        if any(flipped):
            ends = [AXES[i] for i in range(3) if flipped[i]]
            said.append(f"{' and '.join(ends)} {'counts' if len(ends) == 1 else 'count'} from the far end")
        yield Hypothesis(
            ", ".join(said), "write the columns as x, y, z of this tomogram; was one of the two rotated or mirrored?",
            _AxisChange(order, flipped),
        )  # fmt: skip


@dataclass(frozen=True)
class _AxisChange:
    order: tuple[int, ...]
    flipped: tuple[bool, ...]

    def __call__(self, positions: Positions, frame: Frame) -> Positions:
        moved = positions[:, self.order]
        last = (np.array(frame.shape[::-1]) - 1) * frame.voxel_size
        changed: Positions = np.where(self.flipped, last - moved, moved)
        return changed


def _scales(voxel_size: float) -> Iterator[Hypothesis]:
    for factor in FACTORS:
        words = f"{1 / factor:g} times too large" if factor < 1 else f"{factor:g} times too small"
        yield Hypothesis(
            f"the coordinates are {words}", f"give --picks-pixel-size {voxel_size * factor:.5g}", _Scaled(factor)
        )
    yield Hypothesis("the coordinates are Å, taken for voxels", "give --picks-unit angstrom", _Scaled(1 / voxel_size))
    yield Hypothesis("the coordinates are voxels, taken for Å", "give --picks-unit voxel", _Scaled(voxel_size))


@dataclass(frozen=True)
class _Scaled:
    factor: float

    def __call__(self, positions: Positions, frame: Frame) -> Positions:
        return positions * self.factor


def _origins() -> Iterator[Hypothesis]:
    yield Hypothesis(
        "they count from the tomogram's centre, not from its first voxel",
        "name the format with --from, or add half the tomogram's size to each",
        lambda positions, frame: positions + frame.centre,
    )
    yield Hypothesis(
        "they count from the first voxel, and half the tomogram's size was added",
        "name the format with --from, or take half the tomogram's size off each",
        lambda positions, frame: positions - frame.centre,
    )
