"""How many particles the training tomograms hold, from networks that were each trained on half of the clicks.

The scores of clicks a network was *not* trained on tell which share r(t) of all particles scores above t. With k(t)
peaks above t in the tomogram, k(t) / r(t) is then at least the number of particles, and nearest to it where the peaks
above t are nearly all particles: the least of them that the noise allows is the estimate (in the manner of best-bin
estimation of a mixture proportion; Garg et al., NeurIPS 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, t

from tomopicker.picking.calibration import LEVEL, Count
from tomopicker.types import Scores

RESAMPLES = 200


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


def count_particles(rankings: Sequence[Ranking], *, least: int, seed: int = 0) -> Count:
    """Estimate how many particles the training tomograms hold, with a 90 % interval.

    Peaks and held-out clicks are drawn anew with replacement (of m clicks m - 1, which gives their mean the spread that
    it has), and counted again. The quantiles are corrected for the bias of the estimate (Efron, Canadian J. Statistics
    9, 1981: BC) and, in logarithm, widened from the normal's to Student's t with as many clicks.

    Parameters
    ----------
    rankings : sequence of Ranking
        One for each network of a cross-fit.
    least : int
        The clicks given: there are no fewer particles.
    seed : int
        Of the resampling.

    Returns
    -------
    Count
        Where no click tells anything, from the clicks given to as many as there are peaks.
    """
    estimate = estimate_count(rankings, least=least)
    if estimate <= least and not _informative(rankings):
        most = max((len(ranking.peak_scores) for ranking in rankings), default=0)
        return Count(estimate, float(least), float(max(estimate, most)))
    rng = np.random.default_rng(seed)
    counts = np.array([estimate_count([_resampled(r, rng) for r in rankings], least=least) for _ in range(RESAMPLES)])
    low, high = _bias_corrected(counts, estimate)
    clicks = sum(len(ranking.click_scores) for ranking in rankings)
    tail = (1 + LEVEL) / 2
    wider = float(t.ppf(tail, max(1, clicks - 1)) / norm.ppf(tail))
    return Count(
        estimate,
        max(float(least), estimate * min(1.0, (low / estimate) ** wider)),
        estimate * max(1.0, (high / estimate) ** wider),
    )


def _informative(rankings: Sequence[Ranking]) -> bool:
    return any(np.isfinite(ranking.click_scores).any() and len(ranking.peak_scores) for ranking in rankings)


def _resampled(ranking: Ranking, rng: np.random.Generator) -> Ranking:
    peaks, clicks = ranking.peak_scores, ranking.click_scores
    return Ranking(
        rng.choice(peaks, len(peaks)) if len(peaks) else peaks,
        rng.choice(clicks, max(1, len(clicks) - 1)) if len(clicks) else clicks,
    )


def _bias_corrected(counts: np.ndarray, estimate: float) -> tuple[float, float]:
    """Give the quantiles of the level, moved as far as the estimate lies off the resamples' median."""
    below = (np.mean(counts < estimate) + np.mean(counts <= estimate)) / 2
    # Beyond this, the quantiles would be the extremes of the resamples.
    shift = norm.ppf(np.clip(below, 0.02, 0.98))
    ends = norm.cdf(2 * shift + norm.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    low, high = np.quantile(counts, ends)
    return float(low), float(high)
