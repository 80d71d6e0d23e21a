"""What needs neither training nor a map: a difference of Gaussians, and the likeness to a dark ball."""

import numpy as np
from scipy import ndimage

from tomopicker.benchmark.correlation import ball_mask, normalised_correlation
from tomopicker.types import Volume

_RATIO = 1.6
"""Of the two Gaussians: their difference is then closest to the Laplacian of one (Marr and Hildreth, 1980)."""
_SURROUND = 1.5
"""Radius of the neighbourhood that a ball is compared in, over its own."""


def difference_of_gaussians(volume: Volume, radius: float) -> Volume:
    """Score dark blobs of a radius (voxels): highest at the centre of a ball that wide, 0 on average."""
    # A Laplacian of a Gaussian answers most to a ball of radius √3 σ; the two Gaussians lie to either side of that σ.
    sigma = radius / np.sqrt(3.0)
    narrow = ndimage.gaussian_filter(volume, sigma / np.sqrt(_RATIO))
    wide = ndimage.gaussian_filter(volume, sigma * np.sqrt(_RATIO))
    return np.asarray(wide - narrow, dtype=np.float32)


def match_ball(volume: Volume, radius: float) -> Volume:
    """Score the likeness of each neighbourhood to a dark ball of a radius (voxels), -1 to 1."""
    mask = ball_mask(_SURROUND * radius)
    half = mask.shape[0] // 2
    squares = np.arange(-half, half + 1) ** 2
    distance = np.sqrt(squares[:, None, None] + squares[:, None] + squares)
    ball = -np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)
    return normalised_correlation(volume, [ball], mask)
