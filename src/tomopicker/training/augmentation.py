"""Augmentation that keeps the beam along z: flips, quarter turns, gain, offset, noise, and free rotations.

Rotating about x or y alone would rotate the missing wedge, which no microscope does. A quarter turn about z exchanges
tilt axes along y and x, which both occur. Freely rotated patches are filtered with the missing wedge measured in the
tomogram: they look like particles in other orientations, so that few clicks cover more orientations.
"""

import numpy as np
from jaxtyping import Float32, Int8
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomopicker.preprocessing.crops import Crop, random_crops
from tomopicker.training.labels import IGNORED
from tomopicker.types import LabelMask, Volume

GAIN_SD, OFFSET_SD, NOISE_MAX = 0.1, 0.1, 0.3
WEDGE_CROPS = 200
"""Number of crops from which the missing wedge is measured."""

WedgeAmplitude = Float32[np.ndarray, "size size size"]
CropLabels = Int8[np.ndarray, "size size size"]


def augment(volume: Volume, labels: LabelMask, rng: np.random.Generator) -> tuple[Volume, LabelMask]:
    """Flip, turn and disturb a patch and its labels at random.

    Parameters
    ----------
    volume : Volume
        Standardised patch, (z, y, x), with equal edges along y and x.
    labels : LabelMask
        Labels of the same shape.
    rng : Generator
        Source of all random numbers.
    """
    turns = int(rng.integers(4))
    flipped = tuple(axis for axis in range(3) if rng.random() < 0.5)
    volume = np.flip(np.rot90(volume, turns, axes=(1, 2)), flipped)
    labels = np.flip(np.rot90(labels, turns, axes=(1, 2)), flipped)
    noise = rng.standard_normal(volume.shape, dtype=np.float32) * np.float32(rng.uniform(0, NOISE_MAX))
    gain, offset = np.float32(rng.normal(1, GAIN_SD)), np.float32(rng.normal(0, OFFSET_SD))
    return volume * gain + offset + noise, labels


def wedge_amplitude(volume: Volume, size: int) -> WedgeAmplitude:
    """Measure the amplitude transmitted at each spatial frequency, from the power of windowed crops.

    Parameters
    ----------
    volume : Volume
        Working volume, (z, y, x), at least `size` along each axis.
    size : int
        Edge of the crops.

    Returns
    -------
    array, shape (size, size, size)
        Amplitude at each frequency, in the order of `numpy.fft.fftn`, relative to the upper quartile at the same
        distance from zero; between 0 (the missing wedge) and 1.
    """
    ramp = np.hanning(size + 2)[1:-1]
    window = ramp[:, None, None] * ramp[:, None] * ramp
    power = np.zeros((size, size, size))
    for crop in random_crops(volume, size, WEDGE_CROPS, seed=0):
        power += np.abs(np.fft.fftn((crop - crop.mean()) * window)) ** 2
    frequency = np.fft.fftfreq(size) * size
    shell = np.sqrt(frequency[:, None, None] ** 2 + frequency[:, None] ** 2 + frequency**2).round().astype(int)
    reference = np.array([np.percentile(power[shell == index], 75) for index in range(shell.max() + 1)])
    amplitude: WedgeAmplitude = np.sqrt(np.minimum(power / np.maximum(reference[shell], 1e-30), 1)).astype(np.float32)
    return amplitude


def random_rotate_with_wedge(
    volume: Volume, labels: LabelMask, corner: np.ndarray, amplitude: WedgeAmplitude, rng: np.random.Generator
) -> tuple[Crop, CropLabels]:
    """Cut a crop rotated at random about its centre, and impose the missing wedge again.

    Parameters
    ----------
    volume, labels
        Source of the crop, (z, y, x).
    corner : array, shape (3,)
        First voxel of the crop, (z, y, x).
    amplitude : WedgeAmplitude
        Transmitted amplitude of the volume; its edge is that of the crop.
    rng : Generator
        Source of the uniformly distributed rotation.

    Returns
    -------
    volume, labels
        Voxels outside the volume are 0 (the mean), and ignored.
    """
    shape = amplitude.shape
    half = (np.array(shape) - 1) / 2
    matrix = Rotation.from_quat(rng.standard_normal(4)).as_matrix()
    offset = corner + half - matrix @ half
    rotated = ndimage.affine_transform(volume, matrix, offset, shape, order=1)
    cut = ndimage.affine_transform(labels, matrix, offset, shape, order=0, mode="constant", cval=IGNORED)
    filtered: Crop = np.fft.ifftn(np.fft.fftn(rotated) * amplitude).real.astype(np.float32)
    return filtered, cut
