"""Matching of picks with particles, one-to-one or as in the paper (section 4.2)."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

from tomopicker.errors import TomoPickerError
from tomopicker.types import Number, Positions

TruthPositions: TypeAlias = Float64[np.ndarray, "m 3"]
"""Positions of particles, whose number differs from that of the picks."""

MatchMethod: TypeAlias = Literal["one-to-one", "paper"]
"""How picks are matched with the truth; see `match`."""


def precision_recall_f1(tp: int, fp: int, fn: int) -> tuple[float, float, float]:
    """Return TP/(TP+FP), TP/(TP+FN) and their harmonic mean (section 4.2).

    A ratio of 0/0 is 0, so that the precision of no picks is 0; but if all three counts are 0, nothing is correct and
    all three are 1.
    """
    if tp == fp == fn == 0:
        return 1.0, 1.0, 1.0
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / (tp + fn) if tp + fn else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if tp else 0.0


@dataclass(frozen=True)
class Match:
    """Matched pairs of picks and particles, and counts.

    Attributes
    ----------
    pick_indices, truth_indices : (tp,) int64
        The pairs, by ascending pick. One-to-one: indices are unique. Paper: each true pick with its nearest particle,
        so particles may occur more than once.
    distances : (tp,) float64
        Distances of the pairs, in the unit of the positions.
    tp, fp : int
        True positives and false positives.
    fn : int
        False negatives: particles without a pick.
    """

    pick_indices: Int64[np.ndarray, " tp"]
    truth_indices: Int64[np.ndarray, " tp"]
    distances: Float64[np.ndarray, " tp"]
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class NearPairs:
    """All pairs of a pick and a particle within the tolerance, by ascending pick, then distance, then particle."""

    picks: Int64[np.ndarray, " pairs"]
    truth: Int64[np.ndarray, " pairs"]
    distances: Float64[np.ndarray, " pairs"]
    pick_count: int
    truth_count: int


def match(
    picks_xyz: Positions, truth_xyz: TruthPositions, tolerance: Number, *, method: MatchMethod = "one-to-one"
) -> Match:
    """Match picks with particles within a tolerance.

    "one-to-one": the maximum number of pairs, with no pick and no particle in two of them; among all such matchings,
    the one with the smallest sum of distances. Unmatched picks are false positives, unmatched particles false
    negatives.

    "paper" (section 4.2): each pick with a particle within the tolerance is a true positive, each other pick a false
    positive, each particle without a pick within the tolerance a false negative. TP counts **picks**, as in the text:
    five picks on one particle count as five, so recall = TP/(TP+FN) is not the fraction of particles found. (In the
    paper's tables TP + FN is the same for all methods, as if particles had been counted.)

    Parameters
    ----------
    picks_xyz, truth_xyz : Positions
        (n, 3) and (m, 3), rows of (x, y, z) in one unit.
    tolerance : number
        Maximum distance of a pair, in that unit.
    method : "one-to-one" or "paper"
        See above.

    Returns
    -------
    Match
        Pairs and counts.

    Raises
    ------
    TomoPickerError
        If the tolerance is negative, a position is not finite or the method is unknown.
    """
    return match_pairs(near_pairs(picks_xyz, truth_xyz, tolerance), method)


def near_pairs(picks_xyz: Positions, truth_xyz: TruthPositions, tolerance: Number) -> NearPairs:
    """Find all pairs within the tolerance; raises as `match` does."""
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise TomoPickerError(f"the tolerance of a match must be zero or more, not {tolerance}")
    for name, positions in (("picks", picks_xyz), ("truth", truth_xyz)):
        if not np.isfinite(positions).all():
            row = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
            raise TomoPickerError(f"the position in row {row} of the {name} is not finite: {positions[row].tolist()}")
    pairs = cKDTree(picks_xyz).sparse_distance_matrix(cKDTree(truth_xyz), float(tolerance), output_type="ndarray")
    order = np.lexsort((pairs["j"], pairs["v"], pairs["i"]))
    picks, truth = (pairs[name][order].astype(np.int64) for name in ("i", "j"))
    return NearPairs(picks, truth, pairs["v"][order], len(picks_xyz), len(truth_xyz))


def match_pairs(near: NearPairs, method: MatchMethod) -> Match:
    """Match pairs within the tolerance; see `match`."""
    if method not in get_args(MatchMethod):
        raise TomoPickerError(f"there is no matching method {method}; use one-to-one or paper")
    if method == "paper":
        _, chosen = np.unique(near.picks, return_index=True)  # The nearest pair of a pick is the first.
        missed = near.truth_count - len(np.unique(near.truth))
    else:
        chosen = _shortest_maximum_matching(near)
        missed = near.truth_count - len(chosen)
    return Match(
        pick_indices=near.picks[chosen],
        truth_indices=near.truth[chosen],
        distances=near.distances[chosen],
        tp=len(chosen),
        fp=near.pick_count - len(chosen),
        fn=missed,
    )


def _shortest_maximum_matching(near: NearPairs) -> Int64[np.ndarray, " tp"]:
    """Return the pairs of a maximum matching with the smallest sum of distances, as a sparse assignment problem.

    Each pick may also be assigned to a dummy of its own, at a cost above that of any set of real pairs. Then all picks
    can be assigned, and the cheapest assignment has the fewest dummies, and among those the smallest distances.
    """
    if len(near.picks) == 0:
        return np.empty(0, dtype=np.int64)
    picks, rows = np.unique(near.picks, return_inverse=True)
    particles, columns = np.unique(near.truth, return_inverse=True)
    dummies = np.arange(len(picks))
    # Replacing a dummy by a real pair lengthens the others by less than this. One is added to all costs, since a zero
    # in a sparse matrix means no pair.
    dummy_cost = (min(len(picks), len(particles)) + 1) * near.distances.max() + 1
    costs = coo_array(
        (
            np.concatenate([near.distances, np.full(len(picks), dummy_cost)]) + 1,
            (np.concatenate([rows, dummies]), np.concatenate([columns, len(particles) + dummies])),
        ),
        shape=(len(picks), len(particles) + len(picks)),
    )
    assigned, partners = min_weight_full_bipartite_matching(costs.tocsr())
    chosen = np.full(len(picks), -1)
    chosen[assigned] = partners
    return np.flatnonzero(columns == chosen[rows])


def counts_by_rank(
    near: NearPairs, order: Int64[np.ndarray, " n"], method: MatchMethod
) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"]]:
    """Count true positives and false negatives of the first k picks of `order`, for k from 0 to n.

    Parameters
    ----------
    near : NearPairs
        Pairs within the tolerance.
    order : (n,) int64
        The picks, best first.
    method : "one-to-one" or "paper"
        See `match`; the counts are those of `match` for the k picks alone.

    Returns
    -------
    tuple of (n + 1,) int64
        TP and FN.
    """
    starts = np.searchsorted(near.picks, np.arange(near.pick_count + 1))
    neighbours = [near.truth[starts[pick] : starts[pick + 1]].tolist() for pick in order]
    found = np.zeros(near.pick_count + 1, dtype=np.int64)
    if method == "paper":
        found[1:] = np.cumsum([len(particles) > 0 for particles in neighbours])
        seen: set[int] = set()
        reached = [0]
        for particles in neighbours:
            seen.update(particles)
            reached.append(len(seen))
        return found, near.truth_count - np.array(reached, dtype=np.int64)
    owners: dict[int, int] = {}
    closed: set[int] = set()
    for rank in range(near.pick_count):
        found[rank + 1] = found[rank] + _augment(rank, neighbours, owners, closed)
    return found, near.truth_count - found


def _augment(rank: int, neighbours: list[list[int]], owners: dict[int, int], closed: set[int]) -> bool:
    """Add a pick to a maximum matching, if possible, by an augmenting path (breadth-first search).

    A pick that cannot be added now never can be, since later picks only occupy more particles; so the matching is
    maximum for each number of picks. Nor will particles that a failed search reached ever lead to a free one: they are
    `closed`.
    """
    reached_from: dict[int, int] = {}
    reached_by: dict[int, int] = {}
    queue = [rank]
    for pick in queue:
        for particle in neighbours[pick]:
            if particle in reached_from or particle in closed:
                continue
            reached_from[particle] = pick
            if particle in owners:
                reached_by[owners[particle]] = particle
                queue.append(owners[particle])
                continue
            # This particle is free: reassign the particles along the path back to the new pick.
            owner, owned = pick, particle
            while owner != rank:
                owners[owned] = owner
                owned = reached_by[owner]
                owner = reached_from[owned]
            owners[owned] = rank
            return True
    closed.update(reached_from)
    return False
