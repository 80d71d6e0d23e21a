"""From peak scores to a number of particles and a threshold, without a count or a threshold from the user.

Clicks are particles, so the scores of clicks a network was *not* trained on tell which share r(t) of all particles
scores above t. With k(t) peaks above t in the tomogram, k(t) / r(t) is then at least the number of particles, and
nearest to it where the peaks above t are nearly all particles: the least of them that the noise allows is the estimate
(in the manner of best-bin estimation of a mixture proportion; Garg et al., NeurIPS 2021). The count turns scores into
probabilities, and the probabilities of a tomogram's candidates tell where to cut them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from scipy.special import expit
from scipy.stats import norm

from tomopicker.picking.peaks import Peaks
from tomopicker.types import Positions, Scores

MISSED = float("-inf")
FLOOR = 0.01
"""Candidates less probable than this are not listed."""


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


def nearest_peaks(peaks: Peaks, clicks_voxels: Positions, tolerance: float) -> Int[np.ndarray, " clicks"]:
    """Give the index of the peak nearest to each click, -1 if there is none within the tolerance (voxels)."""
    if not len(peaks) or not len(clicks_voxels):
        return np.full(len(clicks_voxels), -1)
    distance, nearest = cKDTree(peaks.positions_voxels).query(clicks_voxels)
    return np.where(distance <= tolerance, nearest, -1)


def click_scores(peaks: Peaks, clicks_voxels: Positions, tolerance: float) -> Scores:
    """Give each click the score of the peak nearest to it, -inf if there is none within the tolerance (voxels)."""
    nearest = nearest_peaks(peaks, clicks_voxels, tolerance)
    scores = np.full(len(nearest), MISSED)
    scores[nearest >= 0] = peaks.scores[nearest[nearest >= 0]]
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


def probabilities(scores: Scores, offset: float) -> Scores:
    """Turn logits into the probabilities that they are particles: 1 / (1 + exp(-(score + offset)))."""
    probability: Scores = expit(np.asarray(scores, dtype=np.float64) + offset)
    return probability


def offset_for_count(peak_scores: Scores, count: float) -> float:
    """Give the offset with which the probabilities of peaks sum to a count.

    A network trained on few clicks is too sure of itself, and by how much differs from training to training. The sum
    of the probabilities is the expected number of particles; holding it at the number there are sets them right.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Logits of all candidate peaks in the training tomograms. Those less probable than `FLOOR` do not count.
    count : float
        Particles in them.
    """
    scores = np.asarray(peak_scores, dtype=np.float64)
    if not len(scores):
        return 0.0
    low, high = -60.0 - float(scores.max()), 60.0 - float(scores.min())
    for _ in range(60):
        middle = (low + high) / 2
        probability = probabilities(scores, middle)
        low, high = (middle, high) if probability[probability >= FLOOR].sum() < count else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True)
class Expectation:
    """What the probabilities of the candidates say of the picks, truth unseen.

    Parameters
    ----------
    particles : float
        Expected number of particles in the tomogram.
    precision, recall, f1 : float
        Expected of the picks.
    """

    particles: float
    precision: float
    recall: float
    f1: float


def expectation(probability: Scores, picked: Bool[np.ndarray, " n"], particles: float) -> Expectation:
    """Say what to expect of the candidates that are picked.

    Parameters
    ----------
    probability : array, shape (n,)
        Of all candidates of a tomogram.
    picked : array of bool, shape (n,)
    particles : float
        In the tomogram; at least the sum of the probabilities, for some may be no candidates.
    """
    found, count = float(probability[picked].sum()), int(picked.sum())
    precision, recall = found / count if count else 0.0, found / particles if particles else 0.0
    return Expectation(particles, precision, recall, 2 * found / (count + particles) if count + particles else 0.0)


def threshold_for_f1(probability: Scores, particles: float) -> float:
    """Give the threshold of the best expected F1: the k best hold Σ_k p of n particles, so F1 = 2·Σ_k p / (k + n).

    Parameters
    ----------
    probability : array, shape (n,)
        Of all candidate peaks of a tomogram, in any order.
    particles : float
        In the tomogram.
    """
    ordered = np.sort(probability)[::-1]
    if not len(ordered):
        return 0.5
    kept = np.arange(1, len(ordered) + 1)
    return threshold_for_count(ordered, float(kept[np.argmax(np.cumsum(ordered) / (kept + particles))]))


def threshold_for_precision(probability: Scores, precision: float) -> float:
    """Give the threshold that keeps the most candidates whose expected precision, their mean, is at least this."""
    ordered = np.sort(probability)[::-1]
    reached = np.flatnonzero(np.cumsum(ordered) / np.arange(1, len(ordered) + 1) >= precision)
    return threshold_for_count(ordered, reached[-1] + 1.0) if len(reached) else 1.0


def threshold_for_count(peak_scores: Scores, count: float) -> float:
    """Give the threshold that keeps about `count` of the peaks: halfway between the last kept and the next."""
    ordered = np.sort(peak_scores)[::-1].astype(np.float64)
    if not len(ordered):
        return 0.0
    keep = int(np.clip(round(count), 1, len(ordered)))
    # Just below the last where no other follows: halfway to the next would depend on where candidates end.
    return (
        float((ordered[keep - 1] + ordered[keep]) / 2)
        if keep < len(ordered)
        else float(np.nextafter(ordered[-1], -np.inf))
    )
