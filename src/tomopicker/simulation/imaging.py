"""From a density to a tomogram: a tilt series about y through the microscope's optics and noise, and reconstruction.

Weak-phase imaging; each column of a tilted image has the defocus of the sample's middle plane. Propagation of the wave
inside the sample is neglected: it does not matter at the voxel sizes of picking.
"""

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.simulation.optics import Image, Spectrum, dose_before, dose_filter, image_contrast, tilt_angles
from tomopicker.simulation.projection import Progress, TiltImages, no_progress, project, sirt, weighted_back_projection
from tomopicker.simulation.settings import ImagingSettings
from tomopicker.types import Shape, Volume

_RADIAN_PER_ANGSTROM = 1.4e-3
"""Phase shift of compact protein in excess of vitreous water at 300 kV (2.2 V of inner potential)."""

_HOT_LINE_GAIN = 0.2

_BINNING_END = 1.25
"""Frequency, in units of Nyquist, at which the blur of camera and binning leaves nothing."""


def image_tomogram(density: Volume, settings: ImagingSettings, seed: int, progress: Progress = no_progress) -> Volume:
    """Image a density and reconstruct it: `simulate_tilt_series`, whose arguments these are, and `reconstruct`."""
    images = simulate_tilt_series(density, settings, seed, progress)
    return reconstruct(images, settings, (density.shape[0], density.shape[1], density.shape[2]), progress)


def simulate_tilt_series(
    density: Volume, settings: ImagingSettings, seed: int, progress: Progress = no_progress
) -> TiltImages:
    """Image a density at each tilt of `tilt_angles`.

    The density (z, y, x) is 1 for compact protein in excess of the solvent. The images are aligned: relative intensity
    less its mean, protein dark. The seed is that of noise, defocus jitter, alignment errors and camera.

    Raises `UsageError` if the density is not a volume of at least 8 voxels a side.
    """
    if density.ndim != 3 or min(density.shape) < 8:
        raise UsageError(f"density of shape {density.shape}: a volume (z, y, x) of at least 8 voxels a side is needed")
    rng = np.random.default_rng(seed)
    tilts = tilt_angles(settings)
    images = project(density, tilts, progress)
    images *= np.float32(settings.voxel_size_angstrom * _RADIAN_PER_ANGSTROM)
    gain = _gain(images.shape[1:], settings, np.random.default_rng([seed, 2]))
    for number, (tilt, dose) in enumerate(zip(tilts, dose_before(settings), strict=True)):
        progress("tilt images", number, len(tilts))
        contrast = image_contrast(images[number], settings, float(tilt), float(dose), rng)
        counted = _count_electrons(contrast, settings, float(tilt), len(tilts), gain, rng)
        images[number] = counted if settings.binning_fall_off == 1.0 else _blurred(counted, settings.binning_fall_off)
    return images


def reconstruct(
    images: TiltImages, settings: ImagingSettings, shape: Shape, progress: Progress = no_progress
) -> Volume:
    """Reconstruct a volume of a shape (z, y, x) from a tilt series: relative contrast per voxel, mean near zero.

    The tilt axis is y, so the missing wedge surrounds z.
    """
    tilts = tilt_angles(settings)
    if settings.dose_weighting or settings.tilt_weighting:
        given = zip(images, tilts, dose_before(settings), strict=True)
        images = np.stack([_weighted(image, settings, float(tilt), float(dose)) for image, tilt, dose in given])
    if settings.reconstruction == "sirt":
        return sirt(images, tilts, shape, settings.sirt_iterations, progress)
    return weighted_back_projection(
        images, tilts, shape, settings.ramp_fall_off, settings.sirt_like_iterations, progress
    )


def _gain(shape: tuple[int, ...], settings: ImagingSettings, rng: np.random.Generator) -> Image | None:
    """Relative gain error of each pixel of the camera, the same at every tilt; None for a perfect camera."""
    if not (settings.gain_error or settings.hot_lines):
        return None
    gain = settings.gain_error * rng.normal(size=shape)
    for _ in range(settings.hot_lines):
        along = int(rng.integers(2))
        wrong = _HOT_LINE_GAIN * rng.choice([-1.0, 1.0])
        line = int(rng.integers(shape[along]))
        gain[(line, slice(None)) if along == 0 else (slice(None), line)] += wrong
    return np.asarray(gain, dtype=np.float32)


def _count_electrons(
    contrast: Image, settings: ImagingSettings, tilt: float, n_tilts: int, gain: Image | None, rng: np.random.Generator
) -> Image:
    """Contrast with the shot noise of the detector; fewer electrons pass at high tilts."""
    # The mean contrast is that of the whole lamella; normalisation of a real tilt series removes it.
    intensity = np.clip(1.0 + contrast - contrast.mean(), 0.0, None)
    if gain is not None:
        intensity *= 1.0 + gain
    if settings.dose_per_square_angstrom is None:
        return np.asarray(intensity - 1.0, dtype=np.float32)
    per_pixel = settings.dose_per_square_angstrom / n_tilts * settings.voxel_size_angstrom**2
    kept = settings.detective_quantum_efficiency * np.exp(-settings.path_attenuation / np.cos(np.deg2rad(tilt)))
    expected = per_pixel * kept
    return np.asarray(rng.poisson(expected * intensity) / expected - 1.0, dtype=np.float32)


def _blurred(image: Image, fall_off: float) -> Image:
    """Attenuate high frequencies isotropically, by a cosine."""
    spectrum = Spectrum.of(image)
    beyond = np.clip((2.0 * spectrum.frequency(1.0) - fall_off) / (_BINNING_END - fall_off), 0.0, 1.0)
    return spectrum.filtered(0.5 * (1.0 + np.cos(np.pi * beyond)))


def _weighted(image: Image, settings: ImagingSettings, tilt: float, dose: float) -> Image:
    weight = np.float32(np.cos(np.deg2rad(tilt)) ** settings.tilt_weighting)
    if not settings.dose_weighting:
        return image * weight
    spectrum = Spectrum.of(image)
    return weight * spectrum.filtered(
        dose_filter(spectrum.frequency(settings.voxel_size_angstrom), dose, settings.voltage_kv)
    )
