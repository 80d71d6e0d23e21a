"""Random places and orientations for molecules: no two overlap, a few touch, none crosses a membrane."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

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
    """Spheres placed one after another in a box.

    Parameters
    ----------
    low, high : (3,)
        Corners (x, y, z) in voxels of the box that centres are drawn from; in z the radius is kept clear as well.
    is_free : callable
        (x, y, z), radius -> whether something other than a molecule (a membrane) leaves the place free.
    rng : np.random.Generator
    """

    def __init__(
        self,
        low: Point,
        high: Point,
        is_free: Callable[[Point, float], bool],
        rng: np.random.Generator,
    ) -> None:
        self._low, self._high = low, high
        self._is_free = is_free
        self._rng = rng
        self._centres = np.zeros((0, 3))
        self._radii = np.zeros(0)

    def place(self, n: int, radius_voxels: float, touching_fraction: float = 0.0) -> Positions:
        """Place `n` spheres and return the centres of those that found room.

        Parameters
        ----------
        n : int
        radius_voxels : float
        touching_fraction : float
            Share of the spheres that go right beside an earlier one of the same call.

        Returns
        -------
        Positions, (m, 3)
            (x, y, z) in voxels, m <= n.
        """
        placed: list[Point] = []
        for _ in range(n):
            touches = bool(placed) and self._rng.random() < touching_fraction
            for _ in range(_TRIES):
                centre = self._beside(placed, radius_voxels) if touches else self._anywhere(radius_voxels)
                if self._fits(centre, radius_voxels):
                    placed.append(centre)
                    self._centres = np.vstack([self._centres, centre])
                    self._radii = np.append(self._radii, radius_voxels)
                    break
        return np.asarray(placed, dtype=np.float64).reshape(-1, 3)

    def occupy(self, centres: Positions, radius_voxels: float) -> None:
        """Take places, (x, y, z) in voxels, that are given: whatever is placed later keeps away from them."""
        self._centres = np.vstack([self._centres, centres])
        self._radii = np.append(self._radii, np.full(len(centres), radius_voxels))

    def _anywhere(self, radius: float) -> Point:
        clear = np.array([0.0, 0.0, radius])
        low, high = self._low + clear, self._high - clear
        if high[2] < low[2]:  # thicker than the lamella: in its middle
            low[2] = high[2] = (low[2] + high[2]) / 2.0
        return np.asarray(self._rng.uniform(low, high))

    def _beside(self, placed: list[Point], radius: float) -> Point:
        direction = self._rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        distance = 2.0 * radius * self._rng.uniform(_TOUCHING_DISTANCE, 1.0)
        neighbour = placed[self._rng.integers(len(placed))]
        return np.asarray(neighbour + distance * direction)

    def _fits(self, centre: Point, radius: float) -> bool:
        clear = min(radius, (self._high[2] - self._low[2]) / 2.0)
        if np.any(centre < self._low) or np.any(centre > self._high):
            return False
        if not self._low[2] + clear - 1e-6 <= centre[2] <= self._high[2] - clear + 1e-6:
            return False
        distances = np.linalg.norm(self._centres - centre, axis=1)
        allowed = _TOUCHING_DISTANCE * (self._radii + radius)
        return bool(np.all(distances >= allowed)) and self._is_free(centre, radius)
