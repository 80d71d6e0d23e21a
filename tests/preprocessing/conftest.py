"""Volumes of distinct values, which identify where a patch was cut, and missing wedges."""

import numpy as np
import pytest

from tomopicker.training.labels import LabelledVolume, label_mask


@pytest.fixture
def numbered():
    def make(shape, positions=(), first=1, radius=3.0, target_fraction=0.5):
        """Number the voxels from `first`; 0 is reserved for padding."""
        clicks = np.array(positions, dtype=np.float64).reshape(-1, 3)
        volume = np.arange(first, first + np.prod(shape), dtype=np.float32).reshape(shape)
        return LabelledVolume(volume, label_mask(shape, clicks, radius, target_fraction), clicks)

    return make


def missing_wedge(edge):
    """Mask of the missing wedge: within 30° of z in the xz plane; the tilt axis is y."""
    z, _, x = np.meshgrid(*[np.fft.fftfreq(edge)] * 3, indexing="ij")
    return np.abs(x) < np.tan(np.radians(30)) * np.abs(z)


@pytest.fixture
def wedge_noise():
    def make(edge):
        """White noise of sd 1, without frequencies in the missing wedge."""
        spectrum = np.fft.fftn(np.random.default_rng(0).standard_normal((edge, edge, edge)))
        spectrum[missing_wedge(edge)] = 0
        volume = np.fft.ifftn(spectrum).real
        return (volume / volume.std()).astype(np.float32)

    return make


@pytest.fixture
def power_in_wedge():
    def measure(volume):
        """Ratio of the mean power inside the wedge to that outside, without the zero frequency."""
        power = np.abs(np.fft.fftn(volume - volume.mean())) ** 2
        wedge = missing_wedge(len(volume))
        return power[wedge].mean() / power[~wedge].mean()

    return measure
