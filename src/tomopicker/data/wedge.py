"""The missing wedge as a tomogram itself shows it, and free rotations of patches that put it back where it belongs.

A particle turned freely with its wedge is one that no microscope gives; filtered again by what the tomogram transmits,
it looks like another copy of the particle, turned otherwise. Twenty clicks then show more orientations than twenty.
"""

import numpy as np
from jaxtyping import Float32, Int8
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomopicker.data.crops import Cube, random_crops
from tomopicker.data.labels import IGNORED
from tomopicker.types import LabelMask, Volume

WedgeAmplitude = Float32[np.ndarray, "size size size"]
CubeLabels = Int8[np.ndarray, "size size size"]

SAMPLES = 200


def wedge_amplitude(volume: Volume, size: int, seed: int = 0) -> WedgeAmplitude:
    """Measure which spatial frequencies a tomogram transmits, from the power spectrum of windowed cubes.

    Parameters
    ----------
    volume : Volume
        Working volume, (z, y, x), at least `size` along each axis.
    size : int
        Edge of the cubes.
    seed : int
        Of their places.

    Returns
    -------
    array, shape (size, size, size)
        Amplitude at each frequency, in the order of `numpy.fft.fftn`, relative to the upper quartile at the same
        distance from zero; between 0 (the missing wedge) and 1.
    """
    ramp = np.hanning(size + 2)[1:-1]
    window = ramp[:, None, None] * ramp[:, None] * ramp
    power = np.zeros((size, size, size))
    for cube in random_crops(volume, size, SAMPLES, seed):
        power += np.abs(np.fft.fftn((cube - cube.mean()) * window)) ** 2
    frequency = np.fft.fftfreq(size) * size
    shell = np.sqrt(frequency[:, None, None] ** 2 + frequency[:, None] ** 2 + frequency**2).round().astype(int)
    usual = np.array([np.percentile(power[shell == index], 75) for index in range(shell.max() + 1)])
    passed: WedgeAmplitude = np.sqrt(np.minimum(power / np.maximum(usual[shell], 1e-30), 1)).astype(np.float32)
    return passed


def turned(
    volume: Volume, labels: LabelMask, corner: np.ndarray, passed: WedgeAmplitude, rng: np.random.Generator
) -> tuple[Cube, CubeLabels]:
    """Cut a cube turned freely about its centre, and impose the missing wedge again.

    Parameters
    ----------
    volume, labels
        To cut from, (z, y, x).
    corner : array, shape (3,)
        First voxel of the cube, (z, y, x).
    passed : WedgeAmplitude
        Of the volume; its edge is the cube's.
    rng : Generator
        Draws the rotation, uniform over all.

    Returns
    -------
    volume, labels
        What lies outside the volume is 0, its mean, and ignored.
    """
    size = len(passed)
    half = np.full(3, (size - 1) / 2)
    matrix = Rotation.from_quat(rng.standard_normal(4)).as_matrix()
    offset = corner + half - matrix @ half
    shape = (size, size, size)
    cube = ndimage.affine_transform(volume, matrix, offset, shape, order=1)
    cut = ndimage.affine_transform(labels, matrix, offset, shape, order=0, mode="constant", cval=IGNORED)
    filtered: Cube = np.fft.ifftn(np.fft.fftn(cube) * passed).real.astype(np.float32)
    return filtered, cut
