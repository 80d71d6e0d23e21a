"""Mean and spread of more values than are held at a time, and the statistics of a tomogram."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Num

from tomopicker.tomogram import Tomogram

PART = 2**20
"""Values that are made float64 at a time."""
SLAB_BYTES = 32 * 2**20
"""Of a tomogram, read at a time."""


@dataclass(frozen=True)
class Moments:
    """Of some values, as float64.

    Parameters
    ----------
    count : int
    mean : float
        NaN of no values.
    squares : float
        Sum of the squared differences from the mean.
    """

    count: int
    mean: float
    squares: float

    @property
    def sd(self) -> float:
        """Standard deviation; NaN of no values."""
        return math.sqrt(self.squares / self.count) if self.count else math.nan


def moments(parts: Iterable[Num[np.ndarray, "..."]]) -> Moments:
    """Gather the moments of values that come in parts, a copy of `PART` of them at a time.

    Those of two parts combine without cancelling (Chan, Golub and LeVeque, The American Statistician 37, 1983).

    Parameters
    ----------
    parts : iterable of array
        Of any shapes and real types.
    """
    count, mean, squares = 0, 0.0, 0.0
    for part in parts:
        flat = part.reshape(-1)
        for start in range(0, flat.size, PART):
            values = flat[start : start + PART].astype(np.float64)
            middle, total = float(values.mean()), count + values.size
            values -= middle
            squares += float(np.dot(values, values)) + (middle - mean) ** 2 * count * values.size / total
            mean += (middle - mean) * values.size / total
            count = total
    return Moments(count, mean if count else math.nan, squares)


def moments_of(volume: Num[np.ndarray, "z y x"], mask: Bool[np.ndarray, "z y x"] | None = None) -> Moments:
    """Gather the moments of a volume's voxels, or of those where a mask is True, section by section."""
    return moments(section if mask is None else section[mask[index]] for index, section in enumerate(volume))


@dataclass(frozen=True)
class Statistics:
    """Of the finite voxels of a tomogram; NaN without any.

    Parameters
    ----------
    least, mean, most, sd : float
    not_finite : int
        Number of voxels that are NaN or infinite.
    """

    least: float
    mean: float
    most: float
    sd: float
    not_finite: int

    @property
    def problem(self) -> str:
        """Why training and picking refuse the tomogram; empty if they do not."""
        if self.not_finite:
            return f"{self.not_finite} voxels are NaN or infinite; 'train' and 'pick' refuse it"
        return "all voxels are the same; 'train' and 'pick' refuse it" if self.sd == 0 else ""


def statistics(tomogram: Tomogram) -> Statistics:
    """Compute the statistics of the finite voxels of a tomogram of any size."""
    least, most = math.inf, -math.inf

    def parts() -> Iterator[Num[np.ndarray, "..."]]:
        nonlocal least, most
        for block in tomogram.blocks(SLAB_BYTES):
            voxels = tomogram.part(*block)
            finite = voxels[np.isfinite(voxels)]
            if finite.size:
                least, most = min(least, float(finite.min())), max(most, float(finite.max()))
                yield finite

    found = moments(parts())
    if not found.count:
        least = most = math.nan
    return Statistics(least, found.mean, most, found.sd, math.prod(tomogram.shape) - found.count)
