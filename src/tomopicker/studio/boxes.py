"""Subtomograms of single particles: a cache of them, their mean, and the centre of a particle near a click."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tomopicker.output.particles import cut_box, mean_box
from tomopicker.preprocessing.subtomograms import subtomograms
from tomopicker.studio.listing import Listing
from tomopicker.tomogram import Tomogram
from tomopicker.types import Volume

MAX_AVERAGED = 200
"""Maximum number of particles in a mean; the latest are taken."""
MAX_BOXES = 600
MAX_SHIFT = 0.5
"""Maximum distance of a centre from its click, in particle diameters."""

XYZ = tuple[float, float, float]


class Boxes:
    """Boxes around particles of the listed tomograms; the most recently used are kept."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self.get = lru_cache(MAX_BOXES)(self._cut)

    def _cut(self, tomogram: str, xyz: XYZ, diameter: float) -> Volume | None:
        """Cut a box around (x, y, z) in Å; None outside the tomogram."""
        return cut_box(self._listing.tomogram(tomogram), np.asarray([xyz], dtype=np.float64), diameter)

    def mean(self, places: Iterable[tuple[str, XYZ]], diameter: float) -> tuple[Volume | None, int]:
        """Average the boxes at the latest positions; return the mean and the number of boxes."""
        latest = list(places)[-MAX_AVERAGED:]
        boxes = [box for tomogram, xyz in latest if (box := self.get(tomogram, xyz, diameter)) is not None]
        return mean_box(boxes)


def refine_click(tomogram: Tomogram, xyz: XYZ, diameter: float, axis: int) -> XYZ:
    """Move a click to the centre of the particle along the axis perpendicular to the plane it was made in.

    Parameters
    ----------
    tomogram : Tomogram
    xyz : tuple of float
        Click, Å.
    diameter : float
        Diameter of the particle, Å.
    axis : int
        Unseen axis: 0, 1, 2 for x, y, z.

    Returns
    -------
    tuple of float
        (x, y, z) in Å; the click itself if darkness has no minimum within `MAX_SHIFT`.

    Notes
    -----
    Darkness is the mean over a Gaussian column with a standard deviation of 0.3 diameters, filtered along the axis by a
    difference of Gaussians (0.25 and 0.8 diameters); the minimum is interpolated by a parabola.
    """
    voxel = tomogram.voxel_size
    binning = max(1, int(diameter / voxel / 12))
    step = voxel * binning
    radius = diameter / 2 / step
    half_width, half_length = int(np.ceil(radius)), int(np.ceil(4 * radius))
    edge = 2 * half_length + 1
    cut = next(subtomograms(tomogram, np.asarray([xyz], dtype=np.float64), edge, binning), None)
    if cut is None:
        return xyz
    box = np.moveaxis(cut[1], 2 - axis, 0)
    middle = slice(half_length - half_width, half_length + half_width + 1)
    grid = np.arange(-half_width, half_width + 1, dtype=np.float32)
    weight = np.exp(-(grid[:, None] ** 2 + grid[None] ** 2) / (2 * (0.6 * radius) ** 2))
    column = (box[:, middle, middle] * weight).sum(axis=(1, 2)) / weight.sum()
    profile = gaussian_filter1d(column, 0.5 * radius) - gaussian_filter1d(column, 1.6 * radius)
    reach = int(np.ceil(2 * MAX_SHIFT * radius))
    near = profile[half_length - reach : half_length + reach + 1]
    lowest = int(near.argmin())
    if lowest in {0, len(near) - 1}:
        return xyz
    before, here, after = near[lowest - 1 : lowest + 2].tolist()
    curvature = before - 2 * here + after
    offset = lowest - reach + (0.5 * (before - after) / curvature if curvature > 0 else 0.0)
    first = tomogram.origin[axis]
    last = first + (tomogram.shape[2 - axis] - 1) * voxel
    moved = list(xyz)
    moved[axis] = round(float(np.clip(xyz[axis] + offset * step, first, last)), 3)
    return moved[0], moved[1], moved[2]
