"""Random molecules unlike any real one: lumps, lobes, shells, barrels and rings at a particle's working scale.

A network that has learned to distinguish hundreds of them, in any orientation and with any missing wedge, has seen no
real molecule, so nothing that it finds later was a template.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32, Float64
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomopicker.types import Volume

BOX = 24
"""Edge of a molecule's box in working voxels."""
MIN_DIAMETER, MAX_DIAMETER = 6.0, 15.0
"""In working voxels."""
FINE = 2
"""Voxels of the fine grid per working voxel, along each axis."""
GRID = 56
"""Edge of the fine grid."""
MIN_SUM = 300.0
"""Minimum sum of a molecule's density on the fine grid."""
ENCLOSED_FRACTION = 0.97
"""Fraction of a molecule's density within its radius."""

Field = Float64[np.ndarray, "z y x"]


@dataclass(frozen=True)
class MoleculeLibrary:
    """Molecules on the working grid, in several orientations.

    Parameters
    ----------
    densities : array, shape (classes, orientations, 24, 24, 24), float16
        Positive, centred on voxel 12.
    radii : array, shape (classes,)
        Radius of the ball around the centre with 0.97 of the density, in working voxels.
    """

    densities: Float16[np.ndarray, "classes orientations 24 24 24"]
    radii: Float64[np.ndarray, " classes"]


@dataclass(frozen=True)
class _Canvas:
    """The fine grid of one molecule: coordinates from its centre, a radius, and a smooth random field."""

    z: Field
    y: Field
    x: Field
    radius: float
    rough: Field
    rng: np.random.Generator

    def ellipsoid(self, axes: np.ndarray, centre: tuple[float, float, float] = (0, 0, 0)) -> Field:
        """Return the distance from the centre in units of the axes."""
        parts = zip((self.z, self.y, self.x), centre, axes, strict=True)
        return np.asarray(np.sqrt(sum(((grid - origin) / axis) ** 2 for grid, origin, axis in parts)))


def draw_library(classes: int, orientations: int, seed: int) -> MoleculeLibrary:
    """Draw a library of random molecules, the same for the same seed.

    Each has a number of random orientations, which the 24 rotations of a cube multiply later.
    """
    rng = np.random.default_rng(seed)
    return make_library((random_molecule(rng) for _ in range(classes)), orientations, rng)


def make_library(molecules: Iterable[Volume], orientations: int, rng: np.random.Generator) -> MoleculeLibrary:
    """Resample molecules from the fine grid to the working grid, each in a number of random orientations."""
    densities = [
        np.stack([_rotate(molecule, Rotation.from_quat(rng.standard_normal(4))) for _ in range(orientations)])
        .astype(np.float16)
        for molecule in molecules
    ]  # fmt: skip
    radii = [_radius(orientations.astype(np.float64).mean(axis=0)) for orientations in densities]
    return MoleculeLibrary(np.stack(densities), np.array(radii))


def random_molecule(rng: np.random.Generator) -> Volume:
    """Draw a molecule on the fine grid, with its centre of mass at the centre."""
    while True:
        density = _draw(rng)
        if density.sum() > MIN_SUM:
            return centred(density)


def centred(density: Field) -> Volume:
    """Shift a density so that its centre of mass is the centre of the fine grid."""
    shift = (GRID - 1) / 2 - np.array(ndimage.center_of_mass(density))
    return ndimage.shift(density, shift, order=1).astype(np.float32)


def _draw(rng: np.random.Generator) -> Field:
    radius = rng.uniform(MIN_DIAMETER, MAX_DIAMETER) / 2 * FINE
    axis = np.arange(GRID) - (GRID - 1) / 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    canvas = _Canvas(z, y, x, radius, _smooth(rng, rng.uniform(1.5, 3) * FINE), rng)
    depth = SHAPES[rng.integers(len(SHAPES))](canvas)
    inside = 1 / (1 + np.exp(np.clip(-2 * depth / FINE, -40, 40)))
    texture = np.clip(1 + rng.uniform(0, 0.5) * _smooth(rng, rng.uniform(0.8, 2) * FINE), 0.1, None)
    contrast = 1.5 if rng.random() < 1 / 3 else 1.0  # Nucleic acids scatter more than protein.
    density = inside * texture * contrast
    density[np.sqrt(z**2 + y**2 + x**2) > GRID / 2 - 1] = 0
    return np.asarray(density)


