"""The imaging of a scene by a tilt series, drawn at random and applied to the whole volume at once in Fourier space."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy import fft

from tomopicker.simulation.optics import contrast_transfer
from tomopicker.types import Volume

Spectrum = Float32[np.ndarray, "z y half_x"]
Frequencies = Float64[np.ndarray, "z y half_x"]

VOXEL_ANGSTROM = (12.0, 34.0)
"""Working voxel sizes: those of particles between 140 and 400 Å at 12 voxels a diameter."""
PLATE_DEFOCUS_UM, DEFOCUS_UM = (0.2, 1.2), (1.5, 6.0)
PLATE_SHIFT_DEGREES = (72.0, 108.0)
DEFOCUS_SPREAD_UM = (-0.2, 0.0, 0.2)
ENVELOPE_ANGSTROM2 = (200.0, 1500.0)
TILT_DEGREES = (45.0, 65.0)


@dataclass(frozen=True)
class ImagingModel:
    """What reaches the volume of a scene's density and of the noise, over the half spectrum of `rfftn`.

    Parameters
    ----------
    contrast : array
        Contrast transfer with envelope.
    wedge : array
        Missing wedge, 1 where measured; also the filter of the reconstruction, where it is not flat.
    noise_gain : array or float
        Amplitude of the noise before that filter.
    """

    contrast: Spectrum
    wedge: Spectrum
    noise_gain: Spectrum | float = 1.0

    def image(self, scene: Volume) -> Volume:
        """Image a scene, dense positive: dense dark, without noise."""
        return fft.irfftn(fft.rfftn(scene) * self.contrast * self.wedge, s=scene.shape)

    def noise(self, shape: tuple[int, ...], falloff: float, rng: np.random.Generator) -> Volume:
        """Draw noise of unit deviation that passes through the same reconstruction.

        `falloff`, in cycles per voxel, is where its amplitude has fallen to 1/e.
        """
        spectrum = fft.rfftn(rng.standard_normal(shape, dtype=np.float32)) * self.wedge
        spectrum = spectrum * self.noise_gain
        noise = fft.irfftn(spectrum * np.exp(-((frequency_modulus(shape) / np.float32(falloff)) ** 2)), s=shape)
        return noise / noise.std()  # type: ignore[no-any-return]


def draw_imaging(edge: int, rng: np.random.Generator) -> ImagingModel:
    """Draw voxel size, defocus or phase plate, envelope, tilt range and direction of the tilt axis.

    The scene is a cube with an edge in working voxels.
    """
    voxel_size = np.exp(rng.uniform(*np.log(VOXEL_ANGSTROM)))
    contrast = draw_contrast(edge, voxel_size, rng)
    return ImagingModel(contrast, _random_wedge(edge, rng))


def draw_contrast(edge: int, voxel_size: float, rng: np.random.Generator) -> Spectrum:
    """Draw the contrast transfer of a defocus or a phase plate, with an envelope; negative: dense is dark.

    The scene is a cube with an edge in voxels of a size in Å.
    """
    frequency = frequency_modulus((edge, edge, edge)).astype(np.float64) / voxel_size
    plate = rng.random() < 0.5
    defocus = rng.uniform(*(PLATE_DEFOCUS_UM if plate else DEFOCUS_UM))
    shift = rng.uniform(*PLATE_SHIFT_DEGREES) if plate else 0.0
    contrasts = [
        contrast_transfer(frequency, defocus_um=defocus + away, phase_shift_degrees=shift) for away in DEFOCUS_SPREAD_UM
    ]
    contrast = np.mean(contrasts, axis=0)
    envelope = np.exp(-rng.uniform(*ENVELOPE_ANGSTROM2) * frequency**2)
    return np.asarray(contrast * envelope, dtype=np.float32)


def _random_wedge(edge: int, rng: np.random.Generator) -> Spectrum:
    low, high = np.deg2rad(rng.uniform(*TILT_DEGREES, 2))
    tilt, _ = central_sections(edge, draw_tilt_axis(rng))
    wedge: Spectrum = ((tilt > -low) & (tilt < high)).astype(np.float32)
    return wedge


def draw_tilt_axis(rng: np.random.Generator) -> float:
    """Draw the direction of a tilt axis in radians: along an axis of the volume, half the time."""
    return float(rng.choice([0.0, np.pi / 2]) if rng.random() < 0.5 else rng.uniform(0, np.pi))


def central_sections(edge: int, axis: float) -> tuple[Frequencies, Frequencies]:
    """Return the tilt in radians whose image measures each frequency, and its distance from the tilt axis.

    The distance is in cycles per voxel, over the half spectrum of a cube.
    """
    full, half = np.fft.fftfreq(edge), np.fft.rfftfreq(edge)
    across = half[None, None, :] * np.cos(axis) + full[None, :, None] * np.sin(axis)
    tilt = np.arctan2(full[:, None, None] * np.sign(across + 1e-12), np.abs(across) + 1e-12)
    return np.asarray(tilt), np.asarray(np.hypot(across, full[:, None, None]))


def frequency_modulus(shape: tuple[int, ...]) -> Float32[np.ndarray, "z y half_x"]:
    """Modulus of the spatial frequency in cycles per voxel, over the half spectrum."""
    z, y, x = np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])
    modulus: Float32[np.ndarray, "z y half_x"] = np.sqrt(
        z[:, None, None] ** 2 + y[:, None] ** 2 + x**2, dtype=np.float32
    )
    return modulus
