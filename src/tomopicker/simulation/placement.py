"""Random positions and orientations for molecules, and rendering them into a density.

Molecules do not overlap and do not cross membranes; a fraction of them may touch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from tomopicker.simulation.lamella import Lamella
from tomopicker.simulation.molecules import Cube, Molecule, paste_rotated
from tomopicker.types import Positions, Volume

Rotations = Float64[np.ndarray, "n 3 3"]
"""Matrices that rotate (x, y, z) of the molecule into (x, y, z) of the tomogram."""

Point = Float64[np.ndarray, "3"]
"""(x, y, z) in voxels."""

_MAX_ATTEMPTS = 300
"""Random positions tried for one molecule before it is left out."""

_MIN_CONTACT_DISTANCE = 0.85
"""Minimum distance of a touching pair, relative to the sum of their bounding radii: irregular molecules interlock."""

_CLOSE_PAIR_RADII = 1.6
"""Distance, in bounding radii, below which a pair of a given layout may overlap."""

_N_ORIENTATIONS = 24
"""Orientations tried for a molecule of a close pair."""

_N_BODY_POINTS = 1500
"""Points of a molecule that estimate an overlap."""


@dataclass(frozen=True, eq=False)
class PlacedMolecules:
    """Molecules with known positions, orientations and class names, row by row.

    Positions are centres of mass, (x, y, z) in voxels from the centre of the first voxel.
    """

    positions: Positions
    orientations: Rotations
    classes: tuple[str, ...]

    @classmethod
    def concatenate(cls, parts: Sequence["PlacedMolecules"]) -> "PlacedMolecules":
        """Join molecules of several classes."""
        return cls(
            np.concatenate([np.zeros((0, 3)), *(part.positions for part in parts)]),
            np.concatenate([np.zeros((0, 3, 3)), *(part.orientations for part in parts)]),
            tuple(name for part in parts for name in part.classes),
        )


def random_rotations(n: int, rng: np.random.Generator) -> Rotations:
    """Draw rotation matrices uniformly over all orientations."""
    if n == 0:
        return np.zeros((0, 3, 3))
    return np.asarray(Rotation.random(n, random_state=rng).as_matrix(), dtype=np.float64)


class SpherePacking:
    """Spheres placed one after another between the faces of a lamella.

    Centres stay a radius away from the faces (or in the mid-plane of a thin lamella) and `border_voxels` from the
    volume's faces in x and y. `is_free` tests whether a sphere, (x, y, z) and radius, avoids everything that is not a
    sphere, such as membranes.
    """

    def __init__(
        self, lamella: Lamella, border_voxels: float, is_free: Callable[[Point, float], bool], rng: np.random.Generator
    ) -> None:
        _, n_y, n_x = lamella.shape
        half = lamella.half_voxels
        near = [min(border_voxels, n_x / 2), min(border_voxels, n_y / 2)]
        far = [max(n_x - 1 - border_voxels, n_x / 2), max(n_y - 1 - border_voxels, n_y / 2)]
        self._lamella = lamella
        self._low = np.array([*near, lamella.middle_voxels - half])
        self._high = np.array([*far, lamella.middle_voxels + half])
        self._is_free = is_free
        self._rng = rng
        self._centres, self._radii = np.zeros((0, 3)), np.zeros(0)

    def place(
        self,
        n: int,
        radius_voxels: float,
        touching_fraction: float = 0.0,
        clustered_fraction: float = 0.0,
        cluster_size: int = 1,
    ) -> Positions:
        """Place up to `n` spheres and return their centres (x, y, z) in voxels.

        A touching sphere is in contact with an earlier one of the same call; in a string of `cluster_size`, with the
        previous one, as in a polysome. Spheres for which there is no room are left out.
        """
        placed: list[Point] = []
        n_clustered = int(clustered_fraction * n) if cluster_size > 1 else 0
        for index in range(n):
            in_string = index < n_clustered and index % cluster_size > 0
            touches = bool(placed) and (in_string or self._rng.random() < touching_fraction)
            for _ in range(_MAX_ATTEMPTS):
                if touches:
                    centre = self._draw_touching(placed[-1:] if in_string else placed, radius_voxels)
                else:
                    centre = self._draw_anywhere(radius_voxels)
                if self._fits(centre, radius_voxels):
                    placed.append(centre)
                    self.occupy(centre[None], radius_voxels)
                    break
        return np.asarray(placed, dtype=np.float64).reshape(-1, 3)

    def occupy(self, centres: Positions, radius_voxels: float) -> None:
        """Add spheres at given centres, (x, y, z) in voxels."""
        self._centres = np.concatenate([self._centres, centres])
        self._radii = np.concatenate([self._radii, np.full(len(centres), radius_voxels)])

    def is_clear(self, centre: Point, radius: float) -> bool:
        """Test whether a sphere overlaps no other and `is_free` accepts it."""
        x, y, z = (self._centres - centre).T
        overlaps = x**2 + y**2 + z**2 < (_MIN_CONTACT_DISTANCE * (radius + self._radii)) ** 2
        return not overlaps.any() and self._is_free(centre, radius)

    def _draw_anywhere(self, radius: float) -> Point:
        margin = np.array([0.0, 0.0, radius])
        low, high = self._low + margin, self._high - margin
        if high[2] < low[2]:  # Wider than the lamella is thick: placed in the mid-plane.
            low[2] = high[2] = (low[2] + high[2]) / 2.0
        centre = self._rng.uniform(low, high)
        centre[2] += self._elevation(centre)
        return np.asarray(centre)

    def _draw_touching(self, placed: list[Point], radius: float) -> Point:
        direction = self._rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        distance = 2.0 * radius * self._rng.uniform(_MIN_CONTACT_DISTANCE, 1.0)
        neighbour = placed[self._rng.integers(len(placed))]
        return np.asarray(neighbour + distance * direction)

    def _fits(self, centre: Point, radius: float) -> bool:
        margin = np.array([0.0, 0.0, min(radius, self._lamella.half_voxels) - 1e-6])
        level = centre - np.array([0.0, 0.0, self._elevation(centre)])
        return (
            bool(np.all((level >= self._low + margin) & (level <= self._high - margin)))
            and 0.0 <= centre[2] <= self._lamella.shape[0] - 1
            and self.is_clear(centre, radius)
        )

    def _elevation(self, centre: Point) -> float:
        """Return z of a tilted lamella's mid-plane relative to that of a level one."""
        return float(self._lamella.middle(centre[1], centre[0])) - self._lamella.middle_voxels


