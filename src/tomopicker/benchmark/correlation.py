"""Normalised cross-correlation with a local variance, by Fourier transforms: how alike a place and a template are."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float32
from scipy import fft

from tomopicker.types import Volume

Cube = Float32[np.ndarray, "side side side"]
"""A template: as wide along each axis, an odd number of voxels."""
Ball = Bool[np.ndarray, "side side side"]
"""Its voxels that are compared."""

_LEAST_VARIANCE = 1e-6
"""Of the volume's own: below it a neighbourhood is taken for empty and correlates with nothing."""


def ball_mask(radius: float) -> Ball:
    """Give a ball in the smallest cube of odd width that holds it; the radius is in voxels."""
    half = int(np.ceil(radius))
    squares = np.arange(-half, half + 1) ** 2
    inside: Ball = squares[:, None, None] + squares[:, None] + squares <= radius**2
    return inside


def normalised_correlation(volume: Volume, templates: Iterable[Cube], mask: Ball) -> Volume:
    """Give, for each voxel, the highest normalised cross-correlation of its neighbourhood with any of the templates.

    For a template t, scaled to mean 0 and Σt² = 1 over the mask's N voxels, and a volume v, that is Σ t·v / (√N·σ),
    with σ the standard deviation of v in the same mask around the voxel: 1 where the neighbourhood is the template but
    for its scale and its grey level. The mask must serve all orientations, so it is a ball.

    Parameters
    ----------
    volume : Volume
        (z, y, x) with mean 0, which also stands for what lies beyond it.
    templates : iterable of Cube
        Cubes as wide as the mask, centred alike.
    mask : Ball
        In a cube of odd width.

    Returns
    -------
    Volume
        (z, y, x), between -1 and 1.
    """
    half = mask.shape[0] // 2
    shape = [fft.next_fast_len(edge + 2 * half, real=True) for edge in volume.shape]
    kept = tuple(slice(0, edge) for edge in volume.shape)
    padded = np.zeros(shape, dtype=np.float32)
    padded[tuple(slice(half, half + edge) for edge in volume.shape)] = volume

    def correlated(spectrum: np.ndarray, template: Cube) -> Volume:
        # The volume starts half a template late, so that no voxel's sum wraps round.
        product = spectrum * np.conj(fft.rfftn(template, shape))
        result: Volume = fft.irfftn(product, shape)[kept].astype(np.float32, copy=False)
        return result

    spectrum = fft.rfftn(padded)
    voxels, ball = int(mask.sum()), mask.astype(np.float32)
    best = np.full(volume.shape, -np.inf, dtype=np.float32)
    for template in templates:
        np.maximum(best, correlated(spectrum, _standardised(template, mask)), out=best)
    mean = correlated(spectrum, ball) / voxels
    variance = correlated(fft.rfftn(padded * padded), ball) / voxels - mean * mean
    best[variance < _LEAST_VARIANCE * float(volume.var())] = 0
    np.maximum(variance, _LEAST_VARIANCE * float(volume.var()), out=variance)
    return np.asarray(np.clip(best / np.sqrt(voxels * variance), -1, 1), dtype=np.float32)


def _standardised(template: Cube, mask: Ball) -> Cube:
    inside = template[mask]
    centred = np.where(mask, template - inside.mean(), 0).astype(np.float32)
    return np.asarray(centred / np.sqrt((centred.astype(np.float64) ** 2).sum()), dtype=np.float32)
