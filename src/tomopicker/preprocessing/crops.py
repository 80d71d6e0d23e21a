"""Crops of volumes: regions that may reach beyond the border, random crops within a mask, a mask's bounding box."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from tomopicker.types import Volume, VoxelMask

Crop = Float32[np.ndarray, "size size size"]

MAX_TRIES = 1000
"""Corners drawn before one outside a mask is accepted."""


def read_padded(array: np.ndarray, region: Sequence[slice], fill: int = 0) -> np.ndarray:
    """Read a region that may reach beyond the array, with `fill` there (0 is the mean of a working volume).

    A mirrored volume would make whole particles of those that its border cuts.
    """
    inside = [slice(max(0, r.start), max(0, min(edge, r.stop))) for r, edge in zip(region, array.shape, strict=True)]
    overlap = array[tuple(inside)]
    if inside == list(region):
        return overlap
    padded = np.full([r.stop - r.start for r in region], fill, dtype=array.dtype)
    if overlap.size:
        shifts = zip(inside, region, strict=True)
        padded[tuple(slice(i.start - r.start, i.stop - r.start) for i, r in shifts)] = overlap
    return padded


def pad_to(array: np.ndarray, shape: Sequence[int], fill: int) -> np.ndarray:
    """Pad an array at the far ends to at least a shape; the array itself where it is large enough."""
    return read_padded(array, [slice(0, max(pair)) for pair in zip(array.shape, shape, strict=True)], fill)


def cube(corner: Sequence[int] | np.ndarray, size: int) -> tuple[slice, ...]:
    """Return the region of a cube from its first voxel (z, y, x) and its edge."""
    return tuple(slice(int(first), int(first) + size) for first in corner)


def bounding_box(mask: VoxelMask, margin: int = 0, multiple: int = 1) -> tuple[slice, ...]:
    """Return the smallest box that holds a mask, with a margin (voxels), starting at a multiple; within the volume."""
    box = []
    for axis, edge in enumerate(mask.shape):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        first = max(0, int(hit[0]) - margin) if len(hit) else 0
        last = min(edge, int(hit[-1]) + 1 + margin) if len(hit) else 0
        box.append(slice(first - first % multiple, last))
    return tuple(box)


def sample_crop_corner(mask: VoxelMask, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the first voxel (z, y, x) of a crop with a probability proportional to the crop's voxels within a mask.

    Parameters
    ----------
    mask : VoxelMask
        At least `size` along each axis.
    size : int
        Edge of the crop.
    rng : Generator
    """
    room = np.array(mask.shape) - size + 1
    for _ in range(MAX_TRIES):
        corner = rng.integers(0, room)
        if mask[tuple(corner + rng.integers(0, size, 3))]:
            break
    return corner


def random_crops(volume: Volume, size: int, count: int, seed: int = 0, mask: VoxelMask | None = None) -> Iterator[Crop]:
    """Draw cubic crops of a volume, (z, y, x), at least `size` along each axis; the same for the same seed.

    Parameters
    ----------
    volume : Volume
    size : int
        Edge of the crops.
    count : int
    seed : int
    mask : VoxelMask, optional
        Of the volume: crops lie in it, at least in part.
    """
    rng = np.random.default_rng(seed)
    corners = (
        rng.integers(0, np.array(volume.shape) - size + 1, (count, 3))
        if mask is None
        else (sample_crop_corner(mask, size, rng) for _ in range(count))
    )
    for corner in corners:
        yield volume[cube(corner, size)]
