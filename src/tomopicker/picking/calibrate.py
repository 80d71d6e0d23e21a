"""From peak scores to a number of particles and a threshold, without a count or a threshold from the user.

Clicks are particles, so the scores of clicks a network was *not* trained on tell which share r(t) of all particles
scores above t. With k(t) peaks above t in the tomogram, k(t) / r(t) is then at least the number of particles, and
nearest to it where the peaks above t are nearly all particles: the least of them that the noise allows is the estimate
(in the manner of best-bin estimation of a mixture proportion; Garg et al., NeurIPS 2021). The threshold is the one that
keeps as many.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree
from scipy.stats import norm

from tomopicker.picking.peaks import Peaks
from tomopicker.types import Positions, Scores

MISSED = float("-inf")


@dataclass(frozen=True)
class Ranking:
    """Peaks of one network in the training tomograms, and how it scores clicks it did not train on.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Of all candidate peaks.
    click_scores : array, shape (m,)
        Of the held-out clicks; -inf for one without a peak nearby.
    """

    peak_scores: Scores
    click_scores: Float[np.ndarray, " clicks"]

    def recall(self, thresholds: Scores) -> Scores:
        """Share of particles scoring above each threshold, from a normal fit to the clicks that have a peak."""
        found = self.click_scores[np.isfinite(self.click_scores)]
        if not len(found):
            return np.zeros_like(thresholds)
        middle = float(np.mean(found))
        spread = max(float(np.std(found, ddof=min(1, len(found) - 1))), 0.1 * max(1.0, abs(middle)))
        share: Scores = norm.sf(thresholds, middle, spread) * len(found) / len(self.click_scores)
        return share


def click_scores(peaks: Peaks, clicks_voxels: Positions, tolerance: float) -> Scores:
    """Give each click the score of the peak nearest to it, -inf if there is none within the tolerance (voxels)."""
    if not len(peaks) or not len(clicks_voxels):
        return np.full(len(clicks_voxels), MISSED)
    distance, nearest = cKDTree(peaks.positions_voxels).query(clicks_voxels)
    scores: Scores = np.where(distance <= tolerance, peaks.scores[nearest].astype(np.float64), MISSED)
    return scores


def estimate_count(rankings: Sequence[Ranking], *, least: int) -> float:
    """Estimate how many particles the training tomograms hold.

    Parameters
    ----------
    rankings : sequence of Ranking
        One for each network of a cross-fit; their estimates are averaged in logarithm.
    least : int
        The clicks given: there are no fewer particles.

    Returns
    -------
    float
    """
    estimates = []
    for ranking in rankings:
        thresholds = np.sort(ranking.peak_scores)[::-1]
        recall = ranking.recall(thresholds)
        usable = (recall >= 0.4) & (recall <= 0.95)
        if not usable.any():
            continue
        above, share = np.arange(len(thresholds))[usable] + 0.5, recall[usable]
        # One standard error of both counts: of the peaks, and of the clicks that the recall was fitted to.
        error = np.sqrt(1 / above + (1 - share) / (share * len(ranking.click_scores)))
        count = above / share
        # The least alone would be biased low by its own noise: take all that it does not contradict.
        agreeing = count <= np.min(count * (1 + error))
        estimates.append(np.exp(np.average(np.log(count[agreeing]), weights=error[agreeing] ** -2)))
    return max(float(least), float(np.exp(np.mean(np.log(estimates)))) if estimates else 0.0)


def threshold_for_f1(peak_scores: Scores, prior: float) -> float:
    """Give the threshold of the best expected F1, for scores of the balanced PN risk.

    That risk, with its terms weighed alike, is least where the score (logit) is log p(x | P) / p(x | U), the logarithm
    of a density ratio; the probability of a particle is then p = π'·exp(score). The k best peaks hold Σp particles of
    the Σp of all, so their expected F1 is 2·Σ_k p / (k + Σp). An error of the prior by a factor of 1.5 moves the
    threshold by 0.4 only, where a count would take or leave half of the picks.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Of all candidate peaks in the training tomograms.
    prior : float
        π' of eq. 4, the expected fraction of positive voxels.
    """
    ordered = np.sort(peak_scores)[::-1].astype(np.float64)
    if not len(ordered):
        return float(np.log(0.5 / prior))
    probability = np.minimum(1.0, prior * np.exp(np.minimum(ordered, 50.0)))
    kept = np.arange(1, len(ordered) + 1)
    expected = 2 * np.cumsum(probability) / (kept + probability.sum())
    return threshold_for_count(peak_scores, float(kept[np.argmax(expected)]))


def threshold_for_count(peak_scores: Scores, count: float) -> float:
    """Give the threshold that keeps about `count` of the peaks: halfway between the last kept and the next."""
    ordered = np.sort(peak_scores)[::-1].astype(np.float64)
    if not len(ordered):
        return 0.0
    keep = int(np.clip(round(count), 1, len(ordered)))
    below = ordered[keep] if keep < len(ordered) else ordered[-1] - 1.0
    return float((ordered[keep - 1] + below) / 2)
