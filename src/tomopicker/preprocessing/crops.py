"""Crops of volumes: regions that may extend beyond the border, random crops within a mask, bounding boxes of masks."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from tomopicker.types import Volume, VoxelMask

Crop = Float32[np.ndarray, "size size size"]

MAX_TRIES = 1000
"""Maximum number of corners drawn before one outside a mask is accepted."""


def read_padded(array: np.ndarray, region: Sequence[slice], fill: int = 0) -> np.ndarray:
    """Read a region that may extend beyond the array, padded with `fill` (0 is the mean of a working volume).

    Mirroring the volume would complete particles that its border cuts.
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
    """Pad an array at the far ends to at least a shape; return it unchanged if it is large enough."""
    return read_padded(array, [slice(0, max(pair)) for pair in zip(array.shape, shape, strict=True)], fill)


def cube(corner: Sequence[int] | np.ndarray, size: int) -> tuple[slice, ...]:
    """Return the region of a cube given its first voxel (z, y, x) and its edge."""
    return tuple(slice(int(start), int(start) + size) for start in corner)


def bounding_box(mask: VoxelMask, margin: int = 0, multiple: int = 1) -> tuple[slice, ...]:
    """Return the bounding box of a mask plus a margin (voxels), within the volume; it starts at a multiple."""
    box = []
    for axis, edge in enumerate(mask.shape):
        occupied = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        start = max(0, int(occupied[0]) - margin) if len(occupied) else 0
        stop = min(edge, int(occupied[-1]) + 1 + margin) if len(occupied) else 0
        box.append(slice(start - start % multiple, stop))
    return tuple(box)


def sample_crop_corner(mask: VoxelMask, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the first voxel (z, y, x) of a crop, with a probability proportional to its number of voxels in a mask.

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
    """Draw cubic crops of a volume, (z, y, x), of at least `size` along each axis; reproducible by the seed.

    Parameters
    ----------
    volume : Volume
    size : int
        Edge of the crops.
    count : int
    seed : int
    mask : VoxelMask, optional
        Crops lie at least partly in it.
    """
    rng = np.random.default_rng(seed)
    corners = (
        rng.integers(0, np.array(volume.shape) - size + 1, (count, 3))
        if mask is None
        else (sample_crop_corner(mask, size, rng) for _ in range(count))
    )
    for corner in corners:
        yield volume[cube(corner, size)]