def add_molecules(
    density: Volume,
    molecule: Molecule,
    positions: Positions,
    orientations: Rotations,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Add molecules to a density (z, y, x) in place, at positions (x, y, z) in voxels.

    The orientations rotate (x, y, z) of the molecule into (x, y, z) of the density; `progress` is called after each.
    """
    coefficients = _spline_coefficients(molecule)
    for position, rotation in zip(positions, orientations, strict=True):
        paste_rotated(density, coefficients, position[::-1], rotation[::-1, ::-1])
        progress()


def place_without_overlap(
    density: Volume,
    molecule: Molecule,
    positions: Positions,
    rng: np.random.Generator,
    progress: Callable[[], None] = lambda: None,
) -> Rotations:
    """Add molecules at given positions as `add_molecules` does, and return their orientations.

    Orientations are random; in close pairs, the one out of several that overlaps least.
    """
    coefficients = _spline_coefficients(molecule)
    body = np.argwhere(molecule.density > 0.2 * molecule.density.max())
    body = body[:: max(1, len(body) // _N_BODY_POINTS)]
    points, weights = (body - molecule.density.shape[0] // 2)[:, ::-1], molecule.density[tuple(body.T)]
    orientations = random_rotations(len(positions), rng)
    width = _CLOSE_PAIR_RADII * molecule.radius_angstrom / molecule.voxel_size_angstrom
    close = {i for pair in cKDTree(positions).query_pairs(width) for i in pair}
    for index, position in enumerate(positions):
        if index in close:
            candidates = np.concatenate([orientations[index][None], random_rotations(_N_ORIENTATIONS - 1, rng)])
            overlaps = [_overlap(density, position + points @ rotation.T, weights) for rotation in candidates]
            orientations[index] = candidates[int(np.argmin(overlaps))]
        paste_rotated(density, coefficients, position[::-1], orientations[index][::-1, ::-1])
        progress()
    return orientations


def _overlap(density: Volume, points: Positions, weights: Float32[np.ndarray, " n"]) -> float:
    """Return the density already present at points (x, y, z) in voxels, as a weighted sum."""
    voxels = np.rint(points).astype(int)[:, ::-1]
    inside = np.all((voxels >= 0) & (voxels < density.shape), axis=1)
    return float(weights[inside] @ density[tuple(voxels[inside].T)])


def _spline_coefficients(molecule: Molecule) -> Cube:
    return np.asarray(ndimage.spline_filter(molecule.density, order=3, output=np.float32, mode="mirror"))
