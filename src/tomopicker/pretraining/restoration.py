"""What labs do to a tomogram before they look at it: low-pass, deconvolve, denoise."""

from itertools import product

import numpy as np
from scipy import fft, ndimage

from tomopicker.pretraining.imaging import Spectrum, frequency_modulus
from tomopicker.types import Volume

SEARCH = 2
"""Half edge of the cube that non-local means searches; the offsets within that distance."""
PATCH = 3
"""Edge of the patches that it compares."""
NYQUIST = 0.5

KINDS = ("none", "gaussian", "wiener", "non-local means")
ODDS = (0.4, 0.2, 0.25, 0.15)


def restored(volume: Volume, contrast: Spectrum, rng: np.random.Generator) -> Volume:
    """Apply a filter drawn at random, or none, to a cubic volume of a known contrast transfer."""
    kind = KINDS[rng.choice(len(KINDS), p=ODDS)]
    if kind == "gaussian":
        return np.asarray(ndimage.gaussian_filter(volume, rng.uniform(0.4, 1.2), mode="wrap"))
    if kind == "wiener":
        return wiener(volume, contrast, np.exp(rng.uniform(np.log(1), np.log(1e3))), rng.uniform(3, 9))
    if kind == "non-local means":
        return non_local_means(volume, float(volume.std()) * rng.uniform(0.5, 1.0))
    return volume


def wiener(volume: Volume, contrast: Spectrum, strength: float, falloff: float) -> Volume:
    """Deconvolve the contrast transfer c by c / (c² + 1 / SNR), SNR(k) = strength·exp(-falloff·k / Nyquist).

    The model of the signal-to-noise ratio is that of Warp's deconvolution (Tegunov and Cramer, Nature Methods 16,
    2019). Dense stays dark.
    """
    ratio = strength * np.exp(-falloff * frequency_modulus(volume.shape) / NYQUIST)
    transfer = -contrast / (contrast**2 + 1 / ratio)
    return np.asarray(fft.irfftn(fft.rfftn(volume) * transfer.astype(np.float32), s=volume.shape))


def non_local_means(volume: Volume, noise_sd: float) -> Volume:
    """Average voxels of a periodic volume whose surroundings look alike.

    A neighbour weighs exp(-max(d² - 2σ², 0) / σ²), d² the mean squared difference of the patches around both and σ the
    standard deviation of the noise (Buades, Coll and Morel, Image Processing On Line 1, 2011, with h = σ).
    """
    total, weights = volume.copy(), np.ones_like(volume)
    steps = range(-SEARCH, SEARCH + 1)
    for offset in product(steps, steps, steps):
        if offset <= (0, 0, 0) or np.dot(offset, offset) > SEARCH**2:
            continue  # The weight of a pair serves both of it.
        back = (-offset[0], -offset[1], -offset[2])
        other = np.roll(volume, offset, (0, 1, 2))
        apart = ndimage.uniform_filter((volume - other) ** 2, PATCH, mode="wrap")
        weight = np.exp(-np.maximum(apart - 2 * noise_sd**2, 0) / noise_sd**2)
        total += weight * other + np.roll(weight * volume, back, (0, 1, 2))
        weights += weight + np.roll(weight, back, (0, 1, 2))
    return np.asarray(total / weights)
