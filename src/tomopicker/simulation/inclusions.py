"""What a lamella holds besides molecules: filaments subunit by subunit, granules, gold, ice, and unresolved matter."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int
from scipy import ndimage

from tomopicker.simulation.lamella import ICE_DENSITY, Lamella, Region
from tomopicker.simulation.molecules import PROTEIN_DALTON_PER_CUBIC_ANGSTROM
from tomopicker.types import Shape, Volume

_TRIES = 60
_STEP_ANGSTROM = 40.0
"""Between the points of a path."""

Path = Float64[np.ndarray, "point 3"]
"""(x, y, z) in voxels along a filament's axis."""


@dataclass(frozen=True)
class Filament:
    """A helix of Gaussian subunits.

    Nothing else comes nearer to its axis than `radius_angstrom`; it keeps its direction over the persistence length. A
    subunit has a mass, a width and a distance from the axis; rise and twist are from one to the next along the helix.
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
"""Thirteen protofilaments, a monomer every 40 Å, on one helix; that nature winds three at once is too fine to see."""


def draw_path(
    filament: Filament,
    lamella: Lamella,
    voxel_size_angstrom: float,
    is_free: Callable[[np.ndarray, float], bool],
    rng: np.random.Generator,
) -> Path | None:
    """Draw an axis through the lamella, from end to end of the field of view; None if there is no room.

    `is_free` tests whether a ball at (x, y, z) of a radius, both in voxels, meets nothing.
    """
    _, n_y, n_x = lamella.shape
    radius = filament.radius_angstrom / voxel_size_angstrom
    step = _STEP_ANGSTROM / voxel_size_angstrom
    bend = np.sqrt(_STEP_ANGSTROM / filament.persistence_angstrom)
    for _ in range(_TRIES):
        start = np.array([rng.uniform(0, n_x), rng.uniform(0, n_y), 0.0])
        spread = max(lamella.half_voxels - radius, 0.0)
        start[2] = float(lamella.middle(start[1], start[0])) + rng.uniform(-spread, spread)
        azimuth, rising = rng.uniform(0.0, 2 * np.pi), rng.normal(0.0, 0.1)
        direction = np.array([np.cos(azimuth), np.sin(azimuth), rising])
        ways = []
        for sign in (1.0, -1.0):
            heading, place = sign * direction / np.linalg.norm(direction), start.copy()
            way = []
            while -radius <= place[0] <= n_x + radius and -radius <= place[1] <= n_y + radius:
                way.append(place.copy())
                heading = heading + bend * rng.normal(size=3)
                heading /= np.linalg.norm(heading)
                place = place + step * heading
                if abs(place[2] - float(lamella.middle(place[1], place[0]))) > lamella.half_voxels:
                    break  # cut by the mill
            ways.append(way)
        path = np.array(ways[1][:0:-1] + ways[0])
        if len(path) > 4 and all(is_free(point, radius) for point in path[::2]):
            return np.asarray(path, dtype=np.float64)
    return None


def add_filament(
    canvas: Volume, path: Path, filament: Filament, voxel_size_angstrom: float, rng: np.random.Generator
) -> None:
    """Add the subunits along a path to a canvas (z, y, x) in place."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.arange(0.0, along[-1], filament.rise_angstrom / voxel_size_angstrom)
    axis = np.stack([np.interp(at, along, path[:, i]) for i in range(3)], axis=1)
    forward = np.gradient(axis, axis=0)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    sideways = np.cross(forward, [0.0, 0.0, 1.0])
    sideways /= np.maximum(np.linalg.norm(sideways, axis=1, keepdims=True), 1e-9)
    upwards = np.cross(sideways, forward)
    angle = np.deg2rad(filament.twist_degrees) * np.arange(len(at)) + rng.uniform(0, 2 * np.pi)
    radius = filament.subunit_radius_angstrom / voxel_size_angstrom
    middles = axis + radius * (np.cos(angle)[:, None] * sideways + np.sin(angle)[:, None] * upwards)
    excess = filament.subunit_dalton / PROTEIN_DALTON_PER_CUBIC_ANGSTROM / voxel_size_angstrom**3
    sigma = float(np.hypot(filament.subunit_sigma_angstrom / voxel_size_angstrom, 0.4))
    _add_gaussians(canvas, middles[:, ::-1], excess, sigma)


