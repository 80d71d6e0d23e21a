"""The optics of one tilt image: contrast transfer with a defocus for each column, envelope, damage, misalignment."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex64, Float32, Float64
from scipy import fft

from tomopicker.simulate.ctf import contrast_transfer, electron_wavelength_angstrom
from tomopicker.simulate.dose import fading
from tomopicker.simulate.settings import ImagingSettings

_EDGE_MARGIN = 24
"""Mirrored border of a tilt image in pixels, so that its optics do not wrap round."""

_STRIP_RADIAN = 0.3
"""By which the phase at the highest frequency differs between two strips of an image, which are blended."""

Image = Float32[np.ndarray, "y column"]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Fourier transform of an image with a mirrored border, and what is needed to go back."""

    values: Complex64[np.ndarray, "k_row k_column"]
    k_y: Float64[np.ndarray, "k_row 1"]
    k_x: Float64[np.ndarray, "1 k_column"]
    rows: int
    columns: int
    margin: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, image: Image) -> "Spectrum":
        n_y, width = image.shape
        margin = min(_EDGE_MARGIN, n_y, width)
        rows, columns = (fft.next_fast_len(n + 2 * margin, real=True) for n in (n_y, width))
        border = ((margin, rows - n_y - margin), (margin, columns - width - margin))
        padded = np.pad(image, border, mode="symmetric")
        k_y, k_x = fft.fftfreq(rows)[:, None], fft.rfftfreq(columns)[None, :]
        return cls(fft.rfft2(padded), k_y, k_x, rows, columns, margin, (n_y, width))

    def frequency(self, voxel_size_angstrom: float) -> Float64[np.ndarray, "k_row k_column"]:
        return np.asarray(np.hypot(self.k_y, self.k_x) / voxel_size_angstrom)

    def image(self, transfer: np.ndarray) -> Image:
        """The image that a transfer function makes of it."""
        back = fft.irfft2(self.values * transfer.astype(np.complex64), s=(self.rows, self.columns))
        inner = back[self.margin : self.margin + self.shape[0], self.margin : self.margin + self.shape[1]]
        return np.asarray(inner, dtype=np.float32)


def image_contrast(
    phase: Image, settings: ImagingSettings, tilt: float, dose: float, rng: np.random.Generator
) -> Image:
    """Relative intensity minus 1 of one tilt image.

    Parameters
    ----------
    phase : Image, (y, column)
        Phase shifts in radians.
    settings : ImagingSettings
    tilt : float
        In degrees.
    dose : float
        Electrons/Å² that the sample has had.
    rng : np.random.Generator
        Of the defocus jitter and the alignment error.
    """
    spectrum = Spectrum.of(phase)
    frequency = spectrum.frequency(settings.voxel_size_angstrom)
    common = 2.0 * np.exp(-settings.b_factor_square_angstrom * frequency**2 / 4.0)
    if settings.radiation_damage:
        common *= fading(frequency, dose, settings.voltage_kv)
    defocus = settings.defocus_um + settings.defocus_jitter_um * rng.normal()
    shift_y, shift_x = settings.alignment_error_voxels * rng.normal(size=2)
    shifted = common * np.exp(-2j * np.pi * (spectrum.k_y * shift_y + spectrum.k_x * shift_x))
    column_defocus = defocus + _defocus_offsets(phase.shape[1], settings, tilt)
    strips = np.linspace(column_defocus.min(), column_defocus.max(), _n_strips(float(np.ptp(column_defocus)), settings))
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
        # Columns between two strips take their share of both.
        width = strips[1] - strips[0] if len(strips) > 1 else np.inf
        share = np.clip(1.0 - np.abs(column_defocus - strip) / width, 0.0, 1.0).astype(np.float32)
        image += share * spectrum.image(transfer * shifted)
    return image


def _defocus_offsets(width: int, settings: ImagingSettings, tilt: float) -> Float64[np.ndarray, " column"]:
    """Defocus in µm of each column of a tilted image less that at the axis: more where the sample is tilted away."""
    if not settings.defocus_gradient:
        return np.zeros(width)
    from_axis = (np.arange(width) - (width - 1) / 2) * settings.voxel_size_angstrom
    return np.asarray(from_axis * np.tan(np.deg2rad(tilt)) * 1e-4)


def _n_strips(span_um: float, settings: ImagingSettings) -> int:
    highest = 0.5 / settings.voxel_size_angstrom
    phase = np.pi * electron_wavelength_angstrom(settings.voltage_kv) * span_um * 1e4 * highest**2
    return 1 + int(np.ceil(phase / _STRIP_RADIAN))
