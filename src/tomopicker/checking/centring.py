"""Where the centre of the mean subtomogram lies, and how well that is known.

The mean over many orientations looks the same when inverted through the particle's centre, and so do the missing wedge
and the CTF that blur it. So the mean and its own inversion through a point agree best if that point is the centre: the
maximum of the mean convolved with itself lies at twice the offset. No template is needed. The jackknife over groups of
picks gives the error.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int
from scipy.ndimage import gaussian_filter

from tomopicker.types import Volume

BAND = (0.18, 1.25)
"""Standard deviations, in radii of the particle, of what is smoothed away and of what is taken off as background."""
WINDOW = (1.2, 1.95)
"""Radii of the particle between which the mean is faded out."""
REACH = 0.4
"""Largest offset looked for, in radii of the particle; larger ones are found before."""
BOX = 2.4
"""Half the edge of the boxes, in radii of the particle."""
GROUPS, FEWEST = 24, 12
"""Of the jackknife, and below which its error cannot be trusted."""
ROUNDS = 3


@dataclass(frozen=True)
class Offset:
    """The particle's centre as seen from the position.

    Parameters
    ----------
    voxels : array, shape (3,)
        (x, y, z) in voxels.
    error : array, shape (3,)
        Standard error of each.
    """

    voxels: Float64[np.ndarray, " 3"]
    error: Float64[np.ndarray, " 3"]

    @property
    def significance(self) -> float:
        """The length of the offset in standard errors, over the length expected without one."""
        ratio: float = float(np.sqrt(np.square(self.voxels / self.error).mean()))
        return ratio


def box_edge(radius: float) -> int:
    """Give the odd edge (voxels) of the boxes that `find_offset` wants for a radius in voxels."""
    return 2 * int(np.ceil(BOX * radius)) + 1


def find_offset(sums: Float32[np.ndarray, "g z y x"], counts: Int[np.ndarray, " g"], radius: float) -> Offset | None:
    """Find the centre.

    Parameters
    ----------
    sums : array, shape (groups, z, y, x)
        Boxes of `box_edge`, added up group by group.
    counts : array of int, shape (groups,)
        Boxes in each sum.
    radius : float
        Of the particle, in voxels.

    Returns
    -------
    Offset or None
        None with picks in too few groups.
    """
    filled = np.flatnonzero(counts)
    if len(filled) < FEWEST:
        return None
    total = sums.sum(axis=0)
    # The height of a mean does not move its centre: sums do as well.
    whole = _centre(total, radius)
    without = np.stack([_centre(total - sums[g], radius) for g in filled])
    # Groups may differ in size by one: the plain delete-a-group formula holds well enough.
    n = len(filled)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean(axis=0)).sum(axis=0))
    return Offset(whole, np.maximum(error, 1e-6))


def _centre(summed: Volume, radius: float) -> Float64[np.ndarray, " 3"]:
    """Give (x, y, z) of the centre of inversion, in voxels from the middle of the box."""
    band = gaussian_filter(summed, BAND[0] * radius) - gaussian_filter(summed, BAND[1] * radius)
    middle = len(summed) // 2
    grid = np.indices(band.shape, dtype=np.float32) - middle
    near = np.square(grid).sum(axis=0) <= (2 * REACH * radius) ** 2
    centre = np.zeros(3)
    for _ in range(ROUNDS):
        # The window moves with the centre: one that stays would draw the answer to the middle of the box.
        distance = np.sqrt(np.square(grid - centre[:, None, None, None].astype(np.float32)).sum(axis=0)) / radius
        seen = band * np.clip((WINDOW[1] - distance) / (WINDOW[1] - WINDOW[0]), 0, 1)
        spectrum = np.fft.rfftn(np.fft.ifftshift(seen))
        agreement = np.fft.fftshift(np.fft.irfftn(spectrum**2, s=seen.shape, axes=(0, 1, 2)))
        peak = np.unravel_index(np.where(near, agreement, -np.inf).argmax(), agreement.shape)
        centre = (refined(agreement, np.array(peak)) - middle) / 2
    return centre[::-1].copy()


def refined(volume: Float[np.ndarray, "z y x"], peak: Int[np.ndarray, " 3"]) -> Float64[np.ndarray, " 3"]:
    """Put a parabola through a maximum and its neighbours along each axis; (z, y, x)."""
    exact = peak.astype(np.float64)
    for axis in range(3):
        if 0 < peak[axis] < volume.shape[axis] - 1:
            step = np.eye(3, dtype=int)[axis]
            before, here, after = (float(volume[tuple(peak + k * step)]) for k in (-1, 0, 1))
            bend = before - 2 * here + after
            if bend < 0:
                exact[axis] += np.clip((before - after) / (2 * bend), -0.5, 0.5)
    return exact
