"""Random places and orientations for molecules: no two overlap, a few touch, none crosses a membrane."""

from collections.abc import Callable
from itertools import product

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from tomopicker.simulate.lamella import Lamella
from tomopicker.types import Positions

Rotations = Float64[np.ndarray, "n 3 3"]
"""Matrices that turn (x, y, z) of the molecule into (x, y, z) of the tomogram."""

OtherPositions = Float64[np.ndarray, "m 3"]
"""Like `Positions`, of another number of molecules."""

OtherRotations = Float64[np.ndarray, "m 3 3"]
"""Like `Rotations`, of another number of molecules."""

Point = Float64[np.ndarray, "3"]
"""(x, y, z) in voxels."""

_TRIES = 300
"""Random places tried for one molecule before it is given up: the lamella is full."""

_TOUCHING_DISTANCE = 0.85
"""Of the sum of two radii, for a pair that touches: bounding radii of uneven molecules may interlock this far."""


def random_rotations(n: int, rng: np.random.Generator) -> Rotations:
    """Matrices drawn uniformly over all orientations."""
    if n == 0:
        return np.zeros((0, 3, 3))
    return np.asarray(Rotation.random(n, random_state=rng).as_matrix(), dtype=np.float64)


class Packing:
    """Spheres placed one after another between the faces of a lamella.

    Parameters
    ----------
    lamella : Lamella
        Centres stay a radius away from its faces, or in its middle where it is too thin.
    border_voxels : float
        Centres stay this far from the faces of the volume in x and y.
    is_free : callable
        (x, y, z), radius -> whether something other than a molecule (a membrane) leaves the place free.
    rng : np.random.Generator
    """

    def __init__(
        self,
        lamella: Lamella,
        border_voxels: float,
        is_free: Callable[[Point, float], bool],
        rng: np.random.Generator,
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
        self._taken = Neighbours()

    def place(
        self,
        n: int,
        radius_voxels: float,
        touching_fraction: float = 0.0,
        clustered_fraction: float = 0.0,
        cluster_size: int = 1,
    ) -> Positions:
        """Place `n` spheres and return the centres of those that found room.

        Parameters
        ----------
        n : int
        radius_voxels : float
        touching_fraction : float
            Share of the spheres that go right beside an earlier one of the same call.
        clustered_fraction : float
            Share of the spheres that come in strings, each right beside the one before, as ribosomes on one messenger.
        cluster_size : int
            Length of such a string.

        Returns
        -------
        Positions, (m, 3)
            (x, y, z) in voxels, m <= n.
        """
        placed: list[Point] = []
        clustered = int(clustered_fraction * n) if cluster_size > 1 else 0
        for number in range(n):
            in_string = number < clustered and number % cluster_size > 0
            touches = bool(placed) and (in_string or self._rng.random() < touching_fraction)
            for _ in range(_TRIES):
                if touches:
                    centre = self._beside(placed[-1:] if in_string else placed, radius_voxels)
                else:
                    centre = self._anywhere(radius_voxels)
                if self._fits(centre, radius_voxels):
                    placed.append(centre)
                    self._taken.add(centre, radius_voxels)
                    break
        return np.asarray(placed, dtype=np.float64).reshape(-1, 3)

    def occupy(self, centres: Positions, radius_voxels: float) -> None:
        """Take places, (x, y, z) in voxels, that are given: whatever is placed later keeps away from them."""
        for centre in centres:
            self._taken.add(centre, radius_voxels)

    def is_clear(self, centre: Point, radius: float) -> bool:
        """Tell whether a sphere meets neither another nor what `is_free` knows."""
        return self._taken.clear(centre, radius, _TOUCHING_DISTANCE) and self._is_free(centre, radius)

    def _anywhere(self, radius: float) -> Point:
        clear = np.array([0.0, 0.0, radius])
        low, high = self._low + clear, self._high - clear
        if high[2] < low[2]:  # thicker than the lamella: in its middle
            low[2] = high[2] = (low[2] + high[2]) / 2.0
        centre = self._rng.uniform(low, high)
        centre[2] += self._tilt(centre)
        return np.asarray(centre)

    def _beside(self, placed: list[Point], radius: float) -> Point:
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
        """How far in z a tilted lamella's middle is from that of a level one."""
        return float(self._lamella.middle(centre[1], centre[0])) - self._middle


class Neighbours:
    """Spheres in a coarse grid of cells, so that asking about one place looks at the few that are near."""

    def __init__(self, cell_voxels: float = 16.0) -> None:
        self._cell = cell_voxels
        self._cells: dict[tuple[int, int, int], list[tuple[float, float, float, float]]] = {}
        self._largest = 0.0

    def add(self, centre: Point, radius: float) -> None:
        """Put in a sphere at (x, y, z)."""
        x, y, z = (float(c) for c in centre)
        key = (int(x // self._cell), int(y // self._cell), int(z // self._cell))
        self._cells.setdefault(key, []).append((x, y, z, radius))
        self._largest = max(self._largest, radius)

    def clear(self, centre: Point, radius: float, share: float) -> bool:
        """Tell whether every sphere is at least `share` of the sum of the two radii away."""
        x, y, z = (float(c) for c in centre)
        reach = share * (radius + self._largest)
        near_x, near_y, near_z = (
            range(int((c - reach) // self._cell), int((c + reach) // self._cell) + 1) for c in (x, y, z)
        )
        for key in product(near_x, near_y, near_z):
            for other_x, other_y, other_z, other in self._cells.get(key, ()):
                squared = (x - other_x) ** 2 + (y - other_y) ** 2 + (z - other_z) ** 2
                if squared < (share * (radius + other)) ** 2:
                    return False
        return True
