"""Common coordinate errors as hypotheses, each with the transform that corrects it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from tomopicker.geometry import Frame
from tomopicker.types import Positions

_AXES = "xyz"
_FACTORS = (2.0, 0.5, 3.0, 1 / 3, 4.0, 0.25, 8.0, 0.125)


@dataclass(frozen=True)
class Hypothesis:
    """A possible error in coordinates, and the transform that corrects it.

    Parameters
    ----------
    message : str
        Description of the error.
    fix : str
        The remedy.
    order : tuple of int
        Indices of the columns that are x, y and z.
    flipped : tuple of bool
        Whether x, y and z count from the far end.
    factor : float
        Factor on the coordinates.
    centres : int
        Multiple of the centre that is added after scaling.
    """

    message: str
    fix: str
    order: tuple[int, ...] = (0, 1, 2)
    flipped: tuple[bool, ...] = (False, False, False)
    factor: float = 1.0
    centres: int = 0

    def transform(self, positions: Positions, frame: Frame) -> Positions:
        """Correct positions, (x, y, z) in Å from the centre of the first voxel."""
        moved = positions[:, self.order] * self.factor + self.centres * frame.centre
        return np.asarray(np.where(self.flipped, frame.last_voxel - moved, moved))


def hypotheses(voxel_size: float) -> list[Hypothesis]:
    """List the hypotheses to test: 47 of axes, 10 of scale, 2 of origin.

    Parameters
    ----------
    voxel_size : float
        Voxel size of the tomograms in Å; Å taken for voxels, and voxels taken for Å, are among the scales.
    """
    return [*_axes(), *_scales(voxel_size), *_origins()]


def _axes() -> Iterator[Hypothesis]:
    """Yield every order and direction of the axes except the identity."""
    fix = "write the columns as x, y, z of this tomogram; was one of the two rotated or mirrored?"
    for order, flipped in product(permutations(range(3)), product((False, True), repeat=3)):
        messages = []
        moved = [_AXES[i] for i in range(3) if order[i] != i]
        if len(moved) == 2:
            messages.append(f"{' and '.join(moved)} are swapped")
        elif moved:
            messages.append(f"x, y, z are {', '.join(_AXES[i] for i in order)}")
        if any(flipped):
            ends = [axis for axis, flip in zip(_AXES, flipped, strict=True) if flip]
            messages.append(f"{' and '.join(ends)} {'counts' if len(ends) == 1 else 'count'} from the far end")
        if messages:
            yield Hypothesis(", ".join(messages), fix, order, flipped)


def _scales(voxel_size: float) -> Iterator[Hypothesis]:
    for factor in _FACTORS:
        error = f"{1 / factor:g} times too large" if factor < 1 else f"{factor:g} times too small"
        fix = f"give --picks-pixel-size {voxel_size * factor:.5g}"
        yield Hypothesis(f"the coordinates are {error}", fix, factor=factor)
    for unit, other, factor in (("Å", "voxels", 1 / voxel_size), ("voxels", "Å", voxel_size)):
        fix = f"give --picks-unit {'angstrom' if unit == 'Å' else 'voxel'}"
        yield Hypothesis(f"the coordinates are {unit}, taken for {other}", fix, factor=factor)


def _origins() -> Iterator[Hypothesis]:
    half, fix = "half the tomogram's size", "name the format with --from, or"
    yield Hypothesis(
        "they count from the tomogram's centre, not from its first voxel", f"{fix} add {half} to each", centres=1
    )
    yield Hypothesis(
        f"they count from the first voxel, and {half} was added", f"{fix} take {half} off each", centres=-1
    )
