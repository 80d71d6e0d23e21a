"""Figures of merit of one tomogram's picks, as DESIGN section 7 lists them; the truth is looked at only here."""

from collections.abc import Sequence

import numpy as np

from tomopicker.picking.evaluate import Evaluation, MatchMethod, evaluate
from tomopicker.picks import Picks
from tomopicker.types import Scores


def judge(
    chosen: Picks, candidates: Picks, truth: Picks, voxel_size: float, tolerances: Sequence[float]
) -> list[Evaluation]:
    """Judge one-to-one within each tolerance, then, within the first, as the paper matches.

    Parameters
    ----------
    chosen : Picks
        Those above the method's own threshold: they give counts, precision, recall, F1 and position errors.
    candidates : Picks
        Those below it as well: they give what judges the ranking (F1 at N, best F1, average precision).
    truth : Picks
        Of the same tomogram.
    voxel_size : float
        Å; tolerances and position errors are in voxels.
    tolerances : sequence of float
        Voxels.
    """
    return [
        *(_judge(chosen, candidates, truth, voxel_size, each, "one-to-one") for each in tolerances),
        _judge(chosen, candidates, truth, voxel_size, tolerances[0], "paper"),
    ]


def _judge(
    chosen: Picks, candidates: Picks, truth: Picks, voxel_size: float, tolerance: float, method: MatchMethod
) -> Evaluation:
    where = truth.positions / voxel_size
    own = evaluate(chosen.positions / voxel_size, None, where, tolerance, method)
    ranked = evaluate(candidates.positions / voxel_size, _known(candidates.scores), where, tolerance, method)
    return own.ranked_by(ranked)


def _known(scores: Scores) -> Scores | None:
    """Give the scores, or None for a program that gives none."""
    return None if bool(np.isnan(scores).any()) else scores
