"""Random molecules unlike any real one: lumps, lobes, shells, barrels and rings at a particle's working scale.

A network that has learned to distinguish hundreds of them, in any orientation and behind any missing wedge, knows no
real molecule: nothing that it finds later was a template.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32, Float64
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomopicker.types import Volume

BOX = 24
"""Edge of a box in working voxels; the widest molecule has `WIDEST`."""
NARROWEST, WIDEST = 6.0, 15.0
FINE = 2
"""Voxels of the drawing grid along a working voxel."""
GRID = 56
SMALLEST_SUM = 300.0
ENCLOSED = 0.97
"""Share of a molecule's density within its radius."""

Field = Float64[np.ndarray, "z y x"]


@dataclass(frozen=True)
class MoleculeLibrary:
    """Rotated molecules on the working grid, ready to be put into a scene.

    Parameters
    ----------
    densities : array, shape (classes, orientations, 24, 24, 24), float16
        Positive, centred on voxel 12.
    radii : array, shape (classes,)
        In working voxels: of the ball around the centre that holds 0.97 of the density.
    """

    densities: Float16[np.ndarray, "classes orientations 24 24 24"]
    radii: Float64[np.ndarray, " classes"]


@dataclass(frozen=True)
class _Canvas:
    """The drawing grid of one molecule: coordinates from its middle, a radius, and a smooth random field."""

    z: Field
    y: Field
    x: Field
    radius: float
    rough: Field
    rng: np.random.Generator

    def ellipsoid(self, axes: np.ndarray, centre: tuple[float, float, float] = (0, 0, 0)) -> Field:
        """Return the distance from the centre in units of the axes."""
        parts = zip((self.z, self.y, self.x), centre, axes, strict=True)
        return np.asarray(np.sqrt(sum(((grid - middle) / axis) ** 2 for grid, middle, axis in parts)))


def draw_library(classes: int, orientations: int, seed: int) -> MoleculeLibrary:
    """Draw a library of random molecules, the same for the same seed.

    Each has so many random orientations; the 24 rotations of a cube multiply them later.
    """
    rng = np.random.default_rng(seed)
    return library_of((random_molecule(rng) for _ in range(classes)), classes, orientations, rng)


def library_of(
    molecules: Iterable[Volume], classes: int, orientations: int, rng: np.random.Generator
) -> MoleculeLibrary:
    """Rotate so many molecules of the fine grid at random and draw them on the working grid."""
    densities = np.zeros((classes, orientations, BOX, BOX, BOX), np.float16)
    radii = np.zeros(classes)
    for class_index, density in enumerate(molecules):
        for orientation in range(orientations):
            densities[class_index, orientation] = _rotated(density, Rotation.from_quat(rng.standard_normal(4)))
        radii[class_index] = _radius(densities[class_index].astype(np.float64).mean(axis=0))
    return MoleculeLibrary(densities, radii)


def random_molecule(rng: np.random.Generator) -> Volume:
    """Draw one molecule on the fine grid, its centre of mass in the middle."""
    while True:
        density = _draw(rng)
        if density.sum() > SMALLEST_SUM:
            return centred(density)


def centred(density: Field) -> Volume:
    """Move the centre of mass to the middle of the fine grid."""
    shift = (GRID - 1) / 2 - np.array(ndimage.center_of_mass(density))
    return ndimage.shift(density, shift, order=1).astype(np.float32)


def _draw(rng: np.random.Generator) -> Field:
    radius = rng.uniform(NARROWEST, WIDEST) / 2 * FINE
    axis = np.arange(GRID) - (GRID - 1) / 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    canvas = _Canvas(z, y, x, radius, _smooth(rng, rng.uniform(1.5, 3) * FINE), rng)
    depth = SHAPES[rng.integers(len(SHAPES))](canvas)
    inside = 1 / (1 + np.exp(np.clip(-2 * depth / FINE, -40, 40)))
    texture = np.clip(1 + rng.uniform(0, 0.5) * _smooth(rng, rng.uniform(0.8, 2) * FINE), 0.1, None)
    heavy = 1.5 if rng.random() < 1 / 3 else 1.0  # Nucleic acid scatters more than protein.
    density = inside * texture * heavy
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
    if rng.random() < 0.5:  # A wheel across the middle.
        wheel = np.where(distance < radius, rng.uniform(0.1, 0.25) * radius - np.abs(canvas.z), -radius)
        depth = np.maximum(depth, wheel)
    return np.asarray(depth)


def _barrel(canvas: _Canvas) -> Field:
    rng, radius = canvas.rng, canvas.radius
    outer = rng.uniform(0.3, 0.6) * radius
    inner = rng.uniform(0.2, 0.6) * outer
    across = np.hypot(canvas.y, canvas.x)
    depth = np.minimum(np.minimum(outer - across, across - inner), radius * rng.uniform(0.6, 1) - np.abs(canvas.z))
    for side in (1, -1)[: rng.choice([0, 1, 2], p=[0.4, 0.24, 0.36])]:
        cap = canvas.ellipsoid(np.ones(3), (side * 0.65 * radius, side * rng.uniform(0, 0.3) * radius, 0))
        depth = np.maximum(depth, 0.35 * radius - cap)
    return np.asarray(depth + canvas.rough * rng.uniform(0.02, 0.1) * radius)


def _ring(canvas: _Canvas) -> Field:
    rng, radius = canvas.rng, canvas.radius
    thickness = rng.uniform(0.2, 0.35) * radius
    across = np.hypot(canvas.y, canvas.x) - (radius - thickness)
    depth = thickness - np.hypot(across, canvas.z / rng.uniform(0.8, 2))
    return np.asarray(depth + canvas.rough * rng.uniform(0.02, 0.1) * radius)


SHAPES: tuple[Callable[[_Canvas], Field], ...] = (_lump, _lump, _lump, _lobes, _lobes, _shell, _barrel, _ring)
"""Each gives the depth below the surface, in fine voxels; lumps and lobes are drawn more often."""


def _rotated(density: Volume, rotation: Rotation) -> Float32[np.ndarray, "24 24 24"]:
    """Rotate a molecule about its centre and draw it on the working grid, its centre on voxel 12."""
    matrix, middle = rotation.as_matrix(), np.full(3, (GRID - 1) / 2)
    centre = np.full(3, BOX // 2 * FINE + (FINE - 1) / 2)
    fine = ndimage.affine_transform(density, matrix, middle - matrix @ centre, (BOX * FINE,) * 3, order=1)
    return np.asarray(fine.reshape(BOX, FINE, BOX, FINE, BOX, FINE).mean(axis=(1, 3, 5)))


def _radius(mean: Float64[np.ndarray, "24 24 24"]) -> float:
    axis = np.arange(BOX) - BOX // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).ravel()
    order = np.argsort(distance)
    enclosed = np.cumsum(mean.ravel()[order]) / mean.sum()
    return float(distance[order][np.searchsorted(enclosed, ENCLOSED)])
