"""Pickers without training or a map: difference of Gaussians, and normalised cross-correlation with a dark ball.

The correlation serves template matching as well (`tomopicker.benchmark.template`).
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy import fft, ndimage

from tomopicker.types import Volume

Cube = Float32[np.ndarray, "side side side"]
"""A template, an odd number of voxels wide."""
Ball = Bool[np.ndarray, "side side side"]
"""The template's voxels that are compared."""

_DOG_RATIO = 1.6
"""Of the two widths: the difference is closest to a Laplacian of Gaussian (Marr and Hildreth, 1980)."""
_NEIGHBOURHOOD_RADIUS = 1.5
"""Radius of the compared neighbourhood, in radii of the ball."""
_MIN_VARIANCE = 1e-6
"""Of the volume's variance: flatter neighbourhoods score 0."""


def difference_of_gaussians(volume: Volume, radius: float) -> Volume:
    """Score dark blobs: highest at the centre of a ball of that radius (voxels), 0 on average."""
    # A Laplacian of Gaussian responds most to a ball of radius √3 σ; the two Gaussians lie on either side of that σ.
    sigma = radius / np.sqrt(3.0)
    narrow = ndimage.gaussian_filter(volume, sigma / np.sqrt(_DOG_RATIO))
    wide = ndimage.gaussian_filter(volume, sigma * np.sqrt(_DOG_RATIO))
    return np.asarray(wide - narrow, dtype=np.float32)


def match_ball(volume: Volume, radius: float) -> Volume:
    """Correlate each neighbourhood with a dark ball of a radius in voxels; -1 to 1."""
    mask = ball_mask(_NEIGHBOURHOOD_RADIUS * radius)
    ball = -np.clip(radius + 0.5 - np.sqrt(_squared_distance(len(mask) // 2)), 0, 1).astype(np.float32)
    return normalised_correlation(volume, [ball], mask)


def ball_mask(radius: float) -> Ball:
    """Give a ball in the smallest cube of odd width that holds it; the radius is in voxels."""
    inside: Ball = _squared_distance(int(np.ceil(radius))) <= radius**2
    return inside


def normalised_correlation(volume: Volume, templates: Iterable[Cube], mask: Ball) -> Volume:
    """Highest normalised cross-correlation of each voxel's neighbourhood with any of the templates, -1 to 1.

    For a template t, scaled to mean 0 and Σt² = 1 over the N voxels of the mask, and a volume v: Σ t·v / (√N·σ), with σ
    the standard deviation of v in the mask around the voxel. The volume (z, y, x) has mean 0 and is padded with zeros;
    the mask is a ball, to serve all orientations, and the templates are as wide and centred alike.
    """
    half = mask.shape[0] // 2
    shape = [fft.next_fast_len(edge + 2 * half, real=True) for edge in volume.shape]
    kept = tuple(slice(0, edge) for edge in volume.shape)
    # The volume is shifted by half a template, so that no voxel's sum wraps round.
    padded = np.zeros(shape, dtype=np.float32)
    padded[tuple(slice(half, half + edge) for edge in volume.shape)] = volume

    def correlate(spectrum: np.ndarray, template: Cube) -> Volume:
        product = spectrum * np.conj(fft.rfftn(template, shape))
        result: Volume = fft.irfftn(product, shape)[kept].astype(np.float32, copy=False)
        return result

    spectrum = fft.rfftn(padded)
    voxels, ball = int(mask.sum()), mask.astype(np.float32)
    best = np.full(volume.shape, -np.inf, dtype=np.float32)
    for template in templates:
        np.maximum(best, correlate(spectrum, _standardise(template, mask)), out=best)
    mean = correlate(spectrum, ball) / voxels
    variance = correlate(fft.rfftn(padded * padded), ball) / voxels - mean * mean
    least = _MIN_VARIANCE * float(volume.var())
    best[variance < least] = 0
    np.maximum(variance, least, out=variance)
    return np.asarray(np.clip(best / np.sqrt(voxels * variance), -1, 1), dtype=np.float32)


def _squared_distance(half: int) -> Float64[np.ndarray, "side side side"]:
    squares = np.arange(-half, half + 1.0) ** 2
    return np.asarray(squares[:, None, None] + squares[:, None] + squares)


def _standardise(template: Cube, mask: Ball) -> Cube:
    """Scale to mean 0 and sum of squares 1 in the mask, 0 outside."""
    centred = np.where(mask, template - template[mask].mean(), 0).astype(np.float32)
    return np.asarray(centred / np.sqrt((centred.astype(np.float64) ** 2).sum()), dtype=np.float32)
