"""Subtomograms: only their boxes are read, and one is held in memory at a time."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Int

from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Volume


def subtomograms(tomogram: Tomogram, positions: Positions, box: int, binning: int = 1) -> Iterator[tuple[int, Volume]]:
    """Extract a box around each position, which is the centre of voxel ``box // 2`` of each axis.

    Parameters
    ----------
    tomogram : Tomogram
        Only the boxes are read.
    positions : Positions
        (x, y, z) in Å from the centre of the first voxel.
    box : int
        Edge in voxels, after binning.
    binning : int
        Number of voxels of the tomogram, along each axis, averaged to one of the box.

    Yields
    ------
    int, Volume
        The row of the position and its box, (z, y, x); in the order of z. Voxels between the tomogram's are
        interpolated linearly. Voxels outside the tomogram are the mean of those inside; boxes without voxels inside
        are skipped.
    """
    centre = box // 2 * binning + (binning - 1) / 2
    corners = tomogram.to_voxels(positions)[:, ::-1] - centre
    whole = np.floor(corners).astype(int)
    for row in np.argsort(whole[:, 0], kind="stable").tolist():
        read = _read_box(tomogram, whole[row], box * binning + 1)
        if read is not None:
            yield row, binned(_shift_subvoxel(read, corners[row] - whole[row]), binning)


def binned(volume: Volume, factor: int) -> Float32[np.ndarray, "Z Y X"]:
    """Average cubes of `factor` voxels a side; incomplete cubes at the far ends are dropped."""
    if factor == 1:
        return volume
    nz, ny, nx = (edge // factor for edge in volume.shape)
    mean: Float32[np.ndarray, "Z Y X"] = volume[: nz * factor, : ny * factor, : nx * factor]
    # One axis after the other is four times as fast as a mean over small cubes.
    for axis in range(3):
        ahead = np.moveaxis(mean, axis, 0)
        total = ahead[::factor].copy()
        for offset in range(1, factor):
            total += ahead[offset::factor]
        mean = np.moveaxis(total, 0, axis)
    return np.ascontiguousarray(mean / np.float32(factor**3))


def _read_box(tomogram: Tomogram, corner: Int[np.ndarray, " 3"], edge: int) -> Volume | None:
    """Read a cube (z, y, x), with the mean of its voxels inside the tomogram outside it; None if there are none."""
    low = np.maximum(corner, 0)
    high = np.minimum(corner + edge, tomogram.shape)
    if (low >= high).any():
        return None
    inside = tomogram.part(*(slice(int(a), int(b)) for a, b in zip(low, high, strict=True)))
    if inside.shape == (edge, edge, edge):
        return inside
    cube = np.full((edge, edge, edge), inside.mean(dtype=np.float64), dtype=np.float32)
    cube[tuple(slice(int(a), int(b)) for a, b in zip(low - corner, high - corner, strict=True))] = inside
    return cube


def _shift_subvoxel(
    cube: Float32[np.ndarray, "e e e"], fraction: Float[np.ndarray, " 3"]
) -> Float32[np.ndarray, "e-1 e-1 e-1"]:
    """Shift a cube by a fraction of a voxel along each axis; it gets one voxel smaller."""
    for axis, part in enumerate(fraction.astype(np.float32).tolist()):
        ahead = np.moveaxis(cube, axis, 0)
        cube = np.moveaxis(ahead[:-1] * np.float32(1 - part) + ahead[1:] * np.float32(part), 0, axis)
    return np.ascontiguousarray(cube)
