"""The lamella mask: a slab between two smooth, possibly tilted surfaces, found by its variance at protein's scale.

Outside a lamella there is noise alone. Between 30 and 90 Å the specimen varies several times more strongly than the
noise, so along z that variance has a step at each surface. It is measured in columns spread over x and y.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float64
from scipy import ndimage, optimize

from tomopicker.types import Volume, VoxelMask

FINE, COARSE = 30.0, 90.0
"""Å: what varies between these two Gaussians is compared."""
COLUMN = 650.0
"""Å: width of a column."""
MARGIN = 50.0
"""Å kept beyond each surface."""
MAX_COLUMNS = 8
"""Columns along each axis, at most."""
MIN_CONTRAST = 0.9
"""Natural logarithm of the variance inside over that outside, below which no lamella is accepted."""
CAP_QUANTILE = 0.3
"""Values are capped at this quantile of the columns' maxima."""
MAX_EXCESS_OUTSIDE = 0.05
"""Fraction of the excess over the threshold that may lie outside the surfaces: single particles in ice are no slab."""
MIN_OUTSIDE = 0.05
"""Fraction of the tomogram, below which there is nothing worth leaving out."""

Profile = Float64[np.ndarray, " z"]
Edges = Float64[np.ndarray, "columns 2"]
Places = Float64[np.ndarray, "columns 2"]
Points = Float64[np.ndarray, "points 2"]
Surface = Callable[[Points], Float64[np.ndarray, " points"]]
"""Returns z, in voxels, at points (y, x)."""


@dataclass(frozen=True)
class Lamella:
    """Where a tomogram's specimen is.

    Parameters
    ----------
    mask : VoxelMask or None
        True in it, (z, y, x); None where no surface was found: the whole volume.
    fraction : float
        Of the volume that it fills.
    contrast : float
        Natural logarithm of the variance inside over that outside; 0 where nothing lies outside.
    """

    mask: VoxelMask | None
    fraction: float = 1.0
    contrast: float = 0.0


