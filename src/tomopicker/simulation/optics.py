"""Optics of a tilt series: tilt scheme, dose and radiation damage, contrast transfer, defocus gradient."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex64, Float32, Float64
from scipy import fft

from tomopicker.simulation.projection import TiltAngles
from tomopicker.simulation.settings import ImagingSettings

_MARGIN = 24
"""Mirrored border of a tilt image in pixels, so that the filters do not wrap around."""

_MAX_STRIP_RADIANS = 0.3
"""Phase difference at Nyquist between neighbouring defocus strips of an image, which are blended."""

Image = Float32[np.ndarray, "y column"]
Frequency = Float64[np.ndarray, "..."]
"""Modulus of the spatial frequency in 1/Å."""


def tilt_angles(settings: ImagingSettings) -> TiltAngles:
    """Return the tilt angles in degrees, ascending and symmetric about zero."""
    steps = int(np.floor(settings.tilt_range_degrees / settings.tilt_step_degrees + 1e-6))
    return np.arange(-steps, steps + 1) * settings.tilt_step_degrees


def dose_before(settings: ImagingSettings) -> Float64[np.ndarray, " tilt"]:
    """Return the accumulated dose in e⁻/Å² at the middle of each exposure, for the tilts of `tilt_angles`."""
    tilts = tilt_angles(settings)
    if settings.dose_per_square_angstrom is None:
        return np.zeros(len(tilts))
    if settings.tilt_scheme == "continuous":
        order = np.arange(len(tilts))
    elif settings.tilt_scheme == "bidirectional":
        order = np.lexsort((np.abs(tilts), tilts < 0))
    else:
        # +1, -1, -2, +2, +3, -3 and so on, two exposures on each side (Hagen, Wan and Briggs 2017).
        step = np.rint(np.abs(tilts) / settings.tilt_step_degrees).astype(int)
        first = np.where(step % 2 == 1, tilts > 0, tilts < 0)
        order = np.lexsort((~first, step))
    per_exposure = settings.dose_per_square_angstrom / len(tilts)
    return np.asarray((np.argsort(order) + 0.5) * per_exposure, dtype=np.float64)


def critical_dose(frequency: Frequency, voltage_kv: float) -> Frequency:
    """Return the dose in e⁻/Å² at which the amplitude of a frequency k has fallen to exp(-1/2).

    0.24499 k^-1.6649 + 2.8141 at 300 kV, a fifth less at 200 kV (Grant and Grigorieff 2015).
    """
    scale = 0.8 + 0.2 * float(np.clip((voltage_kv - 200.0) / 100.0, 0.0, 1.0))
    return np.asarray(scale * (0.24499 * np.maximum(frequency, 1e-6) ** -1.6649 + 2.8141), dtype=np.float64)


def dose_filter(frequency: Frequency, dose: float | Frequency, voltage_kv: float) -> Frequency:
    """Return the fraction of the amplitude left after a dose in e⁻/Å²: exp(-dose / 2 Nc(k))."""
    return np.asarray(np.exp(-0.5 * dose / critical_dose(frequency, voltage_kv)), dtype=np.float64)


def electron_wavelength_angstrom(voltage_kv: float) -> float:
    """Return the relativistic de Broglie wavelength: 0.0197 Å at 300 kV."""
    volts = voltage_kv * 1e3
    return float(12.2643 / np.sqrt(volts * (1.0 + 0.978466e-6 * volts)))


def contrast_transfer(
    frequency: Frequency,
    *,
    defocus_um: float,
    phase_shift_degrees: float,
    voltage_kv: float = 300.0,
    spherical_aberration_mm: float = 2.7,
    amplitude_contrast: float = 0.07,
) -> Frequency:
    """Compute the contrast transfer function of a weak phase object: -sin(π λ Δf k² - π/2 Cs λ³ k⁴ + φ + asin A).

    Negative near k = 0, so protein is dark. The frequency k is in 1/Å, underfocus is positive, and φ is the phase shift
    of a phase plate.
    """
    wavelength = electron_wavelength_angstrom(voltage_kv)
    squared = frequency**2
    defocus = np.pi * wavelength * (defocus_um * 1e4) * squared
    aberration = 0.5 * np.pi * (spherical_aberration_mm * 1e7) * wavelength**3 * squared**2
    phase = defocus - aberration + np.deg2rad(phase_shift_degrees) + np.arcsin(amplitude_contrast)
    return np.asarray(-np.sin(phase), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Fourier transform of an image with a mirrored border."""

    values: Complex64[np.ndarray, "k_row k_column"]
    k_y: Float64[np.ndarray, "k_row 1"]
    k_x: Float64[np.ndarray, "1 k_column"]
    padded_shape: tuple[int, int]
    margin: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, image: Image) -> "Spectrum":
        """Transform an image."""
        n_y, width = image.shape
        margin = min(_MARGIN, n_y, width)
        rows, columns = (fft.next_fast_len(n + 2 * margin, real=True) for n in (n_y, width))
        border = ((margin, rows - n_y - margin), (margin, columns - width - margin))
        values = fft.rfft2(np.pad(image, border, mode="symmetric"))
        k_y, k_x = fft.fftfreq(rows)[:, None], fft.rfftfreq(columns)[None, :]
        return cls(values, k_y, k_x, (rows, columns), margin, (n_y, width))

    def frequency(self, voxel_size_angstrom: float) -> Float64[np.ndarray, "k_row k_column"]:
        """Return the modulus of the spatial frequency in 1/Å."""
        return np.asarray(np.hypot(self.k_y, self.k_x) / voxel_size_angstrom)

    def filtered(self, transfer: np.ndarray) -> Image:
        """Multiply by a transfer function and transform back, without the border."""
        image = fft.irfft2(self.values * transfer.astype(np.complex64), s=self.padded_shape)
        inner = tuple(slice(self.margin, self.margin + n) for n in self.shape)
        return np.asarray(image[inner], dtype=np.float32)