def _add_gaussians(canvas: Volume, middles: Float64[np.ndarray, "n 3"], total: float, sigma: float) -> None:
    """Add Gaussians of equal sum at places (z, y, x), which need not lie on voxels."""
    half = int(np.ceil(3.0 * sigma))
    offsets = np.stack(np.meshgrid(*[np.arange(-half, half + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.rint(middles).astype(int)
    for middle, voxel in zip(middles, nearest, strict=True):
        places = voxel + offsets
        kept = np.all((places >= 0) & (places < canvas.shape), axis=1)
        weights = np.exp(-0.5 * ((places - middle) ** 2).sum(axis=1) / sigma**2)
        weights *= total / weights.sum()
        z, y, x = places[kept].T
        canvas[z, y, x] += weights[kept].astype(np.float32)


GOLD_DENSITY = 12.0
"""Inner potential of gold in excess of water, in units of protein in excess of water: 26 V against 2.2 V."""

_GRANULE_CONTRAST = (0.25, 0.5)
_MEDIAN_DALTON = 9e4
_LOG_SD = 0.7
"""Of the logarithm of the mass."""
_LARGEST_DALTON = 2.5e5
"""Heavier ones have a resolved shape, and are molecules of the scene."""
_SIGMAS_ANGSTROM = (19.0, 23.0, 31.0)
"""Of the lighter, middle and heavier thirds: a Gaussian's peak is no denser than protein."""
_TRUNCATE = 3.0

ZYXTuple = tuple[float, float, float]


def add_granule(canvas: Volume, centre: ZYXTuple, radius_voxels: float, rng: np.random.Generator) -> None:
    """Add a dense, uneven granule to a canvas (z, y, x) in place, at a centre (z, y, x) in voxels."""
    part = _around(canvas, centre, 1.6 * radius_voxels)
    if part is None:
        return
    axes = radius_voxels * rng.uniform(0.7, 1.2, size=3)
    inside = _soft_ellipsoid(part, centre, axes, softness=radius_voxels / 8.0)
    grain = ndimage.gaussian_filter(rng.normal(size=inside.shape), 1.2)
    grain = 1.0 + 0.5 * grain / max(float(grain.std()), 1e-6)
    canvas[part] += (rng.uniform(*_GRANULE_CONTRAST) * inside * np.clip(grain, 0.0, None)).astype(np.float32)


def add_gold_bead(canvas: Volume, centre: ZYXTuple, radius_voxels: float) -> None:
    """Add a ball of gold to a canvas (z, y, x) in place, at a centre (z, y, x) in voxels."""
    part = _around(canvas, centre, radius_voxels + 3.0)
    if part is not None:
        inside = _soft_ellipsoid(part, centre, np.full(3, radius_voxels), softness=0.3)
        # A bead smaller than a voxel is thinned by the soft edge; its mass is that of the ball.
        inside *= 4.0 / 3.0 * np.pi * radius_voxels**3 / max(float(inside.sum()), 1e-6)
        canvas[part] += (GOLD_DENSITY * inside).astype(np.float32)


def add_ice(canvas: Volume, centre: ZYXTuple, radius_voxels: float, lamella: Lamella, rng: np.random.Generator) -> None:
    """Add a lump of ice to the outside of a lamella in place: merged ellipsoids about a centre (z, y, x) in voxels."""
    part = _around(canvas, centre, 2.2 * radius_voxels)
    if part is None:
        return
    lump = np.zeros(canvas[part].shape)
    for _ in range(4):
        z, y, x = np.asarray(centre) + rng.normal(0.0, 0.4 * radius_voxels, size=3)
        axes = radius_voxels * rng.uniform(0.5, 1.0, size=3)
        np.maximum(lump, _soft_ellipsoid(part, (z, y, x), axes, softness=0.5), out=lump)
    canvas[part] += (ICE_DENSITY * lump * (1.0 - lamella.inside(part))).astype(np.float32)


def _around(canvas: Volume, centre: ZYXTuple, reach: float) -> Region | None:
    """The part of a canvas within `reach` of a centre; None if it is empty."""
    low = [max(int(c - np.ceil(reach)), 0) for c in centre]
    high = [min(int(c + np.ceil(reach)) + 1, n) for c, n in zip(centre, canvas.shape, strict=True)]
    if any(b <= a for a, b in zip(low, high, strict=True)):
        return None
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _soft_ellipsoid(part: Region, centre: ZYXTuple, axes: np.ndarray, softness: float) -> np.ndarray:
    """1 inside, 0 outside, over a part of a canvas; the edge is about `softness` voxels wide."""
    lines = [np.arange(p.start, p.stop) - c for p, c in zip(part, centre, strict=True)]
    grid = np.meshgrid(*lines, indexing="ij")
    scaled = np.sqrt(sum((axis / length) ** 2 for axis, length in zip(grid, axes, strict=True)))
    away = (scaled - 1.0) * float(np.mean(axes)) / softness
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(away, -30.0, 30.0))))


@dataclass(frozen=True, eq=False)
class Blobs:
    """Gaussians of one width: sorted flat voxel indices, and the integrated density of each."""

    where: Int[np.ndarray, " n"]
    masses: Float32[np.ndarray, " n"]
    sigma_voxels: float


@dataclass(frozen=True, eq=False)
class Background:
    """Unresolved small molecules of a volume of a shape (z, y, x), rendered some sections at a time."""

    shape: Shape
    groups: tuple[Blobs, ...]

    def density(self, sections: slice) -> Volume:
        """Density of some sections (z, y, x); its mean over the volume is close to the given fraction."""
        n_z, n_y, n_x = self.shape
        total = np.zeros((sections.stop - sections.start, n_y, n_x), dtype=np.float32)
        for blobs in self.groups:
            halo = int(_TRUNCATE * blobs.sigma_voxels + 0.5)
            low, high = max(sections.start - halo, 0), min(sections.stop + halo, n_z)
            first, last = np.searchsorted(blobs.where, [low * n_y * n_x, high * n_y * n_x])
            impulses = np.zeros((high - low) * n_y * n_x, dtype=np.float32)
            np.add.at(impulses, blobs.where[first:last] - low * n_y * n_x, blobs.masses[first:last])
            smooth = ndimage.gaussian_filter(
                impulses.reshape(high - low, n_y, n_x), blobs.sigma_voxels, mode="reflect", truncate=_TRUNCATE
            )
            total += smooth[sections.start - low : sections.stop - low]
        return total


def draw_background(shape: Shape, voxel_size_angstrom: float, fraction: float, rng: np.random.Generator) -> Background:
    """Draw masses and positions of small molecules that fill a fraction of a volume of a shape (z, y, x)."""
    voxels = int(np.prod(shape))
    volume = float(voxels) * voxel_size_angstrom**3
    # 1.19: the mean over the median of a log-normal distribution, truncated at the largest mass.
    count = int(fraction * volume * PROTEIN_DALTON_PER_CUBIC_ANGSTROM / (1.19 * _MEDIAN_DALTON))
    masses = np.sort(_MEDIAN_DALTON * np.exp(_LOG_SD * rng.normal(size=count)))
    masses = np.minimum(masses, _LARGEST_DALTON)
    excess = masses / PROTEIN_DALTON_PER_CUBIC_ANGSTROM / voxel_size_angstrom**3
    groups = []
    for width, part in zip(_SIGMAS_ANGSTROM, np.array_split(excess, 3), strict=True):
        where = rng.integers(0, voxels, size=len(part))
        order = np.argsort(where, kind="stable")
        sigma = float(np.hypot(width / voxel_size_angstrom, 0.4))
        groups.append(Blobs(where[order], part[order].astype(np.float32), sigma))
    return Background(shape, tuple(groups))
