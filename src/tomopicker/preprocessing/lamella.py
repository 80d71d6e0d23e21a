"""The lamella mask: a slab between two smooth, possibly tilted surfaces, detected by its variance at protein scale.

Outside a lamella there is only noise. Between 30 and 90 Å the variance of the specimen is several times that of the
noise, so that it has a step along z at each surface. It is measured in columns spread over x and y.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float64
from scipy import ndimage, optimize

from tomopicker.types import Volume, VoxelMask

FINE, COARSE = 30.0, 90.0
"""Å: standard deviations of the two Gaussians of the band-pass filter."""
COLUMN_WIDTH = 650.0
"""Å."""
MARGIN = 50.0
"""Å kept beyond each surface."""
MAX_COLUMNS = 8
"""Maximum number of columns along each axis."""
MIN_CONTRAST = 0.9
"""Minimum natural logarithm of the variance inside over that outside."""
CAP_QUANTILE = 0.3
"""Values are capped at this quantile of the columns' maxima."""
MAX_EXCESS_OUTSIDE = 0.05
"""Maximum fraction of the excess over the threshold outside the surfaces: single particles in ice are no slab."""
MIN_OUTSIDE = 0.05
"""Minimum fraction of the tomogram outside the lamella; less is not worth masking."""

Profile = Float64[np.ndarray, " z"]
Edges = Float64[np.ndarray, "columns 2"]
Places = Float64[np.ndarray, "columns 2"]
Points = Float64[np.ndarray, "points 2"]
Surface = Callable[[Points], Float64[np.ndarray, " points"]]
"""Function that returns z, in voxels, at points (y, x)."""


@dataclass(frozen=True)
class Lamella:
    """The region of a tomogram's specimen.

    Parameters
    ----------
    mask : VoxelMask or None
        True in it, (z, y, x); None for the whole volume, if no surface was found.
    fraction : float
        Fraction of the volume.
    contrast : float
        Natural logarithm of the variance inside over that outside; 0 if nothing lies outside.
    """

    mask: VoxelMask | None
    fraction: float = 1.0
    contrast: float = 0.0


def find_lamella(volume: Volume, voxel_size: float) -> Lamella:
    """Detect the lamella in a tomogram, and exclude regions without data.

    1. In columns along z, measure the logarithm of the variance between 30 and 90 Å in each section.
    2. Cap values above the maxima of many columns, such as those of gold and ice crystals. Divide all values by Otsu's
       threshold; in each column the lamella is the run of sections with the largest summed excess over it.
    3. Fit a plane or a quadratic surface robustly to the lower ends of the runs, and one to the upper; add a margin.
    4. If inside and outside differ too little, or too much lies beyond the surfaces (scattered particles, ice
       crystals), no lamella is detected, and the whole volume is kept.

    Parameters
    ----------
    volume : Volume
        (z, y, x), of any scale and offset.
    voxel_size : float
        Å.

    Returns
    -------
    Lamella
    """
    empty = constant_regions(volume)
    places, profiles = _profiles(volume, voxel_size, empty)
    inside, contrast = _between_surfaces(places, profiles, volume.shape, voxel_size)
    if empty is not None:
        if inside is None:
            inside = ~empty
        else:
            inside[empty] = False
    if inside is None:
        return Lamella(None)
    fraction = float(inside.mean())
    return Lamella(None) if fraction > 1 - MIN_OUTSIDE or not fraction else Lamella(inside, fraction, contrast)


