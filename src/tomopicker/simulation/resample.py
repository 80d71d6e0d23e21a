"""Resampling, rotation and placement of densities with sub-voxel centres.

Arrays and points are (z, y, x) here; only the scene uses (x, y, z).
"""

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage

from tomopicker.types import Volume

ZYX = Float64[np.ndarray, "3"]
"""One point or one offset as (z, y, x) in voxels."""

Cube = Float32[np.ndarray, "side side side"]
"""A molecule's array: as wide in z as in y and x, an odd number of voxels."""

_ANTI_ALIAS_SIGMA = 0.5
"""Gaussian blur before sampling, in output voxels: 29% of the amplitude is left at the new Nyquist frequency."""


def array_centre(shape: tuple[int, ...]) -> ZYX:
    """Centre of an array in voxels, (n - 1) / 2 on each axis: between two voxels when n is even."""
    return (np.asarray(shape, dtype=np.float64) - 1.0) / 2.0


def centre_of_mass(density: Volume) -> ZYX:
    """Centre of mass of the positive part of a density, (z, y, x) in voxels from the first voxel's centre."""
    weights = np.clip(density, 0.0, None).astype(np.float64)
    return np.asarray(ndimage.center_of_mass(weights), dtype=np.float64)


def resample_centred(density: Volume, ratio: float) -> Cube:
    """Resample a density to voxels `ratio` times as wide, with its centre of mass exactly in the middle.

    The background is zero, protein positive. Above a ratio of 1 the density is blurred first, against aliasing. The
    cube is wide enough for any orientation. Values are densities: the sum times the voxel volume is conserved.
    """
    source = np.clip(density, 0.0, None).astype(np.float32)
    if ratio > 1.0:
        sigma = _ANTI_ALIAS_SIGMA * ratio
        source = np.pad(source, int(np.ceil(3.0 * sigma)))
        source = ndimage.gaussian_filter(source, sigma)
    centre = centre_of_mass(source)
    half = int(np.ceil(reach(source, centre) / ratio)) + 2
    size = 2 * half + 1
    # Where the middle of the output looks in the input: corrected twice, as sampling itself moves the centre a little.
    result = np.zeros((size, size, size), dtype=np.float32)
    for _ in range(3):
        offset = centre - ratio * half
        ndimage.affine_transform(source, np.full(3, ratio), offset, output=result, order=3)
        np.clip(result, 0.0, None, out=result)
        centre = centre + ratio * (centre_of_mass(result) - half)
    total = float(result.sum(dtype=np.float64)) * ratio**3
    return (result * np.float32(float(source.sum(dtype=np.float64)) / total)).astype(np.float32)


def reach(density: Volume, centre: ZYX, fraction: float = 0.02) -> float:
    """Largest distance in voxels from `centre` of a density above `fraction` of the maximum."""
    kept = np.argwhere(density > fraction * density.max())
    return float(np.sqrt(((kept - centre) ** 2).sum(axis=1).max()))


def paste_rotated(canvas: Volume, coefficients: Cube, centre: ZYX, rotation: Float64[np.ndarray, "3 3"]) -> None:
    """Rotate a molecule and add it to a canvas (z, y, x) at a sub-voxel position; parts outside are cut off.

    Parameters
    ----------
    canvas : Volume, (z, y, x)
    coefficients : Cube, (n, n, n)
        Cubic spline coefficients of the molecule (`scipy.ndimage.spline_filter`), centred in the array.
    centre : ZYX
        (z, y, x) in voxels of the canvas.
    rotation : (3, 3)
        Rotates a vector (z, y, x) of the molecule into one of the canvas.
    """
    half = coefficients.shape[0] // 2
    start = np.floor(centre).astype(int) - half
    stop = start + 2 * half + 2
    low = np.clip(start, 0, canvas.shape)
    high = np.maximum(np.clip(stop, 0, canvas.shape), low)
    region = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    size = tuple(int(n) for n in high - low)
    if min(size) == 0:
        return
    # Only voxels of the ball that holds the molecule: the corners of its cube, half of it, are empty.
    lines = np.ix_(*(np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True)))
    inside = np.nonzero(lines[0] ** 2 + lines[1] ** 2 + lines[2] ** 2 <= (half + 0.5) ** 2)
    away = np.stack([line.ravel()[index] for line, index in zip(lines, inside, strict=True)])
    there = rotation.T @ away + array_centre(coefficients.shape)[:, None]
    piece = np.zeros(size, dtype=np.float32)
    piece[inside] = np.clip(ndimage.map_coordinates(coefficients, there, order=3, prefilter=False), 0.0, None)
    canvas[region] += piece
