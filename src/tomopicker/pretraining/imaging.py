"""Random imaging of a scene by a tilt series, applied to the whole volume at once in Fourier space."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy import fft

from tomopicker.simulation.optics import contrast_transfer
from tomopicker.types import Volume

Spectrum = Float32[np.ndarray, "z y half_x"]
Frequencies = Float64[np.ndarray, "z y half_x"]

VOXEL_ANGSTROM = (12.0, 34.0)
"""Working voxel sizes of particles of 140 to 400 Å at 12 voxels per diameter."""
PLATE_DEFOCUS_UM, DEFOCUS_UM = (0.2, 1.2), (1.5, 6.0)
PLATE_SHIFT_DEGREES = (72.0, 108.0)
DEFOCUS_SPREAD_UM = (-0.2, 0.0, 0.2)
ENVELOPE_ANGSTROM2 = (200.0, 1500.0)
TILT_DEGREES = (45.0, 65.0)
ELECTRON_NOISE = (0.2, 2.2)
"""Standard deviation of the electrons' noise, relative to that of the signal."""


@dataclass(frozen=True)
class ImagingModel:
    """Transfer of a scene's density and of noise to the reconstruction, over the half spectrum of `rfftn`.

    Parameters
    ----------
    contrast : array
        Contrast transfer with envelope.
    wedge : array
        Missing wedge, 1 where measured, times the filter of the reconstruction, if it is not flat.
    noise_gain : array or float
        Amplitude of the noise before that filter.
    """

    contrast: Spectrum
    wedge: Spectrum
    noise_gain: Spectrum | float = 1.0

    def image(self, scene: Volume) -> Volume:
        """Image a density without noise; dense regions become dark."""
        return fft.irfftn(fft.rfftn(scene) * self.contrast * self.wedge, s=scene.shape)

    def noise(self, shape: tuple[int, ...], falloff: float, rng: np.random.Generator) -> Volume:
        """Draw noise of unit standard deviation, filtered by the reconstruction.

        `falloff`, in cycles per voxel, is the frequency at which its amplitude has fallen to 1/e.
        """
        spectrum = fft.rfftn(rng.standard_normal(shape, dtype=np.float32)) * self.wedge
        spectrum = spectrum * self.noise_gain
        noise = fft.irfftn(spectrum * np.exp(-((frequency_modulus(shape) / np.float32(falloff)) ** 2)), s=shape)
        return noise / noise.std()  # type: ignore[no-any-return]

    def noisy_image(self, density: Volume, rng: np.random.Generator, noise_factor: float = 1.0) -> Volume:
        """Image a density with the noise of the electrons and of an unresolved cytosol, both of random amplitude.

        `noise_factor` multiplies the amplitude of the electrons' noise.
        """
        signal = self.image(density)
        electrons = self.noise(density.shape, np.exp(rng.uniform(np.log(0.2), np.log(2.0))), rng)
        cytosol = self.image(self.noise(density.shape, rng.uniform(0.14, 0.42), rng))
        cytosol /= max(float(cytosol.std()), 1e-6)
        noise = np.exp(rng.uniform(*np.log(ELECTRON_NOISE))) * noise_factor
        volume = signal / signal.std() + np.float32(noise) * electrons + np.float32(rng.uniform(0, 0.5)) * cytosol
        return np.asarray(volume, dtype=np.float32)


def draw_imaging(edge: int, rng: np.random.Generator) -> ImagingModel:
    """Draw voxel size, defocus or phase plate, envelope, tilt range and direction of the tilt axis.

    The scene is a cube with an edge in working voxels.
    """
    contrast = draw_contrast(edge, np.exp(rng.uniform(*np.log(VOXEL_ANGSTROM))), rng)
    low, high = np.deg2rad(rng.uniform(*TILT_DEGREES, 2))
    tilt, _ = central_sections(edge, draw_tilt_axis(rng))
    return ImagingModel(contrast, ((tilt > -low) & (tilt < high)).astype(np.float32))


def draw_contrast(edge: int, voxel_size: float, rng: np.random.Generator) -> Spectrum:
    """Draw the contrast transfer of a defocus or a phase plate with an envelope; it is negative, so protein is dark.

    The scene is a cube with an edge in voxels of a size in Å.
    """
    frequency = frequency_modulus((edge, edge, edge)).astype(np.float64) / voxel_size
    plate = rng.random() < 0.5
    defocus = rng.uniform(*(PLATE_DEFOCUS_UM if plate else DEFOCUS_UM))
    shift = rng.uniform(*PLATE_SHIFT_DEGREES) if plate else 0.0
    contrasts = [
        contrast_transfer(frequency, defocus_um=defocus + offset, phase_shift_degrees=shift)
        for offset in DEFOCUS_SPREAD_UM
    ]
    contrast = np.mean(contrasts, axis=0)
    envelope = np.exp(-rng.uniform(*ENVELOPE_ANGSTROM2) * frequency**2)
    return np.asarray(contrast * envelope, dtype=np.float32)


def draw_tilt_axis(rng: np.random.Generator) -> float:
    """Draw the direction of a tilt axis in radians; half the time it is an axis of the volume."""
    return float(rng.choice([0.0, np.pi / 2]) if rng.random() < 0.5 else rng.uniform(0, np.pi))


def central_sections(edge: int, axis: float) -> tuple[Frequencies, Frequencies]:
    """Return the tilt in radians whose image measures each frequency, and the frequency's distance from the tilt axis.

    Over the half spectrum of a cube; the distance is in cycles per voxel.
    """
    full, half = np.fft.fftfreq(edge), np.fft.rfftfreq(edge)
    across = half[None, None, :] * np.cos(axis) + full[None, :, None] * np.sin(axis)
    tilt = np.arctan2(full[:, None, None] * np.sign(across + 1e-12), np.abs(across) + 1e-12)
    return np.asarray(tilt), np.asarray(np.hypot(across, full[:, None, None]))


def frequency_modulus(shape: tuple[int, ...]) -> Float32[np.ndarray, "z y half_x"]:
    """Return the modulus of the spatial frequency in cycles per voxel, over the half spectrum."""
    z, y, x = np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])
    modulus: Float32[np.ndarray, "z y half_x"] = np.sqrt(
        z[:, None, None] ** 2 + y[:, None] ** 2 + x**2, dtype=np.float32
    )
    return modulus
