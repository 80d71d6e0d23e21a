"""A linear discriminant from a few clicks, in closed form, and its refit to negatives.

A tomogram's specimen is nearly all background, so the mean μ and covariance Σ of its features are those of background.
With m the mean feature of the clicks, Fisher's discriminant is w = (Σ + λ·tr(Σ)/C·1)⁻¹ (m - μ), where C is the number
of channels and λ is 0.03 or the value trained with the features. The score is shifted and scaled by the quartiles of
the specimen's scores, to units in which peaks of particles spread like logits of trained networks (by 1.3 to 1.7 on
simulated ribosomes). Mean and standard deviation are unsuitable: particles raise both, so that look-alikes in a
tomogram without particles would score like particles in other tomograms.

Negatives are known background. They are included by logistic regression on clicks and negatives, with a normal prior
centred on the closed form whose covariance is τ² times the inverse above.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from scipy.special import expit

from tomopicker.fewshot.feature_map import FeatureMap, FeaturesAt, Weights
from tomopicker.models.discriminant import SHRINKAGE

PRIOR_VARIANCE = 0.03
"""τ²: prior variance of the change of the closed form by negatives."""
EVEN_ODDS = 0.5
"""Score of probability 1/2 in the logistic regression, relative to the clicks' mean score under the closed form."""
FOLDS = 10
SAMPLE = 4096
"""Number of voxels from which background scores are measured, to about 2% of a standard deviation."""
QUARTILES = 0.6
"""Interquartile range of the specimen's scores."""
NEWTON_STEPS, HALVINGS, TOLERANCE = 30, 12, 1e-6

