"""Mean and standard deviation of values that are read in parts, and the statistics of a tomogram."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Num

from tomopicker.tomogram import Tomogram

PART = 2**20
"""Number of values that are converted to float64 at a time."""
SLAB_BYTES = 32 * 2**20
"""Maximum size of the part of a tomogram that is read at a time."""


@dataclass(frozen=True)
class Moments:
    """Moments of values, as float64.

    Parameters
    ----------
    count : int
    mean : float
        NaN without values.
    squares : float
        Sum of the squared differences from the mean.
    """

    count: int
    mean: float
    squares: float

    @property
    def sd(self) -> float:
        """Standard deviation; NaN without values."""
        return math.sqrt(self.squares / self.count) if self.count else math.nan


def moments(parts: Iterable[Num[np.ndarray, "..."]]) -> Moments:
    """Compute the moments of values that come in parts, copying `PART` of them at a time.

    Those of two parts are combined without cancellation (Chan, Golub and LeVeque, The American Statistician 37, 1983).

    Parameters
    ----------
    parts : iterable of array
        Of any shape and real type.
    """
    count, mean, squares = 0, 0.0, 0.0
    for part in parts:
        flat = part.reshape(-1)
        for start in range(0, flat.size, PART):
            values = flat[start : start + PART].astype(np.float64)
            part_mean, total = float(values.mean()), count + values.size
            values -= part_mean
            squares += float(np.dot(values, values)) + (part_mean - mean) ** 2 * count * values.size / total
            mean += (part_mean - mean) * values.size / total
            count = total
    return Moments(count, mean if count else math.nan, squares)


def moments_of(volume: Num[np.ndarray, "z y x"], mask: Bool[np.ndarray, "z y x"] | None = None) -> Moments:
    """Compute the moments of a volume's voxels, or of those in a mask, section by section."""
    return moments(section if mask is None else section[mask[index]] for index, section in enumerate(volume))


@dataclass(frozen=True)
class Statistics:
    """Statistics of the finite voxels of a tomogram; NaN without any.

    Parameters
    ----------
    minimum, mean, maximum, sd : float
    not_finite : int
        Number of voxels that are NaN or infinite.
    """

    minimum: float
    mean: float
    maximum: float
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
    low, high = math.inf, -math.inf

    def parts() -> Iterator[Num[np.ndarray, "..."]]:
        nonlocal low, high
        for block in tomogram.blocks(SLAB_BYTES):
            voxels = tomogram.part(*block)
            finite = voxels[np.isfinite(voxels)]
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
                yield finite

    finite = moments(parts())
    if not finite.count:
        low = high = math.nan
    return Statistics(low, finite.mean, high, finite.sd, math.prod(tomogram.shape) - finite.count)
