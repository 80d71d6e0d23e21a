"""How many particles there are, with an interval: the estimate of `calibrate`, bootstrapped over clicks and peaks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from tomopicker.picking.calibrate import Ranking, estimate_count

RESAMPLES = 200
LEVEL = 0.9
FACTOR = 2.0
"""A count that is off by less contradicts nobody."""


@dataclass(frozen=True)
class Count:
    """A number of particles and where it lies with a probability of 90 %.

    Parameters
    ----------
    estimate, low, high : float
        low ≤ estimate ≤ high.
    """

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.0f} particles (90 % interval {self.low:.0f} to {self.high:.0f})"

    def contradicts(self, given: float) -> bool:
        """Say whether a given count is outside the interval and off by more than a factor of two."""
        within = self.low <= given <= self.high
        return not within and not self.estimate / FACTOR <= given <= self.estimate * FACTOR


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
