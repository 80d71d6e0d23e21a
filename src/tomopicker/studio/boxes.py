"""Boxes around single particles: a cache of them, their mean, and the centre of a particle near a click."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tomopicker.output.particles import cut_box
from tomopicker.preprocessing.subtomograms import subtomograms
from tomopicker.tomogram import Tomogram
from tomopicker.types import Volume

MAX_CLICKS = 200
"""Particles that a running mean is of, the latest."""
KEPT = 600
REACH = 0.5
"""How far from a click its centre is looked for, in particle diameters."""

Key = tuple[str, float, float, float, float]


@dataclass
class Boxes:
    """Boxes that were cut, the latest used kept."""

    _kept: "OrderedDict[Key, Volume | None]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, tomogram: Tomogram, xyz: tuple[float, float, float], diameter: float) -> Volume | None:
        """Cut a box around (x, y, z) in Å, or give the one that was cut before."""
        key = (tomogram.name, *xyz, diameter)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        box = cut_box(tomogram, np.asarray([xyz], dtype=np.float64), diameter)
        with self._lock:
            self._kept[key] = box
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return box

    def mean(
        self, wanted: Iterable[tuple[Tomogram, tuple[float, float, float]]], diameter: float
    ) -> tuple[Volume | None, int]:
        """Average the boxes of the latest positions that have one size; give how many there were."""
        boxes = [
            box
            for tomogram, xyz in list(wanted)[-MAX_CLICKS:]
            if (box := self.get(tomogram, xyz, diameter)) is not None
        ]
        same = [box for box in boxes if box.shape == boxes[0].shape]
        if not same:
            return None, 0
        mean: Volume = np.stack(same).mean(axis=0, dtype=np.float32)
        return mean, len(same)


def refined(
    tomogram: Tomogram, xyz: tuple[float, float, float], diameter: float, axis: int
) -> tuple[float, float, float]:
    """Move a click along the axis that was not seen to where a dark ball of the particle's size fits best.

    Positions (x, y, z) and the particle's diameter are in Å; the axis, 0, 1, 2 for x, y, z, is the one perpendicular to
    the plane that was clicked in. A profile along it without a minimum within reach leaves the click as it is.

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
