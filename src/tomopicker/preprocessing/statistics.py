"""Statistics of the voxels of a tomogram, slab by slab."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from tomopicker.moments import moments
from tomopicker.tomogram import Tomogram

SLAB_BYTES = 32 * 2**20


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
