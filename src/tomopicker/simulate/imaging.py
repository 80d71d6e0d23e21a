"""From a density to a tomogram: a tilt series about y through the microscope's optics and noise, and back-projection.

Weak-phase imaging with one defocus per tilt image; neither the slope of defocus across a tilted image nor the
wave's propagation inside the sample matters at the voxel sizes of picking.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy import fft

from tomopicker.errors import UsageError
from tomopicker.simulate.ctf import contrast_transfer
from tomopicker.simulate.projection import Progress, TiltAngles, back_project, project, ramp_filter, unheard
from tomopicker.types import Volume

_RADIAN_PER_ANGSTROM = 1.4e-3
"""Phase shift of compact protein in excess of vitreous water at 300 kV (2.2 V of inner potential)."""

_EDGE_MARGIN = 24
"""Mirrored border of a tilt image in pixels, so that its optics do not wrap round."""

Image = Float32[np.ndarray, "y column"]


@dataclass(frozen=True)
class ImagingSettings:
    """How a density is imaged and reconstructed.

    Attributes
    ----------
    voxel_size_angstrom : float
    tilt_range_degrees, tilt_step_degrees : float
        Tilts from minus to plus the range; the tilt axis is y.
    defocus_um, defocus_jitter_um : float
        Underfocus positive, and its standard deviation from tilt to tilt.
    phase_shift_degrees : float
        Of a Volta phase plate; 0 without.
    voltage_kv, spherical_aberration_mm, amplitude_contrast : float
    b_factor_square_angstrom : float
        Envelope exp(-B k² / 4).
    dose_per_square_angstrom : float or None
        Electrons over the whole tilt series; None for no noise.
    detective_quantum_efficiency : float
        Share of those electrons that count; the rest is lost to the detector and to inelastic scattering.
    path_attenuation : float
        Lamella thickness over the mean free path: a tilt keeps exp(-that / cos tilt) of its electrons.
    alignment_error_voxels : float
        Standard deviation of the shift of each tilt image, along each of its axes.
    ramp_fall_off : float
        Where the ramp filter begins to fall, as a fraction of Nyquist.
    """

    voxel_size_angstrom: float
    tilt_range_degrees: float = 60.0
    tilt_step_degrees: float = 3.0
    defocus_um: float = 3.5
    defocus_jitter_um: float = 0.1
    phase_shift_degrees: float = 0.0
    voltage_kv: float = 300.0
    spherical_aberration_mm: float = 2.7
    amplitude_contrast: float = 0.07
    b_factor_square_angstrom: float = 800.0
    dose_per_square_angstrom: float | None = 100.0
    detective_quantum_efficiency: float = 0.5
    path_attenuation: float = 0.35
    alignment_error_voxels: float = 0.3
    ramp_fall_off: float = 0.2

    def __post_init__(self) -> None:
        checks = {
            "voxel size": (self.voxel_size_angstrom, 1.0, 60.0, "Å"),
            "tilt range": (self.tilt_range_degrees, 1.0, 80.0, "degrees"),
            "tilt step": (self.tilt_step_degrees, 0.1, self.tilt_range_degrees, "degrees"),
            "defocus": (self.defocus_um, -5.0, 20.0, "µm"),
            "defocus jitter": (self.defocus_jitter_um, 0.0, 5.0, "µm"),
            "amplitude contrast": (self.amplitude_contrast, 0.0, 1.0, ""),
            "B factor": (self.b_factor_square_angstrom, 0.0, 1e5, "Å²"),
            "quantum efficiency": (self.detective_quantum_efficiency, 1e-4, 1.0, ""),
            "path attenuation": (self.path_attenuation, 0.0, 10.0, ""),
            "alignment error": (self.alignment_error_voxels, 0.0, 20.0, "voxels"),
            "ramp fall-off": (self.ramp_fall_off, 0.0, 0.99, "of Nyquist"),
        }
        if self.dose_per_square_angstrom is not None:
            checks["dose"] = (self.dose_per_square_angstrom, 1e-3, 1e6, "electrons/Å²")
        for name, (value, low, high, unit) in checks.items():
            if not low <= value <= high:
                raise UsageError(f"{name} {value}: must be between {low:g} and {high:g} {unit}".rstrip())


def tilt_angles(settings: ImagingSettings) -> TiltAngles:
    """Tilt angles in degrees, symmetric about zero."""
    steps = int(np.floor(settings.tilt_range_degrees / settings.tilt_step_degrees + 1e-6))
    return np.arange(-steps, steps + 1) * settings.tilt_step_degrees


def image_tomogram(density: Volume, settings: ImagingSettings, seed: int, progress: Progress = unheard) -> Volume:
    """Image a density over a tilt series and reconstruct it by weighted back-projection.

    Parameters
    ----------
    density : Volume, (z, y, x)
        1 = compact protein in excess of the solvent.
    settings : ImagingSettings
    seed : int
        Of the noise, the defocus jitter and the alignment errors.
    progress : callable, optional
        Hears of each tilt.

    Returns
    -------
    Volume, (z, y, x)
        Relative image contrast per voxel, protein dark, with a mean near zero. The tilt axis is y, so the missing wedge
        surrounds z.

    Raises
    ------
    UsageError
        If the density is not a volume of at least 8 voxels a side.
    """
    if density.ndim != 3 or min(density.shape) < 8:
        raise UsageError(f"density of shape {density.shape}: a volume (z, y, x) of at least 8 voxels a side is needed")
    rng = np.random.default_rng(seed)
    tilts = tilt_angles(settings)
    images = project(density, tilts, progress)
    images *= np.float32(settings.voxel_size_angstrom * _RADIAN_PER_ANGSTROM)
    for image, tilt in zip(images, tilts, strict=True):
        contrast = _image_contrast(image, settings, rng)
        image[:] = _count_electrons(contrast, settings, float(tilt), len(tilts), rng)
    filtered = ramp_filter(images, settings.ramp_fall_off)
    shape = (density.shape[0], density.shape[1], density.shape[2])
    return back_project(filtered, tilts, shape, progress)


def _image_contrast(phase: Image, settings: ImagingSettings, rng: np.random.Generator) -> Image:
    """Relative intensity minus 1 of one tilt image, from its phase shifts in radians."""
    n_y, width = phase.shape
    margin = min(_EDGE_MARGIN, n_y, width)
    rows, columns = (fft.next_fast_len(n + 2 * margin, real=True) for n in (n_y, width))
    border = ((margin, rows - n_y - margin), (margin, columns - width - margin))
    padded = np.pad(phase, border, mode="symmetric")
    k_y, k_x = fft.fftfreq(rows)[:, None], fft.rfftfreq(columns)[None, :]
    frequency = np.hypot(k_y, k_x) / settings.voxel_size_angstrom
    transfer = 2.0 * contrast_transfer(
        frequency,
        defocus_um=settings.defocus_um + settings.defocus_jitter_um * rng.normal(),
        phase_shift_degrees=settings.phase_shift_degrees,
        voltage_kv=settings.voltage_kv,
        spherical_aberration_mm=settings.spherical_aberration_mm,
        amplitude_contrast=settings.amplitude_contrast,
    )
    transfer *= np.exp(-settings.b_factor_square_angstrom * frequency**2 / 4.0)
    shift_y, shift_x = settings.alignment_error_voxels * rng.normal(size=2)
    shifted = transfer * np.exp(-2j * np.pi * (k_y * shift_y + k_x * shift_x))
    spectrum = fft.rfft2(padded) * shifted.astype(np.complex64)
    image = fft.irfft2(spectrum, s=(rows, columns))
    return np.asarray(image[margin : margin + n_y, margin : margin + width], dtype=np.float32)


def _count_electrons(
    contrast: Image, settings: ImagingSettings, tilt: float, n_tilts: int, rng: np.random.Generator
) -> Image:
    """Contrast as the detector measures it: each pixel's electrons are counted, fewer at high tilts."""
    if settings.dose_per_square_angstrom is None:
        return contrast
    per_pixel = settings.dose_per_square_angstrom / n_tilts * settings.voxel_size_angstrom**2
    kept = settings.detective_quantum_efficiency * np.exp(-settings.path_attenuation / np.cos(np.deg2rad(tilt)))
    expected = per_pixel * kept
    # The mean contrast is the lamella's own and no detail; the normalisation of a real tilt series takes it away.
    intensity = np.clip(1.0 + contrast - contrast.mean(), 0.0, None)
    return np.asarray(rng.poisson(expected * intensity) / expected - 1.0, dtype=np.float32)
