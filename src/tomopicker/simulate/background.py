"""What surrounds the molecules of a lamella: membranes, the unresolved crowd of the cytosol, dense lumps."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from tomopicker.types import Shape, Volume

_PROTEIN_DALTON_PER_CUBIC_ANGSTROM = 0.81
_LEAFLET_OFFSET_ANGSTROM = 19.0
"""Half the distance between the two layers of head groups."""
_LEAFLET_SIGMA_ANGSTROM = 8.0
_LEAFLET_DENSITY = 1.1
_SLAB_SECTIONS = 16
_CROWD_MEDIAN_DALTON = 9e4
_CROWD_SPREAD = 0.7
"""Of the logarithm of the mass."""
_CROWD_LARGEST_DALTON = 2.5e5
"""What is heavier has a shape, and is a molecule of the scene; as a Gaussian it would be a dot darker than any."""
_CROWD_SIGMAS_ANGSTROM = (19.0, 23.0, 31.0)
"""Widths of the lighter, middle and heavier thirds: with them a Gaussian is no denser in its middle than a protein."""


def membrane_distance(shape: Shape, voxel_size_angstrom: float, n: int, rng: np.random.Generator) -> Volume:
    """Distance in Å to the nearest of `n` closed, wavy vesicles.

    Parameters
    ----------
    shape : Shape, (z, y, x)
    voxel_size_angstrom : float
    n : int
    rng : np.random.Generator

    Returns
    -------
    Volume, (z, y, x)
        Unsigned; infinity where there is no membrane at all.
    """
    nearest = np.full(shape, np.inf, dtype=np.float32)
    extent = np.array(shape) * voxel_size_angstrom
    for _ in range(n):
        lateral = min(extent[1], extent[2])
        axes = np.array([rng.uniform(1.2, 3.0) * extent[0], *(rng.uniform(0.15, 0.38, size=2) * lateral)])
        middle = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.0, 1.0), rng.uniform(0.0, 1.0)]) * extent
        z, y, x = (
            ((np.arange(size) * voxel_size_angstrom - m) / axis).astype(np.float32)
            for size, m, axis in zip(shape, middle, axes, strict=True)
        )
        waves = _waves(shape, voxel_size_angstrom, rng)
        for slab in _slabs(shape[0]):
            near, far = z[slab, None, None], (z[slab] / axes[0])[:, None, None]
            scaled = np.sqrt(near**2 + y[:, None] ** 2 + x**2)
            # Distance to the surface to first order: the value over the length of its gradient.
            slope = np.sqrt(far**2 + (y / axes[1])[:, None] ** 2 + (x / axes[2]) ** 2)
            distance = (scaled - 1.0) * scaled / np.maximum(slope, 1e-6) + waves[slab]
            np.minimum(nearest[slab], np.abs(distance), out=nearest[slab], casting="same_kind")
    return nearest


def membrane_density(distance_angstrom: Volume, voxel_size_angstrom: float) -> Volume:
    """Density of two leaflets at a distance from a membrane's middle, blurred to the voxel size."""
    sigma = float(np.hypot(_LEAFLET_SIGMA_ANGSTROM, 0.4 * voxel_size_angstrom))
    height = _LEAFLET_DENSITY * _LEAFLET_SIGMA_ANGSTROM / sigma
    density = np.empty_like(distance_angstrom)
    for slab in _slabs(len(density)):
        away = (distance_angstrom[slab] - _LEAFLET_OFFSET_ANGSTROM) / sigma
        mirrored = (distance_angstrom[slab] + _LEAFLET_OFFSET_ANGSTROM) / sigma
        density[slab] = height * (np.exp(-0.5 * away**2) + np.exp(-0.5 * mirrored**2))
    return density


def crowd_density(shape: Shape, voxel_size_angstrom: float, fraction: float, rng: np.random.Generator) -> Volume:
    """Unresolved small molecules: Gaussians of random mass at random voxels.

    Parameters
    ----------
    shape : Shape, (z, y, x)
    voxel_size_angstrom : float
    fraction : float
        Of the volume that the crowd's protein fills.
    rng : np.random.Generator

    Returns
    -------
    Volume, (z, y, x)
        Its mean is close to `fraction`.
    """
    density = np.zeros(shape, dtype=np.float32)
    volume = float(np.prod(shape)) * voxel_size_angstrom**3
    # The mean mass is near the median: the spread lifts it, the largest mass takes it down again.
    count = int(fraction * volume * _PROTEIN_DALTON_PER_CUBIC_ANGSTROM / (1.19 * _CROWD_MEDIAN_DALTON))
    masses = np.sort(_CROWD_MEDIAN_DALTON * np.exp(_CROWD_SPREAD * rng.normal(size=count)))
    masses = np.minimum(masses, _CROWD_LARGEST_DALTON)
    excess = masses / _PROTEIN_DALTON_PER_CUBIC_ANGSTROM / voxel_size_angstrom**3
    for width, part in zip(_CROWD_SIGMAS_ANGSTROM, np.array_split(excess, 3), strict=True):
        where = rng.integers(0, density.size, size=len(part))
        impulses = np.zeros(density.size, dtype=np.float32)
        np.add.at(impulses, where, part.astype(np.float32))
        sigma = float(np.hypot(width / voxel_size_angstrom, 0.4))
        density += ndimage.gaussian_filter(impulses.reshape(shape), sigma, mode="reflect", truncate=3.0)
    return density


def add_lump(
    canvas: Volume, centre: tuple[float, float, float], radius_voxels: float, rng: np.random.Generator
) -> None:
    """Add a dense, uneven granule to a canvas (z, y, x) in place, at a centre (z, y, x) in voxels."""
    half = int(np.ceil(1.6 * radius_voxels))
    low = [max(int(c) - half, 0) for c in centre]
    high = [min(int(c) + half + 1, n) for c, n in zip(centre, canvas.shape, strict=True)]
    if any(b <= a for a, b in zip(low, high, strict=True)):
        return
    grid = np.meshgrid(*(np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True)), indexing="ij")
    axes = radius_voxels * rng.uniform(0.7, 1.2, size=3)
    scaled = np.sqrt(sum((axis / length) ** 2 for axis, length in zip(grid, axes, strict=True)))
    inside = 1.0 / (1.0 + np.exp(np.clip((scaled - 1.0) * 8.0, -30.0, 30.0)))
    grain = ndimage.gaussian_filter(rng.normal(size=inside.shape), 1.2)
    grain = 1.0 + 0.5 * grain / max(float(grain.std()), 1e-6)
    part = canvas[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    part += (rng.uniform(0.25, 0.5) * inside * np.clip(grain, 0.0, None)).astype(np.float32)


def _slabs(sections: int) -> Iterator[slice]:
    """Cut z into slabs of a few sections: what is worked out on the way then takes no memory to speak of."""
    for start in range(0, sections, _SLAB_SECTIONS):
        yield slice(start, start + _SLAB_SECTIONS)


def _waves(shape: Shape, voxel_size_angstrom: float, rng: np.random.Generator) -> Volume:
    """Smooth noise of about 50 Å, over some 600 Å: no membrane is an ellipsoid."""
    coarse = tuple(int(np.ceil(n * voxel_size_angstrom / 600.0)) + 3 for n in shape)
    noise = rng.normal(0.0, 50.0, size=coarse).astype(np.float32)
    factors = [n / c for n, c in zip(shape, coarse, strict=True)]
    return np.asarray(ndimage.zoom(noise, factors, order=3, mode="reflect", grid_mode=True), dtype=np.float32)
