"""Candidates of several kinds of particle in one tomogram: each place belongs to one kind, the most probable there."""

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial import cKDTree

from tomopicker.types import Positions, Scores


def belongs(
    positions: Positions,
    probability: Scores,
    kinds: Int64[np.ndarray, " n"],
    diameters: Float64[np.ndarray, " kinds"],
) -> Bool[np.ndarray, " n"]:
    """Choose which candidates are kept: from the most probable on, each removes those of other kinds near it.

    Two candidates of different kinds are of one particle if they are nearer than half the smaller diameter. Candidates
    of one kind do not compete here; they are apart already. Of equal probabilities the first in the list wins.

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
    keeps = np.ones(len(positions), dtype=bool)
    if len(np.unique(kinds)) < 2:
        return keeps
    tree = cKDTree(positions)
    reach = diameters / 2
    for row in np.argsort(-probability, kind="stable"):
        if not keeps[row]:
            continue
        near = np.array(tree.query_ball_point(positions[row], reach[kinds[row]]), dtype=np.int64)
        near = near[kinds[near] != kinds[row]]
        squares = ((positions[near] - positions[row]) ** 2).sum(axis=1)
        keeps[near[squares < np.minimum(reach[kinds[near]], reach[kinds[row]]) ** 2]] = False
    return keeps