def constant_regions(volume: Volume) -> VoxelMask | None:
    """Mask constant regions, such as the edges of a back-projection outside all tilts; None if there are none."""
    block = 3
    shape = [edge // block for edge in volume.shape]
    if not all(shape):
        return None
    tolerance = 1e-5 * float(np.ptp(volume[volume.shape[0] // 2]))
    # In each block of 3³, compare a voxel with its next neighbours: comparing all 27 takes four times as long.
    blocks = tuple(slice(0, n * block, block) for n in shape)
    flat = np.ones(shape, dtype=bool)
    for axis in range(3):
        neighbours = tuple(slice(part.start + (axis == other), None, block) for other, part in enumerate(blocks))
        flat &= np.abs(volume[neighbours][tuple(map(slice, shape))] - volume[blocks]) <= tolerance
    # Single flat blocks occur by chance.
    flat = ndimage.binary_opening(flat, np.ones((min(3, shape[0]), 3, 3))) if flat.any() else flat
    if not flat.any():
        return None
    indices = [np.minimum(np.arange(edge) // block, n - 1) for edge, n in zip(volume.shape, shape, strict=True)]
    whole: VoxelMask = flat[np.ix_(*indices)]
    return whole


def _profiles(volume: Volume, voxel_size: float, empty: VoxelMask | None) -> tuple[Places, list[Profile]]:
    """Return the columns' centres (y, x) in voxels, and the logarithm of the band's variance along z in each."""
    fine = max(FINE / voxel_size, 0.8)
    coarse = fine * COARSE / FINE
    halo = int(np.ceil(2 * coarse))
    places, profiles = [], []
    for (y, rows), (x, columns) in product(*(_columns(edge, voxel_size) for edge in volume.shape[1:])):
        box = tuple(slice(max(0, part.start - halo), part.stop + halo) for part in (rows, columns))
        cores = zip((rows, columns), box, strict=True)
        inner = tuple(slice(core.start - part.start, core.stop - part.start) for core, part in cores)
        if empty is not None and empty[:, rows, columns].mean() > 0.5:
            continue
        column = volume[:, *box]
        band = ndimage.gaussian_filter(column, fine, truncate=2.5)
        band -= ndimage.gaussian_filter(column, coarse, truncate=2.0)
        power = np.mean(band[:, *inner].astype(np.float64) ** 2, axis=(1, 2))
        places.append((y, x))
        profiles.append(np.log(np.maximum(power, 1e-12 * max(power.max(), 1e-30))))
    return np.array(places, dtype=np.float64).reshape(-1, 2), profiles


def _columns(edge: int, voxel_size: float) -> Iterator[tuple[float, slice]]:
    """Yield the centres and extents of columns spread evenly along an axis."""
    width = int(np.clip(round(COLUMN_WIDTH / voxel_size), 1, edge))
    count = int(np.clip(edge // width, 1, MAX_COLUMNS))
    for start in np.linspace(0, edge - width, count).round().astype(int).tolist():
        yield start + (width - 1) / 2, slice(start, start + width)


def _between_surfaces(
    places: Places, profiles: list[Profile], shape: tuple[int, ...], voxel_size: float
) -> tuple[Bool[np.ndarray, "z y x"] | None, float]:
    """Return the mask between the two surfaces, None if the contrast to the rest is too small, and that contrast."""
    if not profiles:
        return None, 0.0
    values = np.stack(profiles)
    # Nearly every column has some specimen, so values above the maxima of many columns are gold or ice.
    values = np.minimum(values, np.quantile(values.max(axis=1), CAP_QUANTILE))
    limit = otsu(values.ravel())
    runs = [max_subarray(profile - limit) for profile in values]
    has_run = np.array([run is not None for run in runs])
    if not has_run.any():
        return None, 0.0
    edges = np.array([run for run in runs if run is not None], dtype=np.float64)
    surfaces = [_fit_surface(places[has_run], edges[:, side], shape) for side in (0, 1)]
    margin = MARGIN / voxel_size
    sections = np.arange(shape[0])[None]
    low, high = (surface(places)[:, None] for surface in surfaces)
    inside = (sections >= low) & (sections <= high)
    outside = (sections < low - margin) | (sections > high + margin)
    if not inside.any() or not outside.any():
        return None, 0.0
    contrast = float(np.median(values[inside]) - np.median(values[outside]))
    excess = np.maximum(values - limit, 0)
    if contrast < MIN_CONTRAST or excess[outside].sum() > MAX_EXCESS_OUTSIDE * excess.sum():
        return None, contrast
    return _slab(surfaces, margin, shape), contrast


def otsu(values: Float64[np.ndarray, " n"]) -> float:
    """Return the threshold that minimises the variance within two classes (Otsu, IEEE Trans. SMC 9, 1979)."""
    ordered = np.sort(values)
    if len(ordered) < 2:
        return float(ordered.mean())
    below = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    means = sums[:-1] / below, (sums[-1] - sums[:-1]) / (len(ordered) - below)
    best = int(np.argmax(below * (len(ordered) - below) * (means[1] - means[0]) ** 2))
    # Midway between the class means, not between two neighbours at the edge of the gap.
    return float((means[0][best] + means[1][best]) / 2)


def max_subarray(excess: Profile) -> tuple[int, int] | None:
    """Return the first and last index of the run with the largest sum; None if no value is above 0."""
    total = best = 0.0
    start, run = 0, None
    for index, value in enumerate(excess.tolist()):
        if total <= 0:
            total, start = 0.0, index
        total += value
        if total > best:
            best, run = total, (start, index)
    return run


def _fit_surface(places: Places, z: Float64[np.ndarray, " columns"], shape: tuple[int, ...]) -> Surface:
    """Fit a smooth surface z(y, x) to points, robustly against outliers (soft L1 loss)."""
    terms = 6 if len(z) >= 12 else 3 if len(z) >= 4 else 1
    powers = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)][:terms]

    def design_matrix(points: Points) -> Float64[np.ndarray, "points terms"]:
        y, x = (points / np.array(shape[1:], dtype=np.float64) - 0.5).T
        return np.stack([y**a * x**b for a, b in powers], axis=1)

    matrix = design_matrix(places)
    start = np.zeros(terms)
    start[0] = float(np.median(z))

    def residuals(weights: Profile) -> Float64[np.ndarray, " columns"]:
        return np.asarray(matrix @ weights - z)

    weights = optimize.least_squares(residuals, start, loss="soft_l1", f_scale=1.5).x
    return lambda points: np.asarray(design_matrix(points) @ weights)


def _slab(surfaces: list[Surface], margin: float, shape: tuple[int, ...]) -> Bool[np.ndarray, "z y x"]:
    """Return the mask between two surfaces plus a margin."""
    grid = np.indices(shape[1:], dtype=np.float64).reshape(2, -1).T
    low, high = (surface(grid).reshape(shape[1:]) for surface in surfaces)
    sections = np.arange(shape[0])[:, None, None]
    return (sections >= low - margin) & (sections <= high + margin)
