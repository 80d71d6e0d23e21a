"""Peaks of a score volume: positions and scores, their suppression, and their assignment to clicks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Int64
from scipy.spatial import cKDTree

from tomopicker.errors import TomoPickerError
from tomopicker.types import Number, Positions, Scores

MISSED = float("-inf")
"""Score of a click without a peak."""


@dataclass(frozen=True)
class Peaks:
    """Particles found in one score volume, the best first.

    Attributes
    ----------
    positions_voxels : Positions
        (n, 3) float64, rows of (x, y, z) in voxels of the score volume; 0 is the centre of the first voxel.
    scores : (n,) float32
        Descending.
    """

    positions_voxels: Positions
    scores: Float32[np.ndarray, " n"]

    def __len__(self) -> int:
        """Count the peaks."""
        return len(self.scores)


def suppress_near(positions: Float64[np.ndarray, "n 3"], min_distance: float, cap: int) -> Int64[np.ndarray, " kept"]:
    """Keep, in the order given, each position that is no nearer than `min_distance` to one kept before."""
    if len(positions) == 0:
        return np.empty(0, dtype=np.int64)
    tree = cKDTree(positions)
    alive: Bool[np.ndarray, " n"] = np.ones(len(positions), dtype=np.bool_)
    kept: list[int] = []
    for candidate in range(len(positions)):
        if len(kept) == cap:
            break
        if not alive[candidate]:
            continue
        kept.append(candidate)
        near = np.array(tree.query_ball_point(positions[candidate], min_distance), dtype=np.int64)
        squares = ((positions[near] - positions[candidate]) ** 2).sum(axis=1)
        alive[near[squares < min_distance**2]] = False
    return np.array(kept, dtype=np.int64)


def suppress_across_kinds(
    positions: Positions,
    probability: Scores,
    kinds: Int64[np.ndarray, " n"],
    diameters: Float64[np.ndarray, " kinds"],
) -> Bool[np.ndarray, " n"]:
    """Keep candidates of several kinds of particle so that each place has one kind, the most probable there.

    From the most probable on, each removes those of other kinds that are nearer than half the smaller diameter, for
    they are of one particle. Candidates of one kind are apart already. Of equal probabilities the first one wins.

    Parameters
    ----------
    positions : Positions
        Å.
    probability : array, shape (n,)
    kinds : array of int, shape (n,)
        Index of each candidate's kind.
    diameters : array, shape (kinds,)
        Of each kind, Å.

    Returns
    -------
    array of bool, shape (n,)
    """
    kept = np.ones(len(positions), dtype=bool)
    if len(np.unique(kinds)) < 2:
        return kept
    tree = cKDTree(positions)
    reach = diameters / 2
    for row in np.argsort(-probability, kind="stable"):
        if not kept[row]:
            continue
        near = np.array(tree.query_ball_point(positions[row], reach[kinds[row]]), dtype=np.int64)
        near = near[kinds[near] != kinds[row]]
        squares = ((positions[near] - positions[row]) ** 2).sum(axis=1)
        kept[near[squares < np.minimum(reach[kinds[near]], reach[kinds[row]]) ** 2]] = False
    return kept


def nearest_peaks(peaks: Peaks, clicks_voxels: Positions, tolerance: float) -> Int[np.ndarray, " clicks"]:
    """Return the index of the peak nearest to each click, -1 if there is none within the tolerance (voxels)."""
    if not len(peaks) or not len(clicks_voxels):
        return np.full(len(clicks_voxels), -1)
    distance, nearest = cKDTree(peaks.positions_voxels).query(clicks_voxels)
    return np.where(distance <= tolerance, nearest, -1)


def click_scores(peaks: Peaks, clicks_voxels: Positions, tolerance: float) -> Scores:
    """Give each click the score of the peak nearest to it, -inf if there is none within the tolerance (voxels)."""
    nearest = nearest_peaks(peaks, clicks_voxels, tolerance)
    scores = np.full(len(nearest), MISSED)
    scores[nearest >= 0] = peaks.scores[nearest[nearest >= 0]]
    return scores


def check_length(name: str, value: Number) -> float:
    """Check a length in voxels."""
    if not (np.isfinite(value) and value >= 0):
        raise TomoPickerError(f"{name} must be zero or more voxels, not {value}")
    return float(value)


def check_cap(max_particles: int | np.integer | None, otherwise: int) -> int:
    """Check a cap on the number of picks; without one, `otherwise`."""
    if max_particles is not None and max_particles < 0:
        raise TomoPickerError(f"--max-particles must be zero or more, not {max_particles}")
    return otherwise if max_particles is None else int(max_particles)


def check_threshold(threshold: Number) -> np.float32:
    """Round a threshold as the scores are, so that 0.1 is not below a score of 0.1."""
    if np.isnan(threshold):
        raise TomoPickerError("--threshold must be a number, not NaN")
    with np.errstate(over="ignore"):
        return np.float32(threshold)
