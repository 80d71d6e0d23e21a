"""The number of particles from the scores of clicks, for methods that are not trained.

The scores of clicks tell which share r(t) of all particles scores above t. With k(t) peaks above t in the tomogram,
k(t) / r(t) is then at least the number of particles, and nearest to it where the peaks above t are nearly all
particles: the least of them that the noise allows is the estimate (in the manner of best-bin estimation of a mixture
proportion; Garg et al., NeurIPS 2021).
"""

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from tomopicker.types import Scores

MIN_RECALL, MAX_RECALL = 0.4, 0.95
"""Thresholds of less recall rest on few peaks, of more on the tail of the fit to the clicks."""


def recall_above(thresholds: Scores, click_scores: Float[np.ndarray, " clicks"]) -> Scores:
    """Give the share of particles that score above each threshold, from a normal fit to the clicks that have a peak.

    Parameters
    ----------
    thresholds : array, shape (n,)
    click_scores : array, shape (clicks,)
        -inf for one without a peak nearby.
    """
    found = click_scores[np.isfinite(click_scores)]
    if not len(found):
        return np.zeros_like(thresholds)
    mean = float(np.mean(found))
    sd = max(float(np.std(found, ddof=min(1, len(found) - 1))), 0.1 * max(1.0, abs(mean)))
    recall: Scores = norm.sf(thresholds, mean, sd) * len(found) / len(click_scores)
    return recall


def count_from_clicks(peak_scores: Scores, click_scores: Float[np.ndarray, " clicks"]) -> float:
    """Estimate how many particles a tomogram holds; no fewer than the clicks.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Of all candidate peaks, in a unit near their standard deviation.
    click_scores : array, shape (clicks,)
        Of clicks that the method has not learnt from; -inf for one without a peak nearby.
    """
    thresholds = np.sort(peak_scores)[::-1]
    recall = recall_above(thresholds, click_scores)
    usable = (recall >= MIN_RECALL) & (recall <= MAX_RECALL)
    if not usable.any():
        return float(len(click_scores))
    above, share = np.arange(len(thresholds))[usable] + 0.5, recall[usable]
    # One standard error of both counts: of the peaks, and of the clicks that the recall was fitted to.
    error = np.sqrt(1 / above + (1 - share) / (share * len(click_scores)))
    count = above / share
    # The least alone would be biased low by its own noise: take all that it does not contradict.
    agreeing = count <= np.min(count * (1 + error))
    estimate = np.exp(np.average(np.log(count[agreeing]), weights=error[agreeing] ** -2))
    return max(float(len(click_scores)), float(estimate))
