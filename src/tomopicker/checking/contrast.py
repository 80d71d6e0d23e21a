"""How much a place looks as if a particle were there: a tomogram filtered at the particle's scale, dark made positive.

A difference of Gaussians knows nothing of the particle but its diameter, so it favours no reading of the positions.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64
from scipy.ndimage import gaussian_filter, map_coordinates

from tomopicker.data.preprocess import WorkingVolume, preprocess, working_voxel_size
from tomopicker.moments import moments_of
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Scores, Volume

DIAMETER = 11.0
"""Of the particle in working voxels, about: finer than this the filter would only smooth away again."""
INNER, OUTER = 0.5, 1.2
"""Standard deviations of the two Gaussians, in radii of the particle."""
CLIP_SD = 4.0


@dataclass(frozen=True)
class ContrastMap:
    """The filtered tomogram.

    Parameters
    ----------
    working : WorkingVolume
        Filtered, (z, y, x), mean 0 and standard deviation 1, protein positive; and how it lies in the tomogram.
    """

    working: WorkingVolume

    @property
    def values(self) -> Volume:
        """The filtered volume, (z, y, x)."""
        return self.working.data

    def at(self, positions: Positions) -> Scores:
        """Give the contrast at positions, (x, y, z) in Å; 0, which is the mean, outside the tomogram."""
        where = self.working.from_angstrom(positions)[:, ::-1].T
        found: Scores = map_coordinates(self.values, where, order=1, mode="constant", cval=0.0, output=np.float64)
        return found

    def around(self, positions: Positions, reach: int) -> Float32[np.ndarray, "edge edge edge"]:
        """Add up cubes of the map about positions (Å), to `reach` working voxels.

        What lies outside the tomogram counts as the mean, 0.
        """
        edge = 2 * reach + 1
        total = np.zeros((edge, edge, edge), dtype=np.float32)
        shape = np.array(self.values.shape)
        corners = np.round(self.working.from_angstrom(positions)[:, ::-1]).astype(int) - reach
        for corner in corners:
            low, high = np.maximum(corner, 0), np.minimum(corner + edge, shape)
            if (low < high).all():
                there = tuple(slice(int(a), int(b)) for a, b in zip(low - corner, high - corner, strict=True))
                total[there] += self.values[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
        return total


def contrast_map(tomogram: Tomogram, diameter: float) -> ContrastMap:
    """Filter a tomogram.

    Parameters
    ----------
    tomogram : Tomogram
        Read slab by slab.
    diameter : float
        Of the particle, Å.
    """
    working = preprocess(tomogram, working_voxel_size(tomogram.voxel_size, diameter, DIAMETER), CLIP_SD)
    radius = diameter / 2 / working.voxel_size
    values = gaussian_filter(working.data, OUTER * radius)
    values -= gaussian_filter(working.data, INNER * radius)
    found = moments_of(values)
    values -= np.float32(found.mean)
    values /= np.float32(found.sd)
    return ContrastMap(replace(working, data=values))


def elsewhere(positions: Positions, copies: int, rng: np.random.Generator) -> Float64[np.ndarray, "m 3"]:
    """Make positions that no particle need be at: x, y and z of different picks, so that each axis is filled alike.

    Random places in the whole volume would compare the cell with the vacuum around it.

    Returns
    -------
    Positions
        `copies` · n rows, (x, y, z) in Å.
    """
    shuffled = [np.stack([rng.permutation(axis) for axis in positions.T], axis=1) for _ in range(copies)]
    return np.concatenate(shuffled)