def image_contrast(
    phase: Image, settings: ImagingSettings, tilt: float, dose: float, rng: np.random.Generator
) -> Image:
    """Compute the relative intensity minus 1 of a tilt image, from phase shifts in radians.

    `dose` is the accumulated dose in e⁻/Å²; `rng` draws the defocus jitter and the alignment error.
    """
    spectrum = Spectrum.of(phase)
    frequency = spectrum.frequency(settings.voxel_size_angstrom)
    envelope = 2.0 * np.exp(-settings.b_factor_square_angstrom * frequency**2 / 4.0)
    if settings.radiation_damage:
        envelope *= dose_filter(frequency, dose, settings.voltage_kv)
    defocus = settings.defocus_um + settings.defocus_jitter_um * rng.normal()
    shift_y, shift_x = settings.alignment_error_voxels * rng.normal(size=2)
    shifted = envelope * np.exp(-2j * np.pi * (spectrum.k_y * shift_y + spectrum.k_x * shift_x))
    column_defocus = defocus + _defocus_offsets(phase.shape[1], settings, tilt)
    wavelength = electron_wavelength_angstrom(settings.voltage_kv)
    nyquist = 0.5 / settings.voxel_size_angstrom
    phase_range = np.pi * wavelength * float(np.ptp(column_defocus)) * 1e4 * nyquist**2
    n_strips = 1 + int(np.ceil(phase_range / _MAX_STRIP_RADIANS))
    strips = np.linspace(column_defocus.min(), column_defocus.max(), n_strips)
    image = np.zeros_like(phase)
    for strip in strips:
        transfer = contrast_transfer(
            frequency,
            defocus_um=float(strip),
            phase_shift_degrees=settings.phase_shift_degrees,
            voltage_kv=settings.voltage_kv,
            spherical_aberration_mm=settings.spherical_aberration_mm,
            amplitude_contrast=settings.amplitude_contrast,
        )
        # A column between two strips is their weighted mean.
        width = strips[1] - strips[0] if len(strips) > 1 else np.inf
        weight = np.clip(1.0 - np.abs(column_defocus - strip) / width, 0.0, 1.0).astype(np.float32)
        image += weight * spectrum.filtered(transfer * shifted)
    return image


def _defocus_offsets(width: int, settings: ImagingSettings, tilt: float) -> Float64[np.ndarray, " column"]:
    """Return the defocus in µm of each column of a tilted image, relative to the tilt axis."""
    if not settings.defocus_gradient:
        return np.zeros(width)
    from_axis = (np.arange(width) - (width - 1) / 2) * settings.voxel_size_angstrom
    return np.asarray(from_axis * np.tan(np.deg2rad(tilt)) * 1e-4)
