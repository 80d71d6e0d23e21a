"""Random acquisition and processing of a scene: tilts, dose, thickness, optics, reconstruction, and denoising.

Everything is applied to the whole volume in Fourier space, where each frequency is measured by the image of one tilt.
"""

from itertools import product

import numpy as np
from scipy import fft, ndimage

from tomopicker.pretraining.imaging import (
    ImagingModel,
    Spectrum,
    central_sections,
    draw_contrast,
    draw_tilt_axis,
    frequency_modulus,
)
from tomopicker.pretraining.scenes import standardised
from tomopicker.simulation.optics import dose_filter
from tomopicker.simulation.projection import sirt_response
from tomopicker.types import Volume

VOXEL_ANGSTROM = (7.0, 34.0)
"""Working voxel sizes of particles of 85 to 400 Å at 12 voxels per diameter."""
TILT_DEGREES = (40.0, 65.0)
THICKNESS_ANGSTROM = (500.0, 3000.0)
DOSE = (60.0, 180.0)
"""Dose of the whole tilt series in e⁻/Å²."""
REFERENCE_THICKNESS, REFERENCE_DOSE = 1500.0, 120.0
MEAN_FREE_PATH_ANGSTROM = 3100.0
"""Mean free path of inelastic scattering in vitreous ice at 300 kV."""
VOLTAGE_KV = 300.0
SIRT_ITERATIONS = (3, 40)
SEARCH_RADIUS = 2
"""Maximum offset of the voxels that non-local means averages."""
PATCH_EDGE = 3
"""Edge of the patches that non-local means compares."""
NYQUIST = 0.5

FILTERS = {"none": 0.4, "gaussian": 0.2, "wiener": 0.25, "non-local means": 0.15}
"""Denoising filters and their probabilities."""


def draw_volume(density: Volume, rng: np.random.Generator) -> Volume:
    """Image a cubic periodic scene with random acquisition and processing: standardised, protein dark, with noise."""
    voxel_size = float(np.exp(rng.uniform(*np.log(VOXEL_ANGSTROM))))
    thickness = float(np.exp(rng.uniform(*np.log(THICKNESS_ANGSTROM))))
    dose = rng.uniform(*DOSE)
    imaging = draw_microscope(len(density), voxel_size, thickness, dose, rng)
    volume = imaging.noisy_image(density, rng, noise_factor(thickness, dose))
    return standardised(_denoise(volume, imaging.contrast, rng))


def noise_factor(thickness: float, dose: float) -> float:
    """Return the relative noise amplitude for a thickness t in Å and a dose in e⁻/Å²: √(N₀ / N).

    N, the number of electrons after energy filtering, is proportional to dose·exp(-t / Λ), with Λ the mean free path of
    inelastic scattering; N₀ is that of the reference thickness and dose.
    """
    return float(np.sqrt(REFERENCE_DOSE / dose * np.exp((thickness - REFERENCE_THICKNESS) / MEAN_FREE_PATH_ANGSTROM)))


def draw_microscope(
    edge: int, voxel_size: float, thickness: float, dose: float, rng: np.random.Generator
) -> ImagingModel:
    """Draw optics, tilts and reconstruction for a lamella of a thickness (Å) and a total dose (e⁻/Å²).

    The signal at tilt θ is damped by the accumulated dose, exp(-dose(θ) / 2Nc(k)) (Grant and Grigorieff, eLife 4,
    2015); the noise grows with the path through the lamella as exp(t / (2Λ cos θ)).
    """
    low, high = np.deg2rad(rng.uniform(*TILT_DEGREES, 2))
    tilt, from_axis = central_sections(edge, draw_tilt_axis(rng))
    measured = (tilt > -low) & (tilt < high)
    tilt = np.clip(tilt, -low, high)
    scheme = rng.choice(["symmetric", "continuous"])
    accumulated = dose * (np.abs(tilt) / max(low, high) if scheme == "symmetric" else (tilt + low) / (low + high))
    frequency = frequency_modulus((edge, edge, edge)).astype(np.float64) / voxel_size
    contrast = draw_contrast(edge, voxel_size, rng) * dose_filter(frequency, accumulated, VOLTAGE_KV)
    response = np.ones(())
    if rng.random() >= 0.5:
        cycles = from_axis * (thickness / voxel_size * (low + high))
        response = sirt_response(cycles, int(rng.integers(*SIRT_ITERATIONS)))
    # The ramp and the spreading of the central sections give the noise a power proportional to the frequency.
    gain = np.sqrt(from_axis) * np.exp(thickness / (2 * MEAN_FREE_PATH_ANGSTROM) * (1 / np.cos(tilt) - 1))
    return ImagingModel(contrast.astype(np.float32), (measured * response).astype(np.float32), gain.astype(np.float32))


def _denoise(volume: Volume, contrast: Spectrum, rng: np.random.Generator) -> Volume:
    """Apply a random filter, or none, to a cubic volume with a known contrast transfer."""
    kind = list(FILTERS)[rng.choice(len(FILTERS), p=list(FILTERS.values()))]
    if kind == "gaussian":
        return np.asarray(ndimage.gaussian_filter(volume, rng.uniform(0.4, 1.2), mode="wrap"))
    if kind == "wiener":
        return wiener(volume, contrast, np.exp(rng.uniform(np.log(1), np.log(1e3))), rng.uniform(3, 9))
    if kind == "non-local means":
        return non_local_means(volume, float(volume.std()) * rng.uniform(0.5, 1.0))
    return volume


def wiener(volume: Volume, contrast: Spectrum, strength: float, falloff: float) -> Volume:
    """Deconvolve the contrast transfer c by c / (c² + 1 / SNR), with SNR(k) = strength·exp(-falloff·k / Nyquist).

    The model of the signal-to-noise ratio is that of Warp's deconvolution (Tegunov and Cramer, Nature Methods 16,
    2019). Protein stays dark.
    """
    ratio = strength * np.exp(-falloff * frequency_modulus(volume.shape) / NYQUIST)
    transfer = -contrast / (contrast**2 + 1 / ratio)
    return np.asarray(fft.irfftn(fft.rfftn(volume) * transfer.astype(np.float32), s=volume.shape))


def non_local_means(volume: Volume, noise_sd: float) -> Volume:
    """Average voxels of a periodic volume whose neighbourhoods are similar.

    The weight of a neighbour is exp(-max(d² - 2σ², 0) / σ²), with d² the mean squared difference of the patches around
    both and σ the standard deviation of the noise (Buades, Coll and Morel, Image Processing On Line 1, 2011, h = σ).
    """
    total, weights = volume.copy(), np.ones_like(volume)
    for offset in product(range(-SEARCH_RADIUS, SEARCH_RADIUS + 1), repeat=3):
        if offset <= (0, 0, 0) or np.dot(offset, offset) > SEARCH_RADIUS**2:
            continue  # The weight of a pair serves both voxels.
        back = (-offset[0], -offset[1], -offset[2])
        other = np.roll(volume, offset, (0, 1, 2))
        difference = ndimage.uniform_filter((volume - other) ** 2, PATCH_EDGE, mode="wrap")
        weight = np.exp(-np.maximum(difference - 2 * noise_sd**2, 0) / noise_sd**2)
        total += weight * other + np.roll(weight * volume, back, (0, 1, 2))
        weights += weight + np.roll(weight, back, (0, 1, 2))
    return np.asarray(total / weights)
