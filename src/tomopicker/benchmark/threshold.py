"""The threshold of a method that is not trained: from the number of particles that the scores of clicks give.

The scores of clicks give the fraction r(t) of all particles that scores above t. With k(t) peaks above t in the
tomogram, k(t) / r(t) is then at least the number of particles, and nearest to it where the peaks above t are nearly all
particles: the least of them that the noise allows is the estimate (in the manner of best-bin estimation of a mixture
proportion; Garg et al., NeurIPS 2021).
"""

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from tomopicker.picking.peaks import Peaks, click_scores
from tomopicker.picking.selection import threshold_for_count
from tomopicker.picks import Picks
from tomopicker.types import Scores

MIN_RECALL, MAX_RECALL = 0.4, 0.95
"""Thresholds of less recall rest on few peaks, of more on the tail of the fit to the clicks."""


def threshold_from_clicks(candidates: Picks, clicks: Picks, particle_radius: float) -> float:
    """Estimate a threshold for an untrained method from the clicks in the training tomogram alone.

    The clicks' scores sample the score distribution of particles; with the candidates' scores they give the number of
    particles (`count_from_clicks`). The threshold keeps as many candidates. A candidate within `particle_radius` (Å)
    of a click is the clicked particle.
    """
    # Correlations are scaled to unit standard deviation.
    scaled = (candidates.scores - np.median(candidates.scores)) / max(float(np.std(candidates.scores)), 1e-12)
    peaks = Peaks(candidates.positions, scaled.astype(np.float32))
    count = count_from_clicks(scaled, click_scores(peaks, clicks.positions, particle_radius))
    return threshold_for_count(candidates.scores, count)


def recall_above(thresholds: Scores, at_clicks: Float[np.ndarray, " clicks"]) -> Scores:
    """Return the share of particles that score above each threshold, from a normal fit to the clicks that have a peak.

    Parameters
    ----------
    thresholds : array, shape (n,)
    at_clicks : array, shape (clicks,)
        Scores of clicks; -inf for one without a peak nearby.
    """
    found = at_clicks[np.isfinite(at_clicks)]
    if not len(found):
        return np.zeros_like(thresholds)
    mean = float(np.mean(found))
    sd = max(float(np.std(found, ddof=min(1, len(found) - 1))), 0.1 * max(1.0, abs(mean)))
    recall: Scores = norm.sf(thresholds, mean, sd) * len(found) / len(at_clicks)
    return recall


def count_from_clicks(peak_scores: Scores, at_clicks: Float[np.ndarray, " clicks"]) -> float:
    """Estimate how many particles a tomogram holds; no fewer than the clicks.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Of all candidate peaks, in a unit near their standard deviation.
    at_clicks : array, shape (clicks,)
        Scores of clicks that the method was not fitted to; -inf for one without a peak nearby.
    """
    thresholds = np.sort(peak_scores)[::-1]
    recall = recall_above(thresholds, at_clicks)
    usable = (recall >= MIN_RECALL) & (recall <= MAX_RECALL)
    if not usable.any():
        return float(len(at_clicks))
    above, share = np.arange(len(thresholds))[usable] + 0.5, recall[usable]
    # One standard error of both counts: of the peaks, and of the clicks that the recall was fitted to.
    error = np.sqrt(1 / above + (1 - share) / (share * len(at_clicks)))
    count = above / share
    # The least alone would be biased low by its own noise: take all that it does not contradict.
    agreeing = count <= np.min(count * (1 + error))
    estimate = np.exp(np.average(np.log(count[agreeing]), weights=error[agreeing] ** -2))
    return max(float(len(at_clicks)), float(estimate))
