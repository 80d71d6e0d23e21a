"""Single particles as pictures: projections along three axes, the mean of many, and the centre beside a click."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.ndimage import gaussian_filter1d

from tomopicker.data.subtomograms import subtomograms
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Volume

EDGE = 1.7
"""Of a box, in particle diameters."""
PIXELS = 48
"""Of a box's edge at most, about."""
MOST_CLICKS = 200
"""Particles that a running mean is of, the latest."""
KEPT = 600
REACH = 0.5
"""How far from a click its centre is looked for, in particle diameters."""

Picture = UInt8[np.ndarray, "row column"]
Key = tuple[str, float, float, float, float]


def box_size(diameter: float, voxel_size: float) -> tuple[int, int]:
    """Give the edge of a box in binned voxels, odd, and the binning."""
    wide = EDGE * diameter / voxel_size
    binning = max(1, round(wide / PIXELS))
    return 2 * int(np.ceil(wide / binning / 2)) + 1, binning


def cut_box(tomogram: Tomogram, position: Positions, diameter: float) -> Volume | None:
    """Cut a box around one position (1 row, Å), at mean 0 and standard deviation 1; None outside the tomogram."""
    edge, binning = box_size(diameter, tomogram.voxel_size)
    for _, box in subtomograms(tomogram, position, edge, binning):
        spread = float(box.std())
        normal: Volume = (box - box.mean()) / np.float32(spread or 1.0)
        return normal
    return None


@dataclass
class Boxes:
    """Boxes that were cut, the latest used kept."""

    _kept: "OrderedDict[Key, Volume | None]" = field(default_factory=OrderedDict)

    def get(self, tomogram: Tomogram, xyz: tuple[float, float, float], diameter: float) -> Volume | None:
        """Cut a box around (x, y, z) in Å, or give the one that was cut before."""
        key = (tomogram.name, *xyz, diameter)
        if key not in self._kept:
            self._kept[key] = cut_box(tomogram, np.asarray([xyz], dtype=np.float64), diameter)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def mean(
        self, wanted: Iterable[tuple[Tomogram, tuple[float, float, float]]], diameter: float
    ) -> tuple[Volume | None, int]:
        """Average the boxes of the latest positions that have one size; give how many there were."""
        boxes = [
            box
            for tomogram, xyz in list(wanted)[-MOST_CLICKS:]
            if (box := self.get(tomogram, xyz, diameter)) is not None
        ]
        same = [box for box in boxes if box.shape == boxes[0].shape]
        if not same:
            return None, 0
        mean: Volume = np.stack(same).mean(axis=0, dtype=np.float32)
        return mean, len(same)


def projections(box: Volume, *, slab: float = 1.0, inverted: bool = False) -> Picture:
    """Draw a box's projections along z, y and x beside each other.

    Parameters
    ----------
    box : Volume
        Of `cut_box`: `EDGE` diameters wide.
    slab : float
        Thickness of what is projected, in particle diameters.
    inverted : bool
    """
    edge = len(box)
    half = max(1, round(slab * edge / EDGE / 2))
    inside = slice(max(0, edge // 2 - half), edge // 2 + half + 1)
    planes = [box[inside].mean(axis=0), box[:, inside].mean(axis=1), box[:, :, inside].mean(axis=2)]
    drawn = [_stretched(plane[::-1]) for plane in planes]
    gap = np.full((edge, 1), 0, dtype=np.uint8)
    picture: Picture = np.concatenate([drawn[0], gap, drawn[1], gap, drawn[2]], axis=1)
    return 255 - picture if inverted else picture


def refined(
    tomogram: Tomogram, xyz: tuple[float, float, float], diameter: float, axis: int
) -> tuple[float, float, float]:
    """Move a click along the axis that was not seen to where a dark ball of the particle's size fits best.

    Parameters
    ----------
    tomogram : Tomogram
    xyz : tuple of float
        Å.
    diameter : float
        Å, of the particle.
    axis : int
        0, 1, 2 for x, y, z: the one perpendicular to the plane that was clicked in.

    Returns
    -------
    tuple of float
        (x, y, z) in Å; the click itself where the profile along the axis has no minimum within reach.

    Notes
    -----
    Darkness is the mean over a Gaussian column as wide as a third of the particle, smoothed along the axis by a
    quarter of it less a wider mean (a difference of Gaussians): its minimum is the middle of what is dark.
    """
    voxel = tomogram.voxel_size
    binning = max(1, int(diameter / voxel / 12))
    step = voxel * binning
    radius = diameter / 2 / step
    half_wide, half_long = int(np.ceil(radius)), int(np.ceil(4 * radius))
    edge = 2 * half_long + 1
    found = next(subtomograms(tomogram, np.asarray([xyz], dtype=np.float64), edge, binning), None)
    if found is None:
        return xyz
    box = np.moveaxis(found[1], 2 - axis, 0)
    middle = slice(half_long - half_wide, half_long + half_wide + 1)
    grid = np.arange(-half_wide, half_wide + 1, dtype=np.float32)
    weight = np.exp(-(grid[:, None] ** 2 + grid[None] ** 2) / (2 * (0.6 * radius) ** 2))
    column = (box[:, middle, middle] * weight).sum(axis=(1, 2)) / weight.sum()
    profile = gaussian_filter1d(column, 0.5 * radius) - gaussian_filter1d(column, 1.6 * radius)
    reach = int(np.ceil(2 * REACH * radius))
    near = profile[half_long - reach : half_long + reach + 1]
    best = int(near.argmin())
    if best in {0, len(near) - 1}:
        return xyz
    before, here, after = near[best - 1 : best + 2].tolist()
    bend = before - 2 * here + after
    exact = best + (0.5 * (before - after) / bend if bend > 0 else 0.0) - reach
    moved = list(xyz)
    first = tomogram.origin[axis]
    last = first + (tomogram.shape[2 - axis] - 1) * voxel
    moved[axis] = round(float(np.clip(xyz[axis] + exact * step, first, last)), 3)
    return moved[0], moved[1], moved[2]


def _stretched(plane: Float32[np.ndarray, "row column"]) -> Picture:
    low, high = np.quantile(plane, (0.01, 0.99))
    scaled = (plane - low) * (255 / (float(high - low) or 1.0))
    stretched: Picture = np.clip(scaled, 0, 255).astype(np.uint8)
    return stretched