def find_lamella(volume: Volume, voxel_size: float) -> Lamella:
    """Find the lamella in a tomogram, and leave out what holds no data.

    1. In columns along z, measure the variance between 30 and 90 Å at each section, in logarithm.
    2. Cap what exceeds the maxima of many columns, as gold and ice crystals do. Split all values in two (Otsu's
       threshold); in each column the lamella is the run of sections with the largest summed excess over it.
    3. Fit a plane or a quadratic surface to the columns' upper ends, and one to the lower, robustly; add a margin.
    4. Where inside and outside then differ too little, or too much lies beyond the surfaces (scattered particles, ice
       crystals), there is no lamella to see, and all of the volume is kept.

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
    """Mask where a volume is constant, as at the edges of a back-projection that no tilt reached; None: nowhere."""
    block = 3
    shape = [edge // block for edge in volume.shape]
    if not all(shape):
        return None
    tolerance = 1e-5 * float(np.ptp(volume[volume.shape[0] // 2]))
    # In each block of 3³ a voxel and its next neighbours: looking at all 27 would take four times as long.
    blocks = tuple(slice(0, n * block, block) for n in shape)
    flat = np.ones(shape, dtype=bool)
    for axis in range(3):
        neighbours = tuple(slice(part.start + (axis == other), None, block) for other, part in enumerate(blocks))
        flat &= np.abs(volume[neighbours][tuple(map(slice, shape))] - volume[blocks]) <= tolerance
    # A block or two that happen to be flat are no edge.
    flat = ndimage.binary_opening(flat, np.ones((min(3, shape[0]), 3, 3))) if flat.any() else flat
    if not flat.any():
        return None
    indices = [np.minimum(np.arange(edge) // block, n - 1) for edge, n in zip(volume.shape, shape, strict=True)]
    whole: VoxelMask = flat[np.ix_(*indices)]
    return whole


def _profiles(volume: Volume, voxel_size: float, empty: VoxelMask | None) -> tuple[Places, list[Profile]]:
    """Logarithm of the band's variance along z in each column, and the columns' middles (y, x) in voxels."""
    fine = max(FINE / voxel_size, 0.8)
    coarse = fine * COARSE / FINE
    halo = int(np.ceil(2 * coarse))
    places, profiles = [], []
    for (y, across_y), (x, across_x) in product(*(_columns(edge, voxel_size) for edge in volume.shape[1:])):
        box = tuple(slice(max(0, a.start - halo), a.stop + halo) for a in (across_y, across_x))
        cores = zip((across_y, across_x), box, strict=True)
        inner = tuple(slice(core.start - part.start, core.stop - part.start) for core, part in cores)
        if empty is not None and empty[:, across_y, across_x].mean() > 0.5:
            continue
        column = volume[:, *box]
        band = ndimage.gaussian_filter(column, fine, truncate=2.5)
        band -= ndimage.gaussian_filter(column, coarse, truncate=2.0)
        power = np.mean(band[:, *inner].astype(np.float64) ** 2, axis=(1, 2))
        places.append((y, x))
        profiles.append(np.log(np.maximum(power, 1e-12 * max(power.max(), 1e-30))))
    return np.array(places, dtype=np.float64).reshape(-1, 2), profiles


def _columns(edge: int, voxel_size: float) -> Iterator[tuple[float, slice]]:
    """Spread columns evenly along an axis; give their middles and their extents."""
    width = int(np.clip(round(COLUMN / voxel_size), 1, edge))
    count = int(np.clip(edge // width, 1, MAX_COLUMNS))
    for start in np.linspace(0, edge - width, count).round().astype(int).tolist():
        yield start + (width - 1) / 2, slice(start, start + width)


def _between_surfaces(
    places: Places, profiles: list[Profile], shape: tuple[int, ...], voxel_size: float
) -> tuple[Bool[np.ndarray, "z y x"] | None, float]:
    """Return what lies between the two surfaces, and the contrast to the rest; None where that is too small."""
    if not profiles:
        return None, 0.0
    values = np.stack(profiles)
    # Nearly every column has some specimen, so what exceeds the maxima of many columns is gold or ice.
    values = np.minimum(values, np.quantile(values.max(axis=1), CAP_QUANTILE))
    limit = otsu(values.ravel())
    runs = [max_subarray(profile - limit) for profile in values]
    found = np.array([run is not None for run in runs])
    if not found.any():
        return None, 0.0
    edges = np.array([run for run in runs if run is not None], dtype=np.float64)
    depth = shape[0]
    surfaces = [_fit_surface(places[found], edges[:, side], shape) for side in (0, 1)]
    margin = MARGIN / voxel_size
    sections = np.arange(depth)[None]
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
    """Return the threshold that splits values in two with the least variance within (Otsu, IEEE Trans. SMC 9, 1979)."""
    ordered = np.sort(values)
    if len(ordered) < 2:
        return float(ordered.mean())
    below = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    means = sums[:-1] / below, (sums[-1] - sums[:-1]) / (len(ordered) - below)
    best = int(np.argmax(below * (len(ordered) - below) * (means[1] - means[0]) ** 2))
    # Half-way between the classes, not between two neighbours at the gap's edge.
    return float((means[0][best] + means[1][best]) / 2)


def max_subarray(excess: Profile) -> tuple[int, int] | None:
    """Return the first and last index of the run of the largest sum; None where nothing is above 0."""
    total = best = 0.0
    start, found = 0, None
    for index, value in enumerate(excess.tolist()):
        if total <= 0:
            total, start = 0.0, index
        total += value
        if total > best:
            best, found = total, (start, index)
    return found


def _fit_surface(places: Places, z: Float64[np.ndarray, " columns"], shape: tuple[int, ...]) -> Surface:
    """Fit a smooth surface z(y, x) to points, a few of which may be far off (soft L1 loss)."""
    terms = 6 if len(z) >= 12 else 3 if len(z) >= 4 else 1
    powers = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)][:terms]

    def design_matrix(at: Points) -> Float64[np.ndarray, "points terms"]:
        y, x = (at / np.array(shape[1:], dtype=np.float64) - 0.5).T
        return np.stack([y**a * x**b for a, b in powers], axis=1)

    matrix = design_matrix(places)
    start = np.zeros(terms)
    start[0] = float(np.median(z))

    def residuals(weights: Profile) -> Float64[np.ndarray, " columns"]:
        return np.asarray(matrix @ weights - z)

    weights = optimize.least_squares(residuals, start, loss="soft_l1", f_scale=1.5).x
    return lambda at: np.asarray(design_matrix(at) @ weights)


def _slab(surfaces: list[Surface], margin: float, shape: tuple[int, ...]) -> Bool[np.ndarray, "z y x"]:
    """Return the mask of what lies between two surfaces, a margin added."""
    grid = np.indices(shape[1:], dtype=np.float64).reshape(2, -1).T
    low, high = (surface(grid).reshape(shape[1:]) for surface in surfaces)
    sections = np.arange(shape[0])[:, None, None]
    return (sections >= low - margin) & (sections <= high + margin)
