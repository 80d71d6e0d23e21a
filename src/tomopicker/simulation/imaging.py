"""Tilt-series acquisition and reconstruction: from a density, through optics and detector noise, to a tomogram.

Weak-phase imaging: each column of a tilted image has the defocus of the sample's central plane. Propagation of the wave
within the sample is neglected; it does not matter at the voxel sizes of picking.
"""

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.simulation.optics import Image, Spectrum, dose_before, dose_filter, image_contrast, tilt_angles
from tomopicker.simulation.projection import Progress, TiltImages, no_progress, project, sirt, weighted_back_projection
from tomopicker.simulation.settings import ImagingSettings
from tomopicker.types import Shape, Volume

_PHASE_SHIFT_RADIANS_PER_ANGSTROM = 1.4e-3
"""Phase shift of compact protein in excess of vitreous water at 300 kV (2.2 V of inner potential)."""

_HOT_LINE_GAIN = 0.2

_BINNING_CUTOFF = 1.25
"""Frequency, as a fraction of Nyquist, at which the blur of camera and binning reaches zero."""


def simulate_tilt_series(
    density: Volume, settings: ImagingSettings, seed: int, progress: Progress = no_progress
) -> TiltImages:
    """Image a density at each angle of `tilt_angles`.

    The density (z, y, x) is 1 for compact protein in excess of the solvent. The images are aligned; their values are
    relative intensity minus its mean, so protein is dark. The seed determines noise, defocus jitter, alignment errors
    and camera defects.

    Raises `UsageError` if the density is not a volume of at least 8 voxels along each axis.
    """
    if density.ndim != 3 or min(density.shape) < 8:
        raise UsageError(f"density of shape {density.shape}: must be a volume (z, y, x) of at least 8 voxels per axis")
    rng = np.random.default_rng(seed)
    tilts = tilt_angles(settings)
    images = project(density, tilts, progress)
    images *= np.float32(settings.voxel_size_angstrom * _PHASE_SHIFT_RADIANS_PER_ANGSTROM)
    gain = _draw_gain_error(images.shape[1:], settings, np.random.default_rng([seed, 2]))
    for index, (tilt, dose) in enumerate(zip(tilts, dose_before(settings), strict=True)):
        progress("tilt images", index, len(tilts))
        contrast = image_contrast(images[index], settings, float(tilt), float(dose), rng)
        counts = _count_electrons(contrast, settings, float(tilt), len(tilts), gain, rng)
        images[index] = counts if settings.binning_fall_off == 1.0 else _blur(counts, settings.binning_fall_off)
    return images


def reconstruct(
    images: TiltImages, settings: ImagingSettings, shape: Shape, progress: Progress = no_progress
) -> Volume:
    """Reconstruct a volume of a shape (z, y, x) from a tilt series: relative contrast per voxel, mean near zero.

    The tilt axis is y, so the missing wedge surrounds z.
    """
    tilts = tilt_angles(settings)
    if settings.dose_weighting:
        images = np.stack(
            [
                _dose_weight(image, settings, float(dose))
                for image, dose in zip(images, dose_before(settings), strict=True)
            ]
        )
    if settings.tilt_weighting:
        weights = np.cos(np.deg2rad(tilts)) ** settings.tilt_weighting
        images = images * weights.astype(np.float32)[:, None, None]
    if settings.reconstruction == "sirt":
        return sirt(images, tilts, shape, settings.sirt_iterations, progress)
    return weighted_back_projection(
        images, tilts, shape, settings.ramp_fall_off, settings.sirt_like_iterations, progress
    )


def _draw_gain_error(shape: tuple[int, ...], settings: ImagingSettings, rng: np.random.Generator) -> Image | None:
    """Draw the relative gain error of each camera pixel, the same at every tilt; None for a perfect camera."""
    if not (settings.gain_error or settings.hot_lines):
        return None
    gain = settings.gain_error * rng.normal(size=shape)
    for _ in range(settings.hot_lines):
        axis = int(rng.integers(2))
        error = _HOT_LINE_GAIN * rng.choice([-1.0, 1.0])
        np.moveaxis(gain, axis, 0)[int(rng.integers(shape[axis]))] += error
    return np.asarray(gain, dtype=np.float32)


def _count_electrons(
    contrast: Image, settings: ImagingSettings, tilt: float, n_tilts: int, gain: Image | None, rng: np.random.Generator
) -> Image:
    """Add the shot noise of the detector; fewer electrons pass at high tilts."""
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


def _blur(image: Image, fall_off: float) -> Image:
    """Attenuate high frequencies isotropically along a cosine that starts at `fall_off`, a fraction of Nyquist."""
    spectrum = Spectrum.of(image)
    attenuated = np.clip((2.0 * spectrum.frequency(1.0) - fall_off) / (_BINNING_CUTOFF - fall_off), 0.0, 1.0)
    return spectrum.filtered(0.5 * (1.0 + np.cos(np.pi * attenuated)))


def _dose_weight(image: Image, settings: ImagingSettings, dose: float) -> Image:
    spectrum = Spectrum.of(image)
    frequency = spectrum.frequency(settings.voxel_size_angstrom)
    return spectrum.filtered(dose_filter(frequency, dose, settings.voltage_kv))
