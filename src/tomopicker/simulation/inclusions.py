"""Everything in a lamella besides resolved molecules and membranes: filaments, granules, gold, ice, small molecules."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int
from scipy import ndimage

from tomopicker.simulation.lamella import ICE_DENSITY, Lamella, Region
from tomopicker.simulation.molecules import PROTEIN_DALTON_PER_CUBIC_ANGSTROM
from tomopicker.types import Shape, Volume

_MAX_ATTEMPTS = 60
_STEP_ANGSTROM = 40.0
"""Distance between consecutive points of a path."""

Path = Float64[np.ndarray, "point 3"]
"""Points along a filament's axis, (x, y, z) in voxels."""


@dataclass(frozen=True)
class Filament:
    """A helix of Gaussian subunits.

    `radius_angstrom` is the radius within which nothing else is placed, `persistence_angstrom` the persistence length.
    Each subunit has a mass, a width and a distance from the axis; rise and twist separate consecutive subunits.
    """

    radius_angstrom: float
    persistence_angstrom: float
    subunit_dalton: float
    subunit_sigma_angstrom: float
    subunit_radius_angstrom: float
    rise_angstrom: float
    twist_degrees: float


ACTIN = Filament(45.0, 1.0e5, 4.2e4, 16.0, 18.0, 27.5, -166.7)
MICROTUBULE = Filament(135.0, 2.0e7, 5.5e4, 13.0, 107.0, 40.0 / 13.0, 360.0 / 13.0)
"""Thirteen protofilaments, a monomer every 40 Å, as a one-start helix; the true three-start lattice is unresolved."""


def draw_path(
    filament: Filament,
    lamella: Lamella,
    voxel_size_angstrom: float,
    is_free: Callable[[np.ndarray, float], bool],
    rng: np.random.Generator,
) -> Path | None:
    """Draw a filament's axis across the whole field of view; return None if there is no room.

    `is_free` tests whether a sphere at (x, y, z) of a radius, both in voxels, overlaps nothing.
    """
    _, n_y, n_x = lamella.shape
    radius = filament.radius_angstrom / voxel_size_angstrom
    step = _STEP_ANGSTROM / voxel_size_angstrom
    bend = np.sqrt(_STEP_ANGSTROM / filament.persistence_angstrom)
    for _ in range(_MAX_ATTEMPTS):
        start = np.array([rng.uniform(0, n_x), rng.uniform(0, n_y), 0.0])
        spread = max(lamella.half_voxels - radius, 0.0)
        start[2] = float(lamella.middle(start[1], start[0])) + rng.uniform(-spread, spread)
        azimuth, slope = rng.uniform(0.0, 2 * np.pi), rng.normal(0.0, 0.1)
        direction = np.array([np.cos(azimuth), np.sin(azimuth), slope])
        halves = []
        for sign in (1.0, -1.0):
            heading, point = sign * direction / np.linalg.norm(direction), start
            half = []
            while -radius <= point[0] <= n_x + radius and -radius <= point[1] <= n_y + radius:
                half.append(point)
                heading = heading + bend * rng.normal(size=3)
                heading /= np.linalg.norm(heading)
                point = point + step * heading
                if abs(point[2] - float(lamella.middle(point[1], point[0]))) > lamella.half_voxels:
                    break  # Cut by the ion beam.
            halves.append(half)
        path = np.array(halves[1][:0:-1] + halves[0])
        if len(path) > 4 and all(is_free(point, radius) for point in path[::2]):
            return np.asarray(path, dtype=np.float64)
    return None


