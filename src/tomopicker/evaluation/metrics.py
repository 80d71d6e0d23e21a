"""Evaluation of picks against the truth: the metrics of section 4.2, and those of detection benchmarks.

Positions and tolerance share one unit, voxels or Å.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Bool, Int64

from tomopicker.errors import TomoPickerError
from tomopicker.evaluation.matching import (
    MatchMethod,
    NearPairs,
    TruthPositions,
    counts_by_rank,
    match_pairs,
    near_pairs,
    precision_recall_f1,
)
from tomopicker.types import Number, Positions, Scores

COUNTS, RATIOS = ("picks", "truth", "tp", "fp", "fn"), ("precision", "recall", "f1")
RANKED = ("f1_at_truth_count", "best_f1", "best_f1_threshold", "average_precision")
"""Fields of an `Evaluation` that need scores."""
ERRORS = ("position_error_mean", "position_error_median")


@dataclass(frozen=True)
class Evaluation:
    """Metrics of the picks of one tomogram.

    `f1_at_truth_count`, `best_f1`, `best_f1_threshold` and `average_precision` are None without scores. The first three
    are **oracles**: they choose a threshold by the truth, so they measure the ranking, not the picks.

    Attributes
    ----------
    method : "one-to-one" or "paper"
        Matching of all metrics but `average_precision`, which is always one-to-one.
    tolerance : float
        In the unit of the positions.
    picks, truth : int
        Numbers of picks and of particles.
    tp, fp, fn, precision, recall, f1
        Metrics of the picks as given, at the program's own threshold (section 4.2).
    f1_at_truth_count : float or None
        F1 of the N highest-scoring picks, N being the number of particles (of all picks, if there are fewer).
    best_f1 : float or None
        Maximum F1 over all thresholds that keep at least one pick.
    best_f1_threshold : float or None
        The highest threshold that gives `best_f1` for scores strictly above it. None if no pick is correct.
    average_precision : float or None
        See `average_precision`.
    position_error_mean, position_error_median : float or None
        Mean and median distance of the matched pairs, in the unit of the positions; None without a pair.
    """

    method: MatchMethod
    tolerance: float
    picks: int
    truth: int
    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float
    f1_at_truth_count: float | None
    best_f1: float | None
    best_f1_threshold: float | None
    average_precision: float | None
    position_error_mean: float | None
    position_error_median: float | None

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return the fields by name, as JSON values."""
        return asdict(self)

    def ranked_by(self, candidates: "Evaluation") -> "Evaluation":
        """Replace the metrics of the ranking by those of another evaluation, of all candidates."""
        return replace(self, **{name: getattr(candidates, name) for name in RANKED})


@dataclass(frozen=True)
class MeanEvaluation(Evaluation):
    """Mean over tomograms, as the paper's "Overall": ratios are averaged, counts are summed."""

    tomograms: int


def evaluate(
    picks_xyz: Positions,
    scores: Scores | None,
    truth_xyz: TruthPositions,
    tolerance: Number,
    method: MatchMethod = "one-to-one",
) -> Evaluation:
    """Evaluate the picks of one tomogram (section 4.2, and metrics of detection benchmarks).

    Parameters
    ----------
    picks_xyz, truth_xyz : Positions
        (n, 3) and (m, 3), rows of (x, y, z) in one unit.
    scores : (n,) float, optional
        Higher is better. If they are missing, or any is NaN, the metrics of the ranking are None.
    tolerance : number
        Maximum distance of a match, in the unit of the positions.
    method : "one-to-one" or "paper"
        See `match`.

    Returns
    -------
    Evaluation
        All values are numbers or None, never NaN, even without picks or particles (see `precision_recall_f1`).

    Raises
    ------
    TomoPickerError
        As `match`, or if the number of scores is not that of the picks.
    """
    if scores is not None and len(scores) != len(picks_xyz):
        raise TomoPickerError(f"{len(picks_xyz)} picks cannot have {len(scores)} scores: give one score per pick")
    near = near_pairs(picks_xyz, truth_xyz, tolerance)
    matched = match_pairs(near, method)
    tp, fp, fn = matched.tp, matched.fp, matched.fn
    ranked: tuple[float | None, ...] = (None,) * len(RANKED)
    if scores is not None and not np.isnan(scores).any():
        ranked = _ranked(near, picks_xyz, scores, method)
    errors = [float(function(matched.distances)) if tp else None for function in (np.mean, np.median)]
    return Evaluation(
        method, float(tolerance), near.pick_count, near.truth_count, tp, fp, fn, *precision_recall_f1(tp, fp, fn),
        *ranked, *errors,
    )  # fmt: skip


def average_precision(picks_xyz: Positions, scores: Scores, truth_xyz: TruthPositions, tolerance: Number) -> float:
    """Compute the area under the precision-recall curve of the ranked picks, as detection benchmarks do.

    By decreasing score, each pick is matched with the nearest unmatched particle within the tolerance (true positive)
    or is a false positive. The area is Σ (R_k − R_{k−1})·P_k over the distinct scores k, with P_k and R_k the precision
    and recall of all picks that score at least k: a sum of steps, without interpolation. Picks of equal score enter
    together, and are matched in the order of their x, y and z. Without particles it is 1 if there are no picks either,
    else 0.

    Parameters
    ----------
    picks_xyz, truth_xyz : Positions
        (n, 3) and (m, 3), rows of (x, y, z) in one unit.
    scores : (n,) float
        Without NaN.
    tolerance : number
        In the unit of the positions.

    Returns
    -------
    float
        0 to 1.
    """
    return _average_precision(near_pairs(picks_xyz, truth_xyz, tolerance), _ranking(picks_xyz, scores), scores)


