"""Threshold of an untrained method, from the number of particles that the scores of clicks imply.

The scores of clicks give the fraction r(t) of particles that score above t. With k(t) peaks above t in the tomogram,
k(t) / r(t) is an upper bound of the number of particles, and close to it where nearly all peaks above t are particles.
The estimate is the minimum over t, allowing for noise, as in best-bin estimation of a mixture proportion (Garg et al.,
NeurIPS 2021).
"""

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from tomopicker.picking.peaks import Peaks, click_scores
from tomopicker.picking.selection import threshold_for_count
from tomopicker.picks import Picks
from tomopicker.types import Scores

MIN_RECALL, MAX_RECALL = 0.4, 0.95
"""Range of recall of the thresholds used: lower ones rest on few peaks, higher ones on the tail of the fit."""


def threshold_from_clicks(candidates: Picks, clicks: Picks, particle_radius: float) -> float:
    """Estimate a threshold for an untrained method from the clicks in the training tomogram alone.

    The clicks sample the score distribution of particles, from which `count_from_clicks` estimates the number of
    particles; the threshold keeps as many candidates. A candidate within `particle_radius` (Å) of a click is the
    clicked particle.
    """
    # Correlations are scaled to unit standard deviation.
    scaled = (candidates.scores - np.median(candidates.scores)) / max(float(np.std(candidates.scores)), 1e-12)
    peaks = Peaks(candidates.positions, scaled.astype(np.float32))
    count = count_from_clicks(scaled, click_scores(peaks, clicks.positions, particle_radius))
    return threshold_for_count(candidates.scores, count)


def _recall_above(thresholds: Scores, at_clicks: Float[np.ndarray, " clicks"]) -> Scores:
    """Return the fraction of particles above each threshold, from a normal fit to the scores of the clicks.

    Parameters
    ----------
    thresholds : array, shape (n,)
    at_clicks : array, shape (clicks,)
        Scores of clicks; -inf for a click without a peak nearby, which counts as missed.
    """
    found = at_clicks[np.isfinite(at_clicks)]
    if not len(found):
        return np.zeros_like(thresholds)
    mean = float(np.mean(found))
    sd = max(float(np.std(found, ddof=min(1, len(found) - 1))), 0.1 * max(1.0, abs(mean)))
    recall: Scores = norm.sf(thresholds, mean, sd) * len(found) / len(at_clicks)
    return recall


def count_from_clicks(peak_scores: Scores, at_clicks: Float[np.ndarray, " clicks"]) -> float:
    """Estimate the number of particles in a tomogram; at least the number of clicks.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Scores of all candidates, scaled to about unit standard deviation.
    at_clicks : array, shape (clicks,)
        Scores of clicks that the method was not fitted to; -inf for a click without a peak nearby.
    """
    thresholds = np.sort(peak_scores)[::-1]
    recall = _recall_above(thresholds, at_clicks)
    usable = (recall >= MIN_RECALL) & (recall <= MAX_RECALL)
    if not usable.any():
        return float(len(at_clicks))
    n_above, recall = np.arange(len(thresholds))[usable] + 0.5, recall[usable]
    # Relative standard error from both counts, of peaks and of clicks.
    error = np.sqrt(1 / n_above + (1 - recall) / (recall * len(at_clicks)))
    count = n_above / recall
    # The minimum alone is biased low by noise: average all estimates that are consistent with it.
    consistent = count <= np.min(count * (1 + error))
    estimate = np.exp(np.average(np.log(count[consistent]), weights=error[consistent] ** -2))
    return max(float(len(at_clicks)), float(estimate))