Matrix = Float64[np.ndarray, "channels channels"]
RejectedAt = Float64[np.ndarray, "m channels"]


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and covariance of the features of a tomogram's specimen, and a random sample of them.

    Parameters
    ----------
    mean : array, shape (channels,)
    covariance : array, shape (channels, channels)
    sample : array, shape (sample, channels)
        Features of voxels drawn at random.
    shrinkage : float
        λ, shrinkage of the covariance towards a multiple of the identity.
    """

    mean: Weights
    covariance: Matrix
    sample: Float64[np.ndarray, "sample channels"]
    shrinkage: float = SHRINKAGE

    @cached_property
    def shrunk(self) -> Matrix:
        """Σ + λ·tr(Σ)/C·1."""
        channels = len(self.mean)
        ridge = max(self.shrinkage * float(np.trace(self.covariance)) / channels, 1e-12)
        return np.asarray(self.covariance + ridge * np.eye(channels))

    @cached_property
    def inverse(self) -> Matrix:
        """(Σ + λ·tr(Σ)/C·1)⁻¹."""
        return np.asarray(np.linalg.inv(self.shrunk))


@dataclass(frozen=True, eq=False)
class Discriminant:
    """A score that is linear in features: f·w + b, with a median of 0 over the specimen.

    Parameters
    ----------
    weights : array, shape (channels,)
    bias : float
    """

    weights: Weights
    bias: float

    def __call__(self, features: FeaturesAt) -> Float64[np.ndarray, " n"]:
        """Score features, one row each."""
        return np.asarray(features @ self.weights + self.bias)


def statistics_of(
    features: FeatureMap, inside: Bool[np.ndarray, " rows"] | None = None, shrinkage: float = SHRINKAGE
) -> Statistics:
    """Measure mean and covariance of features.

    Parameters
    ----------
    features : FeatureMap
    inside : array, shape (rows,), optional
        Rows to use; all if left out.
    shrinkage : float
        Shrinkage λ of the discriminant.
    """
    channels = features.rows.shape[1]
    total, outer, count, start = np.zeros(channels), np.zeros((channels, channels)), 0, 0
    pivot: np.ndarray | None = None
    for part in features.parts():
        chosen = part if inside is None else part[inside[start : start + len(part)]]
        start += len(part)
        if not len(chosen):
            continue
        if pivot is None:
            pivot = chosen.mean(dim=0).numpy()  # Sums about a value near the mean do not cancel, also in float32.
        away = chosen - torch.from_numpy(pivot)
        total, outer, count = total + away.sum(dim=0).numpy(), outer + (away.T @ away).numpy(), count + len(away)
    if pivot is None:
        return Statistics(np.zeros(channels), np.zeros((channels, channels)), np.zeros((1, channels)), shrinkage)
    mean = np.asarray(total / count)
    rows = np.arange(start) if inside is None else np.flatnonzero(inside)
    drawn = np.sort(np.random.default_rng(0).choice(rows, min(SAMPLE, len(rows)), replace=False))
    sample = features.rows[torch.from_numpy(drawn)].double().numpy()
    return Statistics(pivot + mean, np.asarray(outer / count - np.outer(mean, mean)), sample, shrinkage)


def discriminant(statistics: Statistics, clicks: FeaturesAt, rejected: RejectedAt) -> Discriminant:
    """Compute the discriminant of clicks for a tomogram with the given statistics.

    Parameters
    ----------
    statistics : Statistics
        Statistics of the tomogram to score.
    clicks : array, shape (n, channels)
        Features at one or more clicks in any tomograms.
    rejected : array, shape (m, channels)
        Features at negatives.
    """
    away = clicks.mean(axis=0) - statistics.mean
    found = _standardised(statistics.inverse @ away, statistics)
    if len(rejected):
        found = _standardised(_refitted(found.weights, statistics, clicks, rejected), statistics)
    return found


def held_out_shift(
    whole: Discriminant,
    statistics: Statistics,
    clicks: FeaturesAt,
    rejected: RejectedAt,
    rows: Int64[np.ndarray, " out"],
    at: Float64[np.ndarray, "out channels"],
) -> Float64[np.ndarray, " out"]:
    """Return the change of clicks' scores when the discriminant is made without them.

    Clicks are left out one at a time, or in `FOLDS` groups if there are more.

    Parameters
    ----------
    whole : Discriminant
        Discriminant of all clicks and negatives.
    statistics : Statistics
    clicks : array, shape (n, channels)
        At least two.
    rejected : array, shape (m, channels)
    rows : array, shape (out,)
        Indices of the clicks to leave out in turn.
    at : array, shape (out, channels)
        Features to score: those at the peaks of these clicks.

    Returns
    -------
    array, shape (out,)
        Values to add to the scores; mostly negative.
    """
    fold = np.arange(len(rows)) % FOLDS
    shift = np.empty(len(rows))
    for number in range(min(FOLDS, len(rows))):
        out = fold == number
        rest = discriminant(statistics, np.delete(clicks, rows[out], axis=0), rejected)
        shift[out] = rest(at[out]) - whole(at[out])
    return shift


def _standardised(weights: Weights, statistics: Statistics) -> Discriminant:
    """Scale and shift a score so that the sample has median 0 and interquartile range `QUARTILES`."""
    low, middle, high = np.percentile(statistics.sample @ weights, [25, 50, 75])
    scale = max((high - low) / QUARTILES, 1e-12)
    return Discriminant(np.asarray(weights / scale), -float(middle / scale))


def _refitted(weights: Weights, statistics: Statistics, clicks: FeaturesAt, rejected: RejectedAt) -> Weights:
    """Maximise the posterior of logistic regression, with a prior centred on the closed form, by Newton's method.

    The cost is convex; each step is halved until the cost falls.
    """
    points = np.concatenate([clicks, rejected]) - statistics.mean
    labels = np.repeat([1.0, 0.0], [len(clicks), len(rejected)])
    precision = statistics.shrunk / PRIOR_VARIANCE
    start = points @ weights
    start -= EVEN_ODDS * float(start[: len(clicks)].mean())

    def cost(away: Weights) -> float:
        scores = start + points @ away
        return float(np.logaddexp(0, scores).sum() - labels @ scores + away @ precision @ away / 2)

    away = np.zeros_like(weights)
    for _ in range(NEWTON_STEPS):
        chance = expit(start + points @ away)
        slope = points.T @ (chance - labels) + precision @ away
        step = -np.linalg.solve((points.T * (chance * (1 - chance))) @ points + precision, slope)
        if float(np.abs(points @ step).max()) < TOLERANCE:
            break
        before, lengths = cost(away), 0.5 ** np.arange(HALVINGS)
        away = away + step * next((length for length in lengths if cost(away + step * length) < before), 0.0)
    return np.asarray(weights + away)
