"""Random changes of a patch that keep the beam along z: flips, quarter turns about z, gain, offset, noise.

A turn about x or y would turn the missing wedge out of z, and the network would see particles no microscope gives. A
quarter turn about z makes a tilt axis along y one along x, as other microscopes have it.
"""

import numpy as np

from tomopicker.types import LabelMask, Volume

GAIN_SD, OFFSET_SD, NOISE_MAX, TILT_SD = 0.1, 0.1, 0.3, 0.4


def augment(volume: Volume, labels: LabelMask, rng: np.random.Generator) -> tuple[Volume, LabelMask]:
    """Change a patch and its labels at random.

    Parameters
    ----------
    volume : Volume
        A standardised patch, (z, y, x), with y and x alike.
    labels : LabelMask
        Of the same shape.
    rng : Generator
        Its draws decide everything.
    """
    turns = int(rng.integers(4))
    flipped = tuple(axis for axis in range(3) if rng.random() < 0.5)
    volume = spectrum_tilted(volume, float(rng.normal(0, TILT_SD)))
    volume = np.flip(np.rot90(volume, turns, axes=(1, 2)), flipped)
    labels = np.flip(np.rot90(labels, turns, axes=(1, 2)), flipped)
    noise = rng.standard_normal(volume.shape, dtype=np.float32) * np.float32(rng.uniform(0, NOISE_MAX))
    gain, offset = np.float32(rng.normal(1, GAIN_SD)), np.float32(rng.normal(0, OFFSET_SD))
    return volume * gain + offset + noise, labels


def spectrum_tilted(volume: Volume, tilt: float) -> Volume:
    """Multiply the amplitudes by exp(tilt·(2k - 1)), k from 0 at zero frequency to 1 at Nyquist along an axis.

    Tomograms differ in defocus, dose and thickness, and so in how steeply their spectra fall.
    """
    z, y, x = volume.shape
    kz, ky, kx = np.fft.fftfreq(z)[:, None, None], np.fft.fftfreq(y)[:, None], np.fft.rfftfreq(x)
    k = np.minimum(2 * np.sqrt(kz**2 + ky**2 + kx**2), 1.0)
    filtered = np.fft.irfftn(np.fft.rfftn(volume) * np.exp(tilt * (2 * k - 1)), volume.shape)
    return filtered.astype(np.float32)
