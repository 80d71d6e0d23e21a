"""Cubes cut anywhere in a volume, volumes padded so that they hold one, and the box that holds a mask."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from tomopicker.types import Volume, VoxelMask

Cube = Float32[np.ndarray, "size size size"]


def pad_to(array: np.ndarray, shape: Sequence[int], value: int) -> np.ndarray:
    """Pad an array behind to at least a shape; the array itself where it is large enough."""
    missing = [max(0, wanted - have) for have, wanted in zip(array.shape, shape, strict=True)]
    return np.pad(array, [(0, m) for m in missing], constant_values=value) if any(missing) else array


def bounding_box(mask: VoxelMask, margin: int = 0, multiple: int = 1) -> tuple[slice, ...]:
    """Give the smallest box that holds a mask, with a margin (voxels), starting at a multiple; within the volume."""
    box = []
    for axis, edge in enumerate(mask.shape):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        first = max(0, int(hit[0]) - margin) if len(hit) else 0
        last = min(edge, int(hit[-1]) + 1 + margin) if len(hit) else 0
        box.append(slice(first - first % multiple, last))
    return tuple(box)


TRIES = 1000
"""Places drawn before one outside a mask is taken."""


def sample_crop_corner(mask: VoxelMask, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the first voxel (z, y, x) of a cube, as often as the share of the cube that lies inside a mask.

    Parameters
    ----------
    mask : VoxelMask
        At least `size` along each axis.
    size : int
        Edge of the cube.
    rng : Generator
    """
    room = np.array(mask.shape) - size + 1
    for _ in range(TRIES):
        corner = rng.integers(0, room)
        if mask[tuple(corner + rng.integers(0, size, 3))]:
            break
    return corner


def random_crops(volume: Volume, size: int, count: int, seed: int = 0, mask: VoxelMask | None = None) -> Iterator[Cube]:
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
    mask : VoxelMask, optional
        Of the volume: cubes lie in it, at least in part.
    """
    if mask is not None:
        rng = np.random.default_rng(seed)
        for z, y, x in (sample_crop_corner(mask, size, rng) for _ in range(count)):
            yield volume[z : z + size, y : y + size, x : x + size]
        return
    room = np.array(volume.shape) - size + 1
    for z, y, x in np.random.default_rng(seed).integers(0, room, (count, 3)):
        yield volume[z : z + size, y : y + size, x : x + size]