def _smooth(rng: np.random.Generator, sd: float) -> Field:
    field = ndimage.gaussian_filter(rng.standard_normal((GRID, GRID, GRID)), sd, mode="wrap")
    return np.asarray(field / field.std())


def _lump(canvas: _Canvas) -> Field:
    axes = canvas.rng.uniform(0.55, 1, 3)
    depth = (1 - canvas.ellipsoid(axes / axes.max() * canvas.radius)) * canvas.radius
    return depth + canvas.rough * canvas.rng.uniform(0.05, 0.3) * canvas.radius


def _lobes(canvas: _Canvas) -> Field:
    rng, radius = canvas.rng, canvas.radius
    depth = np.full(canvas.z.shape, -9 * radius)
    for _ in range(rng.integers(2, 6)):
        centre, axes = rng.normal(0, 0.35 * radius, 3), rng.uniform(0.25, 0.65, 3) * radius
        depth = np.maximum(depth, (1 - canvas.ellipsoid(axes, tuple(centre))) * axes.min())
    return np.asarray(depth + canvas.rough * rng.uniform(0.03, 0.15) * radius)


def _shell(canvas: _Canvas) -> Field:
    rng, radius = canvas.rng, canvas.radius
    axes = rng.uniform(0.75, 1, 3)
    distance = canvas.ellipsoid(axes / axes.max())
    wall = rng.uniform(0.15, 0.35) * radius
    depth = wall / 2 - np.abs(distance - (radius - wall / 2)) + canvas.rough * rng.uniform(0.02, 0.12) * radius
    if rng.random() < 0.5:  # A wheel across the equator.
        wheel = np.where(distance < radius, rng.uniform(0.1, 0.25) * radius - np.abs(canvas.z), -radius)
        depth = np.maximum(depth, wheel)
    return np.asarray(depth)


def _barrel(canvas: _Canvas) -> Field:
    rng, radius = canvas.rng, canvas.radius
    outer = rng.uniform(0.3, 0.6) * radius
    inner = rng.uniform(0.2, 0.6) * outer
    radial = np.hypot(canvas.y, canvas.x)
    depth = np.minimum(np.minimum(outer - radial, radial - inner), radius * rng.uniform(0.6, 1) - np.abs(canvas.z))
    for side in (1, -1)[: rng.choice([0, 1, 2], p=[0.4, 0.24, 0.36])]:
        cap = canvas.ellipsoid(np.ones(3), (side * 0.65 * radius, side * rng.uniform(0, 0.3) * radius, 0))
        depth = np.maximum(depth, 0.35 * radius - cap)
    return np.asarray(depth + canvas.rough * rng.uniform(0.02, 0.1) * radius)


def _ring(canvas: _Canvas) -> Field:
    rng, radius = canvas.rng, canvas.radius
    thickness = rng.uniform(0.2, 0.35) * radius
    radial = np.hypot(canvas.y, canvas.x) - (radius - thickness)
    depth = thickness - np.hypot(radial, canvas.z / rng.uniform(0.8, 2))
    return np.asarray(depth + canvas.rough * rng.uniform(0.02, 0.1) * radius)


SHAPES: tuple[Callable[[_Canvas], Field], ...] = (_lump, _lump, _lump, _lobes, _lobes, _shell, _barrel, _ring)
"""Functions that return the depth below the surface in fine voxels; lumps and lobes are drawn more often."""


def _rotate(density: Volume, rotation: Rotation) -> Float32[np.ndarray, "24 24 24"]:
    """Rotate a molecule about its centre and resample it to the working grid, with its centre on voxel 12."""
    matrix, source = rotation.as_matrix(), np.full(3, (GRID - 1) / 2)
    centre = np.full(3, BOX // 2 * FINE + (FINE - 1) / 2)
    fine = ndimage.affine_transform(density, matrix, source - matrix @ centre, (BOX * FINE,) * 3, order=1)
    return np.asarray(fine.reshape(BOX, FINE, BOX, FINE, BOX, FINE).mean(axis=(1, 3, 5)))


def _radius(mean: Float64[np.ndarray, "24 24 24"]) -> float:
    axis = np.arange(BOX) - BOX // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).ravel()
    order = np.argsort(distance)
    enclosed = np.cumsum(mean.ravel()[order]) / mean.sum()
    return float(distance[order][np.searchsorted(enclosed, ENCLOSED_FRACTION)])
