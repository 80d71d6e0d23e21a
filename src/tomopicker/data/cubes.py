"""Cubes cut anywhere in a volume, and volumes padded so that they hold one."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from tomopicker.types import Volume

Cube = Float32[np.ndarray, "size size size"]


def padded(array: np.ndarray, shape: Sequence[int], value: int) -> np.ndarray:
    """Pad an array behind to at least a shape; the array itself where it is large enough."""
    missing = [max(0, wanted - have) for have, wanted in zip(array.shape, shape, strict=True)]
    return np.pad(array, [(0, m) for m in missing], constant_values=value) if any(missing) else array


def random_cubes(volume: Volume, size: int, count: int, seed: int = 0) -> Iterator[Cube]:
    """Cut cubes anywhere in a volume, the same for the same seed.

    Parameters
    ----------
    volume : Volume
        (z, y, x), at least `size` along each axis.
    size : int
        Edge of the cubes.
    count : int
        How many.
    seed : int
        Of their places.
    """
    room = np.array(volume.shape) - size + 1
    for z, y, x in np.random.default_rng(seed).integers(0, room, (count, 3)):
        yield volume[z : z + size, y : y + size, x : x + size]