def mean_evaluation(evaluations: Mapping[str, Evaluation]) -> MeanEvaluation:
    """Average over tomograms with equal weights, as the paper's "Overall" rows.

    Counts are sums. Precision, recall, F1, F1 at N, best F1 and average precision are means; one that is None for any
    tomogram is None, since means over different sets of tomograms are not comparable. Position errors are means over
    the tomograms with a match. Thresholds have no mean: None.

    Parameters
    ----------
    evaluations : mapping of str to Evaluation
        By tomogram, with the same method and tolerance.

    Returns
    -------
    MeanEvaluation
        With the number of tomograms.

    Raises
    ------
    TomoPickerError
        If there is no evaluation, or they differ in method or tolerance.
    """
    rows = list(evaluations.values())
    if not rows:
        raise TomoPickerError("there is no evaluation to average: no tomogram has both picks and truth")
    for name, row in evaluations.items():
        if (row.method, row.tolerance) != (rows[0].method, rows[0].tolerance):
            raise TomoPickerError(
                f"{name}: matched {row.method} within {row.tolerance}, other tomograms {rows[0].method} within"
                f" {rows[0].tolerance}; evaluate all with the same"
            )
    columns = {name: [getattr(row, name) for row in rows] for name in COUNTS + RATIOS + RANKED + ERRORS}
    counts = {name: sum(columns[name]) for name in COUNTS}
    means = {name: _mean(columns[name], complete=name not in ERRORS) for name in RATIOS + RANKED + ERRORS}
    means["best_f1_threshold"] = None
    return MeanEvaluation(rows[0].method, rows[0].tolerance, **counts, **means, tomograms=len(rows))  # type: ignore[arg-type]


def _ranked(
    near: NearPairs, picks_xyz: Positions, scores: Scores, method: MatchMethod
) -> tuple[float, float, float | None, float]:
    """Compute the `RANKED` metrics from the counts of the k best picks for each k."""
    order = _ranking(picks_xyz, scores)
    found, missed = counts_by_rank(near, order, method)
    f1s = [
        precision_recall_f1(int(tp), rank - int(tp), int(fn))[2]
        for rank, (tp, fn) in enumerate(zip(found, missed, strict=True))
    ]
    at_truth_count = f1s[min(near.truth_count, near.pick_count)]
    area = _average_precision(near, order, scores)
    if near.pick_count == 0:
        return at_truth_count, f1s[0], None, area
    best = max(_cut_offs(scores[order]), key=lambda kept: f1s[kept])  # The highest threshold of equals.
    threshold = _threshold_below(scores[order], int(best)) if found[best] else None
    return at_truth_count, f1s[best], threshold, area


def _ranking(picks_xyz: Positions, scores: Scores) -> Int64[np.ndarray, " n"]:
    """Order the picks by descending score, equal ones by x, y and z, so that their original order does not matter."""
    return np.lexsort((*picks_xyz.T[::-1], -scores))


def _cut_offs(ranked_scores: Scores) -> Int64[np.ndarray, " cuts"]:
    """Return the number of picks that score at least as high, for each distinct score."""
    is_last = np.append(ranked_scores[:-1] != ranked_scores[1:], len(ranked_scores) > 0)[: len(ranked_scores)]
    return np.flatnonzero(is_last) + 1


def _threshold_below(ranked_scores: Scores, kept: int) -> float:
    """Return the highest rejected score: exactly the kept ones are strictly above it, as picking compares."""
    if kept < len(ranked_scores):
        return float(ranked_scores[kept])
    lowest = ranked_scores[-1]
    return float(np.nextafter(lowest, np.array(-np.inf, dtype=lowest.dtype)))


def ranked_hits(
    picks_xyz: Positions, scores: Scores, truth_xyz: TruthPositions, tolerance: Number
) -> Bool[np.ndarray, " n"]:
    """Test whether each pick is a true positive, if picks of higher scores are matched first.

    Parameters
    ----------
    picks_xyz, truth_xyz : Positions
        (n, 3) and (m, 3), rows of (x, y, z) in one unit.
    scores : (n,) float
        Without NaN.
    tolerance : number
        In the unit of the positions.

    Returns
    -------
    (n,) bool
        In the order of the picks, as for `average_precision` and its curve.
    """
    return _hits(near_pairs(picks_xyz, truth_xyz, tolerance), _ranking(picks_xyz, scores))


def _hits(near: NearPairs, order: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Match each pick, in this order, with the nearest unmatched particle; True if there is one."""
    starts = np.searchsorted(near.picks, np.arange(near.pick_count + 1))
    is_free = np.ones(near.truth_count, dtype=np.bool_)
    is_hit = np.zeros(near.pick_count, dtype=np.bool_)
    for pick in order:
        particles = near.truth[starts[pick] : starts[pick + 1]]
        free = particles[is_free[particles]]
        if len(free):
            is_free[free[0]] = False
            is_hit[pick] = True
    return is_hit


def _average_precision(near: NearPairs, order: Int64[np.ndarray, " n"], scores: Scores) -> float:
    if near.truth_count == 0 or near.pick_count == 0:
        return float(near.truth_count == near.pick_count)
    kept = _cut_offs(scores[order])
    hits = _hits(near, order)[order].cumsum()[kept - 1]
    return float((np.diff(hits, prepend=0) / near.truth_count * (hits / kept)).sum())


def _mean(values: Sequence[float | None], *, complete: bool) -> float | None:
    """Return the mean of the known values; None if there are none, or if one is missing and all are required."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and not (complete and len(known) < len(values)) else None
