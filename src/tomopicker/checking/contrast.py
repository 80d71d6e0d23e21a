"""Contrast maps: tomograms filtered at the particle's scale with dark made positive, and places to compare picks with.

A difference of Gaussians knows nothing of the particle but its diameter, so it favours no hypothesis of the positions.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64
from scipy.ndimage import gaussian_filter, map_coordinates

from tomopicker.data.crops import cube, read_padded
from tomopicker.data.preprocess import WorkingVolume, preprocess, working_voxel_size
from tomopicker.data.subtomograms import binned
from tomopicker.geometry import Frame
from tomopicker.moments import moments_of
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Scores

WORKING_DIAMETER = 11.0
"""Of the particle in working voxels, about: finer than this the filter would only smooth away again."""
INNER, OUTER = 0.5, 1.2
"""Standard deviations of the two Gaussians, in radii of the particle."""
CLIP_SD = 4.0
FEW_PICKS = 10
"""Picks below which their own coordinates are too few to make background places of, and to prove anything."""
MIN_PLACES = 200
"""Background places, at least."""


def working_volume(tomogram: Tomogram, diameter: float) -> WorkingVolume:
    """Make the volume that is filtered, read slab by slab; the diameter of the particle is in Å."""
    return preprocess(tomogram, working_voxel_size(tomogram.voxel_size, diameter, WORKING_DIAMETER), CLIP_SD)


def contrast_map(working: WorkingVolume, diameter: float) -> WorkingVolume:
    """Filter a working volume; the map has mean 0 and standard deviation 1, protein positive.

    Parameters
    ----------
    working : WorkingVolume
        Left as it is.
    diameter : float
        Of the particle, Å; of another one than the volume was made for, down to half of it, if that is asked.
    """
    radius = diameter / 2 / working.voxel_size
    values = gaussian_filter(working.data, OUTER * radius)
    values -= gaussian_filter(working.data, INNER * radius)
    moments = moments_of(values)
    values -= np.float32(moments.mean)
    values /= np.float32(max(moments.sd, 1e-30))
    return replace(working, data=values)


def halved(working: WorkingVolume) -> WorkingVolume:
    """Average cubes of 2 voxels a side; a volume too thin for that stays as it is."""
    if min(working.data.shape) < 2:
        return working
    return replace(
        working, data=binned(working.data, 2), voxel_size=2 * working.voxel_size, ratio=2 * working.ratio, mask=None
    )


def contrast_at(contrast: WorkingVolume, positions: Positions) -> Scores:
    """Interpolate a contrast map at positions, (x, y, z) in Å; 0, which is the mean, outside the tomogram."""
    voxels = contrast.from_angstrom(positions)[:, ::-1].T
    values: Scores = map_coordinates(contrast.data, voxels, order=1, mode="constant", cval=0.0, output=np.float64)
    return values


def sum_around(contrast: WorkingVolume, positions: Positions, reach: int) -> Float32[np.ndarray, "edge edge edge"]:
    """Sum the cubes of a contrast map around positions (Å), to `reach` working voxels; 0 outside the tomogram."""
    edge = 2 * reach + 1
    total = np.zeros((edge, edge, edge), dtype=np.float32)
    for corner in np.round(contrast.from_angstrom(positions)[:, ::-1]).astype(int) - reach:
        total += read_padded(contrast.data, cube(corner, edge))
    return total


def shuffled_background(
    positions: Positions, copies: int, rng: np.random.Generator, frame: Frame
) -> Float64[np.ndarray, "m 3"]:
    """Make background places from x, y and z of different picks, so that each axis is filled alike.

    Random places in the whole volume would compare the cell with the vacuum around it. Fewer than `FEW_PICKS` have too
    few coordinates for that: a single one would be compared with itself. Their places lie anywhere in x and y, at the
    depths of the picks.

    Parameters
    ----------
    positions : Positions
        (x, y, z) in Å.
    copies : int
        Places for each position, or more where positions are few.
    rng : Generator
    frame : Frame
        Of the tomogram.

    Returns
    -------
    Positions
        (x, y, z) in Å.
    """
    shuffled = np.stack([rng.permuted(np.tile(axis, (copies, 1)), axis=1) for axis in positions.T], axis=-1)
    if len(positions) >= FEW_PICKS:
        return np.asarray(shuffled.reshape(-1, 3))
    count = max(copies * len(positions), MIN_PLACES) if copies > 1 else len(positions)
    last = (np.array(frame.shape[::-1]) - 1) * frame.voxel_size
    places = rng.uniform(0, last, (count, 3))
    places[:, 2] = np.resize(positions[:, 2], count)
    return places
