"""Mean subtomograms, the offset of the particle's centre in them, and its standard error.

The mean over many orientations is symmetric under inversion through the particle's centre, and so are the missing wedge
and the CTF. The mean and its inversion through a point therefore agree best if that point is the centre: the maximum of
the mean convolved with itself is at twice the offset. No template is needed. A jackknife over groups of picks gives the
error.
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

BAND_PASS_RADII = (0.18, 1.25)
"""Standard deviations of the two Gaussians whose difference filters the mean, in particle radii."""
WINDOW_RADII = (1.2, 1.95)
"""Distances between which the mean is faded out, in particle radii."""
MAX_OFFSET_RADII = 0.4
"""Maximum offset of the search, in particle radii; larger ones are detected before."""
HALF_BOX_RADII = 2.4
"""Half the edge of the boxes, in particle radii."""
MAX_RADIUS_VOXELS = 14.0
"""Particle radius above which boxes are binned before averaging."""
N_GROUPS, MIN_GROUPS = 24, 12
"""Number of groups of the jackknife, and the minimum for a reliable error."""
N_ITERATIONS = 3


@dataclass(frozen=True)
class MeanBoxes:
    """Sums of boxes at picks, in groups.

    Parameters
    ----------
    sums : array, shape (groups, z, y, x)
    counts : array of int, shape (groups,)
    voxel_size : float
        Voxel size of the boxes in Å; a multiple of the tomogram's if particles are many voxels wide.
    """

    sums: Float32[np.ndarray, "g z y x"]
    counts: Int[np.ndarray, " g"]
    voxel_size: float

    @property
    def mean(self) -> Float32[np.ndarray, "z y x"]:
        """The mean subtomogram, (z, y, x)."""
        return np.asarray(self.sums.sum(axis=0) / np.float32(max(int(self.counts.sum()), 1)))


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
        """Length of the offset in standard errors, relative to the length expected without an offset."""
        return float(np.sqrt(np.square(self.angstrom / self.error).mean()))


def box_edge(radius: float) -> int:
    """Return the odd edge in voxels of the boxes that `find_offset` needs, for a particle radius in voxels."""
    return 2 * int(np.ceil(HALF_BOX_RADII * radius)) + 1


def average(tomograms: Sequence[Tomogram], picks: Picks, diameter: float) -> MeanBoxes:
    """Average the boxes at picks, each with mean 0 and standard deviation 1, for a particle diameter in Å.

    The tomograms have nearly the same voxel size.
    """
    voxel_size = tomograms[0].voxel_size
    factor = int(np.ceil(diameter / 2 / voxel_size / MAX_RADIUS_VOXELS))
    edge = box_edge(diameter / 2 / voxel_size / factor)
    sums = np.zeros((N_GROUPS, edge, edge, edge), dtype=np.float32)
    counts = np.zeros(N_GROUPS, dtype=np.int64)
    for tomogram in tomograms:
        first = counts.sum()
        for row, box in subtomograms(tomogram, picks.in_tomogram(tomogram.name).positions, edge, factor):
            if sd := float(box.std()):
                # Every n-th pick is in one group, so groups sample the whole file, whatever its order.
                group = (first + row) % N_GROUPS
                sums[group] += (box - box.mean()) / np.float32(sd)
                counts[group] += 1
    return MeanBoxes(sums, counts, voxel_size * factor)


def find_offset(boxes: MeanBoxes, diameter: float) -> Offset | None:
    """Find the particle's centre, for its diameter in Å; return None if there are too few picks."""
    radius = diameter / 2 / boxes.voxel_size
    filled = np.flatnonzero(boxes.counts)
    if len(filled) < MIN_GROUPS:
        return None
    total = boxes.sums.sum(axis=0)  # The scale does not affect the centre, so sums serve as means.
    centre = _centre(total, radius)
    without = np.stack([_centre(total - boxes.sums[group], radius) for group in filled])
    # Group sizes differ by one at most, so the delete-a-group formula for equal sizes is accurate enough.
    n = len(filled)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean(axis=0)).sum(axis=0))
    return Offset(centre * boxes.voxel_size, np.maximum(error, 1e-6) * boxes.voxel_size)


def _centre(summed: Volume, radius: float) -> Float64[np.ndarray, " 3"]:
    """Return the centre of inversion, (x, y, z) in voxels from the middle of the box."""
    narrow, wide = (_smooth(summed, sd * radius) for sd in BAND_PASS_RADII)
    band = narrow - wide
    middle = len(summed) // 2
    grid = np.indices(band.shape, dtype=np.float32) - middle
    near = np.square(grid).sum(axis=0) <= (2 * MAX_OFFSET_RADII * radius) ** 2
    centre = np.zeros(3)
    for _ in range(N_ITERATIONS):
        # The window follows the centre; a fixed one would bias the result towards the middle of the box.
        distance = np.sqrt(np.square(grid - centre[:, None, None, None].astype(np.float32)).sum(axis=0)) / radius
        inner, outer = WINDOW_RADII
        windowed = band * np.clip((outer - distance) / (outer - inner), 0, 1)
        spectrum = np.fft.rfftn(np.fft.ifftshift(windowed))
        agreement = np.fft.fftshift(np.fft.irfftn(spectrum**2, s=windowed.shape, axes=(0, 1, 2)))
        peak = np.unravel_index(np.where(near, agreement, -np.inf).argmax(), agreement.shape)
        centre = (refine_peak(agreement, np.array(peak)) - middle) / 2
    return centre[::-1].copy()


def _smooth(volume: Volume, sd: float) -> Volume:
    """Apply `gaussian_filter` to a cube as matrix products, which is much faster for small boxes."""
    matrix = gaussian_filter1d(np.eye(len(volume), dtype=np.float32), sd, axis=0)
    for _ in range(3):
        volume = np.tensordot(matrix, volume, axes=(1, 2))  # Filters the last axis and moves it to the front.
    return volume


def refine_peak(volume: Float[np.ndarray, "z y x"], peak: Int[np.ndarray, " 3"]) -> Float64[np.ndarray, " 3"]:
    """Refine a maximum, (z, y, x), by the parabola through it and its neighbours along each axis."""
    return np.asarray(peak + np.clip(parabola_maxima(volume, peak[None])[0], -0.5, 0.5))
