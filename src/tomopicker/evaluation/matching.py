"""Matching of picks and particles, one-to-one or as in the paper (section 4.2)."""

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
"""Positions of another number than the picks."""

MatchMethod: TypeAlias = Literal["one-to-one", "paper"]
"""How picks are matched with the truth; see `match`."""


def precision_recall_f1(tp: int, fp: int, fn: int) -> tuple[float, float, float]:
    """Return TP/(TP+FP), TP/(TP+FN) and their harmonic mean (section 4.2).

    A ratio of 0/0 is 0, so that no picks means precision 0; but finding nothing where nothing is (all three counts 0)
    is right, and all three are 1.
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
        The pairs, by ascending pick. One-to-one: no index comes twice. Paper: each true pick with the particle nearest
        to it, so a particle may come twice.
    distances : (tp,) float64
        Of the pairs, in the unit of the positions.
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
    """Match picks with particles no farther than `tolerance`.

    "one-to-one": as many pairs as there can be, no pick and no particle in two of them; among all such matchings the
    one with the smallest sum of distances. Unmatched picks are false positives, unmatched particles false negatives.

    "paper" (section 4.2): each pick with a particle within the tolerance is a true positive, each other pick a false
    one, each particle without a pick within the tolerance a false negative. TP counts **picks**, as in the text: five
    picks on one particle are five, so recall = TP/(TP+FN) is not the share of particles found. (In the paper's tables
    TP + FN is the same for all methods, as if particles had been counted there.)

    Parameters
    ----------
    picks_xyz, truth_xyz : Positions
        (n, 3) and (m, 3), rows of (x, y, z) in one unit.
    tolerance : number
        Largest distance of a pair, in that unit.
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
    """Find all pairs within the tolerance; see `match` for what is checked."""
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise TomoPickerError(f"the tolerance of a match must be zero or more, not {tolerance}")
    for name, positions in (("picks", picks_xyz), ("truth", truth_xyz)):
        if not np.isfinite(positions).all():
            row = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
            raise TomoPickerError(f"the position in row {row} of the {name} is not finite: {positions[row].tolist()}")
    # cKDTree takes no empty array of this shape.
    counts = {"pick_count": len(picks_xyz), "truth_count": len(truth_xyz)}
    if len(picks_xyz) == 0 or len(truth_xyz) == 0:
        nothing = np.empty(0, dtype=np.int64)
        return NearPairs(nothing, nothing, np.empty(0), **counts)
    pairs = cKDTree(picks_xyz).sparse_distance_matrix(cKDTree(truth_xyz), float(tolerance), output_type="ndarray")
    order = np.lexsort((pairs["j"], pairs["v"], pairs["i"]))
    picks, truth = (pairs[name][order].astype(np.int64) for name in ("i", "j"))
    return NearPairs(picks, truth, pairs["v"][order], **counts)


def match_pairs(near: NearPairs, method: MatchMethod) -> Match:
    """Match pairs within the tolerance; see `match`."""
    if method not in get_args(MatchMethod):
        raise TomoPickerError(f"there is no matching method {method}; use one-to-one or paper")
    if method == "paper":
        _, chosen = np.unique(near.picks, return_index=True)  # pairs come nearest first
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
    """Choose the pairs of a maximum matching with the least sum of distances, in one sparse assignment problem.

    Each pick may also take a stand-in of its own, at a cost above that of any set of real pairs: then all picks can be
    assigned, and the cheapest assignment uses as few stand-ins as can be before it looks at distances.
    """
    if len(near.picks) == 0:
        return np.empty(0, dtype=np.int64)
    picks, rows = np.unique(near.picks, return_inverse=True)
    particles, columns = np.unique(near.truth, return_inverse=True)
    each = np.arange(len(picks))
    # Swapping one stand-in for a real pair can lengthen the others by no more than this. One is added to every cost:
    # sparse matrices take a cost of zero for no pair at all.
    stand_in = (min(len(picks), len(particles)) + 1) * near.distances.max() + 1
    costs = coo_array(
        (
            np.concatenate([near.distances, np.full(len(picks), stand_in)]) + 1,
            (np.concatenate([rows, each]), np.concatenate([columns, len(particles) + each])),
        ),
        shape=(len(picks), len(particles) + len(picks)),
    )
    assigned, to = min_weight_full_bipartite_matching(costs.tocsr())
    real = to < len(particles)
    # Pairs are few and unique: look each up by its number in the full table.
    keys = rows * len(particles) + columns
    order = np.argsort(keys)
    places = np.searchsorted(keys, assigned[real] * len(particles) + to[real], sorter=order)
    return np.sort(order[places]).astype(np.int64)


def counts_by_rank(
    near: NearPairs, order: Int64[np.ndarray, " n"], method: MatchMethod
) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"]]:
    """Count, for the first k picks of `order`, k from 0 to n, the true positives and the particles missed.

    Parameters
    ----------
    near : NearPairs
        Pairs within the tolerance.
    order : (n,) int64
        The picks, best first.
    method : "one-to-one" or "paper"
        See `match`; each count is that of `match` with those k picks alone.

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
    """Add a pick to a maximum matching, if possible, by an augmenting path (breadth first).

    A pick that does not fit now never will, since later picks only take more: so the matching is maximum for each
    number of picks. Nor do the particles that a failed search reached lead to a free one ever again: they are `closed`.
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
            # A free one: along the path back to the new pick, each takes what the next one gives up.
            taker, taken = pick, particle
            while taker != rank:
                owners[taken] = taker
                taken = reached_by[taker]
                taker = reached_from[taken]
            owners[taken] = rank
            return True
    closed.update(reached_from)
    return False
