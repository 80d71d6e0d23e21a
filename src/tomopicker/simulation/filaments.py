"""Cytoskeletal filaments, subunit by subunit: F-actin and microtubules."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from tomopicker.simulation.lamella import Lamella
from tomopicker.simulation.molecules import PROTEIN_DALTON_PER_CUBIC_ANGSTROM
from tomopicker.types import Volume

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
