"""Mean subtomograms, the offset of the particle's centre in them, and its standard error.

The mean over many orientations looks the same when inverted through the particle's centre, and so do the missing wedge
and the CTF that blur it. So the mean and its own inversion through a point agree best if that point is the centre: the
maximum of the mean convolved with itself lies at twice the offset. No template is needed. The jackknife over groups of
picks gives the error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int
from scipy.ndimage import gaussian_filter1d

from tomopicker.picking.local_maxima import parabola_maxima
from tomopicker.picks import Picks
from tomopicker.preprocessing.subtomograms import subtomograms
from tomopicker.tomogram import Tomogram
from tomopicker.types import Volume

BAND = (0.18, 1.25)
"""Standard deviations, in radii of the particle, of what is smoothed away and of what is subtracted as background."""
WINDOW = (1.2, 1.95)
"""Radii of the particle between which the mean is faded out."""
REACH = 0.4
"""Largest offset of the search, in radii of the particle; larger ones are detected before."""
BOX = 2.4
"""Half the edge of the boxes, in radii of the particle."""
MAX_RADIUS = 14.0
"""Radius in voxels beyond which boxes are binned before they are averaged."""
GROUPS, MIN_GROUPS = 24, 12
"""Of the jackknife, and below which its error cannot be trusted."""
ROUNDS = 3


@dataclass(frozen=True)
class MeanBoxes:
    """Boxes at picks, added up in groups.

    Parameters
    ----------
    sums : array, shape (groups, z, y, x)
    counts : array of int, shape (groups,)
    voxel_size : float
        Å, of the boxes; a multiple of the tomogram's where particles are many voxels wide.
    """

    sums: Float32[np.ndarray, "g z y x"]
    counts: Int[np.ndarray, " g"]
    voxel_size: float

    @property
    def mean(self) -> Float32[np.ndarray, "z y x"]:
        """The mean subtomogram, (z, y, x)."""
        average: Float32[np.ndarray, "z y x"] = self.sums.sum(axis=0) / np.float32(max(int(self.counts.sum()), 1))
        return average


@dataclass(frozen=True)
class Offset:
    """The particle's centre relative to the position.

    Parameters
    ----------
    angstrom : array, shape (3,)
        (x, y, z) in Å.
    error : array, shape (3,)
        Standard error of each, in Å.
    """

    angstrom: Float64[np.ndarray, " 3"]
    error: Float64[np.ndarray, " 3"]

    @property
    def significance(self) -> float:
        """The length of the offset in standard errors, over the length expected without one."""
        return float(np.sqrt(np.square(self.angstrom / self.error).mean()))


def box_edge(radius: float) -> int:
    """Return the odd edge (voxels) of the boxes that `find_offset` needs for a radius in voxels."""
    return 2 * int(np.ceil(BOX * radius)) + 1


def average(tomograms: Sequence[Tomogram], picks: Picks, diameter: float) -> MeanBoxes:
    """Average the boxes at picks, each with mean 0 and standard deviation 1, for a particle's diameter in Å.

    The tomograms have nearly one voxel size.
    """
    voxel_size = tomograms[0].voxel_size
    factor = int(np.ceil(diameter / 2 / voxel_size / MAX_RADIUS))
    edge = box_edge(diameter / 2 / voxel_size / factor)
    sums = np.zeros((GROUPS, edge, edge, edge), dtype=np.float32)
    counts = np.zeros(GROUPS, dtype=np.int64)
    for tomogram in tomograms:
        first = counts.sum()
        for row, box in subtomograms(tomogram, picks.in_tomogram(tomogram.name).positions, edge, factor):
            if sd := float(box.std()):
                # Every n-th pick in one group: a group then holds picks of the whole file, whatever its order.
                group = (first + row) % GROUPS
                sums[group] += (box - box.mean()) / np.float32(sd)
                counts[group] += 1
    return MeanBoxes(sums, counts, voxel_size * factor)


def find_offset(boxes: MeanBoxes, diameter: float) -> Offset | None:
    """Find the particle's centre, for its diameter in Å; None with picks in too few groups."""
    radius = diameter / 2 / boxes.voxel_size
    filled = np.flatnonzero(boxes.counts)
    if len(filled) < MIN_GROUPS:
        return None
    total = boxes.sums.sum(axis=0)
    # The height of a mean does not move its centre: sums do as well.
    whole = _centre(total, radius)
    without = np.stack([_centre(total - boxes.sums[g], radius) for g in filled])
    # Groups may differ in size by one: the plain delete-a-group formula holds well enough.
    n = len(filled)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean(axis=0)).sum(axis=0))
    return Offset(whole * boxes.voxel_size, np.maximum(error, 1e-6) * boxes.voxel_size)


def _centre(summed: Volume, radius: float) -> Float64[np.ndarray, " 3"]:
    """Return (x, y, z) of the centre of inversion, in voxels from the middle of the box."""
    band = _smoothed(summed, BAND[0] * radius) - _smoothed(summed, BAND[1] * radius)
    middle = len(summed) // 2
    grid = np.indices(band.shape, dtype=np.float32) - middle
    near = np.square(grid).sum(axis=0) <= (2 * REACH * radius) ** 2
    centre = np.zeros(3)
    for _ in range(ROUNDS):
        # The window moves with the centre: one that stays would draw the answer to the middle of the box.
        distance = np.sqrt(np.square(grid - centre[:, None, None, None].astype(np.float32)).sum(axis=0)) / radius
        windowed = band * np.clip((WINDOW[1] - distance) / (WINDOW[1] - WINDOW[0]), 0, 1)
        spectrum = np.fft.rfftn(np.fft.ifftshift(windowed))
        agreement = np.fft.fftshift(np.fft.irfftn(spectrum**2, s=windowed.shape, axes=(0, 1, 2)))
        peak = np.unravel_index(np.where(near, agreement, -np.inf).argmax(), agreement.shape)
        centre = (refine_peak(agreement, np.array(peak)) - middle) / 2
    return centre[::-1].copy()


def _smoothed(volume: Volume, sd: float) -> Volume:
    """Filter a cube with a Gaussian as `gaussian_filter` does, by products with its matrix: for boxes, far faster."""
    matrix = gaussian_filter1d(np.eye(len(volume), dtype=np.float32), sd, axis=0)
    for _ in range(3):
        volume = np.tensordot(matrix, volume, axes=(1, 2))  # Filters the last axis and puts it in front.
    return volume


def refine_peak(volume: Float[np.ndarray, "z y x"], peak: Int[np.ndarray, " 3"]) -> Float64[np.ndarray, " 3"]:
    """Move a maximum to the top of the parabola through it and its neighbours along each axis; (z, y, x)."""
    return np.asarray(peak + np.clip(parabola_maxima(volume, peak[None])[0], -0.5, 0.5))
