"""Random positions and orientations for molecules, and the molecules added to a density there.

No two overlap, a few touch, none crosses a membrane.
"""

from collections.abc import Callable

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

Body = tuple[Float64[np.ndarray, "point 3"], Float32[np.ndarray, " point"]]
"""Points of a molecule, (x, y, z) in voxels from its centre, and their densities."""

_TRIES = 300
"""Random positions tried for one molecule before it is left out."""

_TOUCHING_DISTANCE = 0.85
"""Of a touching pair, in sums of two bounding radii: uneven molecules may interlock this far."""

_CLOSE = 1.6
"""Distance, in bounding radii, below which a pair of a given layout may overlap."""

_ORIENTATIONS_TRIED = 24
"""For a molecule of a close pair."""

_BODY_POINTS = 1500
"""Of a molecule, for the estimate of an overlap."""


def random_rotations(n: int, rng: np.random.Generator) -> Rotations:
    """Draw rotation matrices uniformly over all orientations."""
    if n == 0:
        return np.zeros((0, 3, 3))
    return np.asarray(Rotation.random(n, random_state=rng).as_matrix(), dtype=np.float64)


class SpherePacking:
    """Spheres placed one after another between the faces of a lamella.

    Centres stay a radius away from the faces (in the middle where it is too thin) and `border_voxels` from those of the
    volume in x and y. `is_free` tests whether anything but a sphere (a membrane) leaves (x, y, z), radius free.
    """

    def __init__(
        self, lamella: Lamella, border_voxels: float, is_free: Callable[[Point, float], bool], rng: np.random.Generator
    ) -> None:
        n_z, n_y, n_x = lamella.shape
        half = lamella.half_voxels
        near = [min(border_voxels, n_x / 2), min(border_voxels, n_y / 2)]
        far = [max(n_x - 1 - border_voxels, n_x / 2), max(n_y - 1 - border_voxels, n_y / 2)]
        self._lamella = lamella
        self._middle = lamella.middle_voxels
        self._low = np.array([*near, self._middle - half])
        self._high = np.array([*far, self._middle + half])
        self._last_section = n_z - 1
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
        """Place `n` spheres and give the centres (x, y, z) of those that found room, in voxels.

        A touching sphere is placed in contact with an earlier one of the same call; in a string of `cluster_size`, with
        the one before, as in a polysome.
        """
        placed: list[Point] = []
        clustered = int(clustered_fraction * n) if cluster_size > 1 else 0
        for number in range(n):
            in_string = number < clustered and number % cluster_size > 0
            touches = bool(placed) and (in_string or self._rng.random() < touching_fraction)
            for _ in range(_TRIES):
                if touches:
                    centre = self._touching(placed[-1:] if in_string else placed, radius_voxels)
                else:
                    centre = self._anywhere(radius_voxels)
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
        overlaps = x**2 + y**2 + z**2 < (_TOUCHING_DISTANCE * (radius + self._radii)) ** 2
        return not overlaps.any() and self._is_free(centre, radius)

    def _anywhere(self, radius: float) -> Point:
        clear = np.array([0.0, 0.0, radius])
        low, high = self._low + clear, self._high - clear
        if high[2] < low[2]:  # thicker than the lamella: in its middle
            low[2] = high[2] = (low[2] + high[2]) / 2.0
        centre = self._rng.uniform(low, high)
        centre[2] += self._tilt(centre)
        return np.asarray(centre)

    def _touching(self, placed: list[Point], radius: float) -> Point:
        direction = self._rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        distance = 2.0 * radius * self._rng.uniform(_TOUCHING_DISTANCE, 1.0)
        neighbour = placed[self._rng.integers(len(placed))]
        return np.asarray(neighbour + distance * direction)

    def _fits(self, centre: Point, radius: float) -> bool:
        clear = min(radius, self._lamella.half_voxels)
        level = centre - np.array([0.0, 0.0, self._tilt(centre)])
        if np.any(level < self._low) or np.any(level > self._high):
            return False
        if not self._low[2] + clear - 1e-6 <= level[2] <= self._high[2] - clear + 1e-6:
            return False
        return 0.0 <= centre[2] <= self._last_section and self.is_clear(centre, radius)

    def _tilt(self, centre: Point) -> float:
        """Height in z of a tilted lamella's middle above that of a level one."""
        return float(self._lamella.middle(centre[1], centre[0])) - self._middle


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
    coefficients = _coefficients(molecule)
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
    """Add molecules at given positions as `add_molecules`, and give the orientations.

    They are random, but in close pairs the one of several that overlaps least.
    """
    coefficients, body = _coefficients(molecule), _body(molecule)
    orientations = random_rotations(len(positions), rng)
    width = _CLOSE * molecule.radius_angstrom / molecule.voxel_size_angstrom
    close = {i for pair in cKDTree(positions).query_pairs(width) for i in pair}
    for number, position in enumerate(positions):
        if number in close:
            tried = np.concatenate([orientations[number][None], random_rotations(_ORIENTATIONS_TRIED - 1, rng)])
            overlaps = [_overlap(density, body, position, rotation) for rotation in tried]
            orientations[number] = tried[int(np.argmin(overlaps))]
        paste_rotated(density, coefficients, position[::-1], orientations[number][::-1, ::-1])
        progress()
    return orientations


def _body(molecule: Molecule) -> Body:
    inside = np.argwhere(molecule.density > 0.2 * molecule.density.max())
    chosen = inside[:: max(1, len(inside) // _BODY_POINTS)]
    return (chosen - molecule.density.shape[0] // 2)[:, ::-1].astype(np.float64), molecule.density[tuple(chosen.T)]


def _overlap(density: Volume, body: Body, position: Point, rotation: Float64[np.ndarray, "3 3"]) -> float:
    """Density already present where a rotated body lies, weighted by the body's own."""
    points, weights = body
    voxels = np.rint(position + points @ rotation.T).astype(int)[:, ::-1]
    inside = np.all((voxels >= 0) & (voxels < density.shape), axis=1)
    return float(weights[inside] @ density[tuple(voxels[inside].T)])


def _coefficients(molecule: Molecule) -> Cube:
    return np.asarray(
        ndimage.spline_filter(molecule.density, order=3, output=np.float32, mode="mirror"), dtype=np.float32
    )