def add_filament(
    canvas: Volume, path: Path, filament: Filament, voxel_size_angstrom: float, rng: np.random.Generator
) -> None:
    """Add the subunits along a path to a canvas (z, y, x) in place."""
    arc_length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    rises = np.arange(0.0, arc_length[-1], filament.rise_angstrom / voxel_size_angstrom)
    axis = np.stack([np.interp(rises, arc_length, path[:, i]) for i in range(3)], axis=1)
    forward = np.gradient(axis, axis=0)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    sideways = np.cross(forward, [0.0, 0.0, 1.0])
    sideways /= np.maximum(np.linalg.norm(sideways, axis=1, keepdims=True), 1e-9)
    upwards = np.cross(sideways, forward)
    angle = np.deg2rad(filament.twist_degrees) * np.arange(len(rises)) + rng.uniform(0, 2 * np.pi)
    radius = filament.subunit_radius_angstrom / voxel_size_angstrom
    centres = axis + radius * (np.cos(angle)[:, None] * sideways + np.sin(angle)[:, None] * upwards)
    excess = filament.subunit_dalton / PROTEIN_DALTON_PER_CUBIC_ANGSTROM / voxel_size_angstrom**3
    sigma = float(np.hypot(filament.subunit_sigma_angstrom / voxel_size_angstrom, 0.4))
    _add_gaussians(canvas, centres[:, ::-1], excess, sigma)


