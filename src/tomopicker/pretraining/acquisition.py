"""How labs differ, drawn at random for a scene: tilts, dose, thickness, optics, reconstruction, and restoration.

Everything acts on the whole volume in Fourier space, where each frequency is measured by the image of one tilt.
"""

from itertools import product

import numpy as np
from jaxtyping import Float64
from scipy import fft, ndimage

from tomopicker.pretraining.imaging import (
    Frequencies,
    ImagingModel,
    Spectrum,
    central_sections,
    draw_contrast,
    draw_tilt_axis,
    frequency_modulus,
)
from tomopicker.pretraining.scenes import standardised
from tomopicker.simulation.optics import critical_dose
from tomopicker.types import Volume

VOXEL_ANGSTROM = (7.0, 34.0)
"""Working voxel sizes: those of particles between 85 and 400 Å at 12 voxels a diameter."""
TILT_DEGREES = (40.0, 65.0)
THICKNESS_ANGSTROM = (500.0, 3000.0)
DOSE = (60.0, 180.0)
"""Of the whole tilt series, electrons/Å²."""
USUAL_THICKNESS, USUAL_DOSE = 1500.0, 120.0
MEAN_FREE_PATH_ANGSTROM = 3100.0
"""Of inelastic scattering in vitreous ice at 300 kV."""
VOLTAGE_KV = 300.0
NOISE = (0.2, 2.2)
"""Standard deviation of the electrons' noise in that of the signal, at the usual thickness and dose."""
SIRT_ROUNDS = (3, 40)
SEARCH = 2
"""Half edge of the cube that non-local means searches; the offsets within that distance."""
PATCH = 3
"""Edge of the patches that it compares."""
NYQUIST = 0.5

KINDS = ("none", "gaussian", "wiener", "non-local means")
ODDS = (0.4, 0.2, 0.25, 0.15)


def draw_volume(density: Volume, rng: np.random.Generator) -> Volume:
    """Image a cubic periodic scene as one lab would: standardised, dense dark, with noise."""
    edge = len(density)
    voxel_size = float(np.exp(rng.uniform(*np.log(VOXEL_ANGSTROM))))
    thickness = float(np.exp(rng.uniform(*np.log(THICKNESS_ANGSTROM))))
    dose = rng.uniform(*DOSE)
    imaging = draw_microscope(edge, voxel_size, thickness, dose, rng)
    signal = imaging.image(density)
    electrons = imaging.noise(density.shape, np.exp(rng.uniform(np.log(0.2), np.log(2.0))), rng)
    cytosol = imaging.image(imaging.noise(density.shape, rng.uniform(0.14, 0.42), rng))
    cytosol /= max(float(cytosol.std()), 1e-6)
    noise = np.exp(rng.uniform(*np.log(NOISE))) * noise_factor(thickness, dose)
    volume = signal / signal.std() + np.float32(noise) * electrons + np.float32(rng.uniform(0, 0.5)) * cytosol
    return standardised(restored(volume.astype(np.float32), imaging.contrast, rng))


def noise_factor(thickness: float, dose: float) -> float:
    """Amplitude of noise per signal, for a thickness t in Å and a dose in electrons/Å²: √(N₀ / N).

    N, the electrons that are counted after energy filtering, is proportional to dose·exp(-t / Λ), Λ the mean free path
    of inelastic scattering.
    """
    return float(np.sqrt(USUAL_DOSE / dose * np.exp((thickness - USUAL_THICKNESS) / MEAN_FREE_PATH_ANGSTROM)))


def draw_microscope(
    edge: int, voxel_size: float, thickness: float, dose: float, rng: np.random.Generator
) -> ImagingModel:
    """Draw optics, tilts and reconstruction for a lamella of a thickness and a total dose.

    The signal of the tilt θ is damped by the dose before it, exp(-dose(θ) / 2Nc(k)) (Grant and Grigorieff, eLife 4,
    2015); the noise grows with the path through the lamella by exp(t / (2Λ cos θ)).
    """
    low, high = np.deg2rad(rng.uniform(*TILT_DEGREES, 2))
    tilt, from_axis = central_sections(edge, draw_tilt_axis(rng))
    measured = (tilt > -low) & (tilt < high)
    held = np.clip(tilt, -low, high)
    before = dose * _share_before(held, low, high, str(rng.choice(["symmetric", "continuous"])))
    frequency = frequency_modulus((edge, edge, edge)).astype(np.float64) / voxel_size
    damage = np.exp(-0.5 * before / critical_dose(frequency, VOLTAGE_KV))
    contrast = draw_contrast(edge, voxel_size, rng) * damage
    rounds = 0 if rng.random() < 0.5 else int(rng.integers(*SIRT_ROUNDS))
    response = 1.0 if not rounds else sirt_response(from_axis, thickness / voxel_size * (low + high), rounds)
    # Back-projection weighs an image's noise by its ramp and sections thin out, so noise has power in proportion to it.
    gain = np.sqrt(from_axis) * np.exp(thickness / (2 * MEAN_FREE_PATH_ANGSTROM) * (1 / np.cos(held) - 1))
    return ImagingModel(contrast.astype(np.float32), (measured * response).astype(np.float32), gain.astype(np.float32))


def sirt_response(from_axis: Frequencies, depth: float, rounds: int) -> Frequencies:
    """Share of each frequency that rounds of SIRT recover: 1 - (1 - e)^n, e = 1 / (k · depth), at most 1.

    `from_axis` is k in cycles per voxel, `depth` the thickness in voxels times the angle in radians that tilts cover.
    """
    once = np.clip(1 / (np.maximum(from_axis, 1e-6) * depth), 0, 1)
    return np.asarray(1 - (1 - once) ** rounds)


def _share_before(tilt: Frequencies, low: float, high: float, scheme: str) -> Float64[np.ndarray, "z y half_x"]:
    """Share of the dose that was given before a tilt, dose-symmetric or from one end to the other."""
    if scheme == "symmetric":
        return np.asarray(np.abs(tilt) / max(low, high))
    return np.asarray((tilt + low) / (low + high))


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