def _add_gaussians(canvas: Volume, centres: Float64[np.ndarray, "n 3"], total: float, sigma: float) -> None:
    """Add Gaussians of equal sum at sub-voxel positions (z, y, x)."""
    half = int(np.ceil(3.0 * sigma))
    offsets = np.stack(np.meshgrid(*[np.arange(-half, half + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for centre in centres:
        voxels = np.rint(centre).astype(int) + offsets
        inside = np.all((voxels >= 0) & (voxels < canvas.shape), axis=1)
        weights = np.exp(-0.5 * ((voxels - centre) ** 2).sum(axis=1) / sigma**2)
        weights *= total / weights.sum()
        canvas[tuple(voxels[inside].T)] += weights[inside].astype(np.float32)


GOLD_DENSITY = 12.0
"""Inner potential of gold in excess of water, in units of protein in excess of water: 26 V against 2.2 V."""

_GRANULE_CONTRAST = (0.25, 0.5)
_MEDIAN_DALTON = 9e4
_LOG_MASS_SD = 0.7
_MAX_DALTON = 2.5e5
"""Heavier molecules have a resolved shape and are placed one by one."""
_SIGMAS_ANGSTROM = (19.0, 23.0, 31.0)
"""Widths of the light, middle and heavy thirds, such that no peak is denser than protein."""
_TRUNCATE = 3.0

ZYXTuple = tuple[float, float, float]


def add_granule(canvas: Volume, centre: ZYXTuple, radius_voxels: float, rng: np.random.Generator) -> None:
    """Add a dense, grainy ellipsoid to a canvas (z, y, x) in place, at a centre (z, y, x) in voxels."""
    region = _region_around(canvas, centre, 1.6 * radius_voxels)
    if region is None:
        return
    axes = radius_voxels * rng.uniform(0.7, 1.2, size=3)
    inside = _soft_ellipsoid(region, centre, axes, softness=radius_voxels / 8.0)
    grain = ndimage.gaussian_filter(rng.normal(size=inside.shape), 1.2)
    grain = 1.0 + 0.5 * grain / max(float(grain.std()), 1e-6)
    canvas[region] += (rng.uniform(*_GRANULE_CONTRAST) * inside * np.clip(grain, 0.0, None)).astype(np.float32)


def add_gold_bead(canvas: Volume, centre: ZYXTuple, radius_voxels: float) -> None:
    """Add a ball of gold to a canvas (z, y, x) in place, at a centre (z, y, x) in voxels."""
    region = _region_around(canvas, centre, radius_voxels + 3.0)
    if region is not None:
        inside = _soft_ellipsoid(region, centre, np.full(3, radius_voxels), softness=0.3)
        # The soft edge thins a bead smaller than a voxel; restore the mass of the ball.
        inside *= 4.0 / 3.0 * np.pi * radius_voxels**3 / max(float(inside.sum()), 1e-6)
        canvas[region] += (GOLD_DENSITY * inside).astype(np.float32)


def add_ice(canvas: Volume, centre: ZYXTuple, radius_voxels: float, lamella: Lamella, rng: np.random.Generator) -> None:
    """Add a lump of ice outside a lamella in place: merged ellipsoids about a centre (z, y, x) in voxels."""
    region = _region_around(canvas, centre, 2.2 * radius_voxels)
    if region is None:
        return
    lump = np.zeros(canvas[region].shape)
    for _ in range(4):
        z, y, x = np.asarray(centre) + rng.normal(0.0, 0.4 * radius_voxels, size=3)
        axes = radius_voxels * rng.uniform(0.5, 1.0, size=3)
        np.maximum(lump, _soft_ellipsoid(region, (z, y, x), axes, softness=0.5), out=lump)
    canvas[region] += (ICE_DENSITY * lump * (1.0 - lamella.inside(region))).astype(np.float32)


def _region_around(canvas: Volume, centre: ZYXTuple, radius: float) -> Region | None:
    """Return the part of a canvas within `radius` of a centre; None if it is empty."""
    half = np.ceil(radius)
    z, y, x = (
        slice(max(int(c - half), 0), min(int(c + half) + 1, n)) for c, n in zip(centre, canvas.shape, strict=True)
    )
    return (z, y, x) if all(part.stop > part.start for part in (z, y, x)) else None


def _soft_ellipsoid(region: Region, centre: ZYXTuple, axes: np.ndarray, softness: float) -> np.ndarray:
    """Return 1 inside an ellipsoid and 0 outside, over a region; the edge is about `softness` voxels wide."""
    lines = [np.arange(part.start, part.stop) - c for part, c in zip(region, centre, strict=True)]
    grid = np.meshgrid(*lines, indexing="ij")
    scaled = np.sqrt(sum((axis / length) ** 2 for axis, length in zip(grid, axes, strict=True)))
    distance = (scaled - 1.0) * float(np.mean(axes)) / softness
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(distance, -30.0, 30.0))))


@dataclass(frozen=True, eq=False)
class _Blobs:
    """Gaussians of one width: sorted flat voxel indices, and the integrated density of each."""

    indices: Int[np.ndarray, " n"]
    masses: Float32[np.ndarray, " n"]
    sigma_voxels: float


@dataclass(frozen=True, eq=False)
class Background:
    """Unresolved small molecules of a volume of a shape (z, y, x), rendered a few sections at a time."""

    shape: Shape
    groups: tuple[_Blobs, ...]

    def density(self, sections: slice) -> Volume:
        """Render the density of some sections (z, y, x)."""
        n_z, n_y, n_x = self.shape
        total = np.zeros((sections.stop - sections.start, n_y, n_x), dtype=np.float32)
        for blobs in self.groups:
            halo = int(_TRUNCATE * blobs.sigma_voxels + 0.5)
            low, high = max(sections.start - halo, 0), min(sections.stop + halo, n_z)
            first, last = np.searchsorted(blobs.indices, [low * n_y * n_x, high * n_y * n_x])
            impulses = np.zeros((high - low, n_y, n_x), dtype=np.float32)
            np.add.at(impulses.ravel(), blobs.indices[first:last] - low * n_y * n_x, blobs.masses[first:last])
            smooth = ndimage.gaussian_filter(impulses, blobs.sigma_voxels, mode="reflect", truncate=_TRUNCATE)
            total += smooth[sections.start - low : sections.stop - low]
        return total


def draw_background(shape: Shape, voxel_size_angstrom: float, fraction: float, rng: np.random.Generator) -> Background:
    """Draw masses and positions of small molecules whose mean density is about `fraction` in a volume (z, y, x)."""
    n_voxels = int(np.prod(shape))
    volume = float(n_voxels) * voxel_size_angstrom**3
    # 1.19: the mean over the median of a log-normal distribution, truncated at the largest mass.
    count = int(fraction * volume * PROTEIN_DALTON_PER_CUBIC_ANGSTROM / (1.19 * _MEDIAN_DALTON))
    masses = np.sort(_MEDIAN_DALTON * np.exp(_LOG_MASS_SD * rng.normal(size=count)))
    excess = np.minimum(masses, _MAX_DALTON) / PROTEIN_DALTON_PER_CUBIC_ANGSTROM / voxel_size_angstrom**3
    groups = []
    for width, part in zip(_SIGMAS_ANGSTROM, np.array_split(excess, 3), strict=True):
        indices = rng.integers(0, n_voxels, size=len(part))
        order = np.argsort(indices, kind="stable")
        sigma = float(np.hypot(width / voxel_size_angstrom, 0.4))
        groups.append(_Blobs(indices[order], part[order].astype(np.float32), sigma))
    return Background(shape, tuple(groups))
