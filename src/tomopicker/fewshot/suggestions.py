"""Suggestions for the next clicks: the most informative peaks or, without clicks, examples of each kind of object."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from scipy.cluster.vq import kmeans2

from tomopicker.fewshot.discriminant import PRIOR_VARIANCE, Statistics
from tomopicker.fewshot.feature_map import FeaturesAt
from tomopicker.picks import Picks

MIN_SUGGESTED_PROBABILITY = 0.02
"""Minimum probability of a suggestion; candidates go down to `picking.calibration.MIN_PROBABILITY`."""
SPREAD = 2.0
"""Distance, in particle diameters, within which a peak near another one is less informative."""
UNDECIDED = (0.25, 0.75)
"""Probabilities between which a candidate is described as uncertain."""
DISSIMILAR = 0.85
"""Minimum fraction of unexplained score variance of a candidate described as unlike the clicks."""
INFORMATION = 0.25
"""p·(1 - p) at the decision boundary."""
COMPONENTS, ITERATIONS = 12, 30

Values = Float64[np.ndarray, " n"]
Known = Float64[np.ndarray, "known channels"]
KnownAt = Float64[np.ndarray, "known 3"]


@dataclass(frozen=True)
class Suggestion:
    """A suggested position, to be clicked or rejected.

    Parameters
    ----------
    position : tuple of float
        (x, y, z) in Å, like positions of picks.
    tomogram : str
    score : float
        Score of the discriminant; without clicks, distance of the features from background.
    probability : float
        Probability that it is a particle; NaN without clicks.
    reason : str
        Reason for the suggestion.
    """

    position: tuple[float, float, float]
    tomogram: str
    score: float
    probability: float
    reason: str

    @property
    def line(self) -> str:
        """Description in one line."""
        chance = "" if np.isnan(self.probability) else f" (probability {self.probability:.2f})"
        return f"{self.tomogram}: {self.reason}{chance}"


def as_picks(suggestions: Sequence[Suggestion]) -> Picks:
    """Return positions and scores as picks, with the columns ``probability`` and ``reason``."""
    return Picks(
        np.array([each.position for each in suggestions], dtype=np.float64).reshape(-1, 3),
        np.array([each.tomogram for each in suggestions], dtype=object),
        np.array([each.score for each in suggestions], dtype=np.float64),
        pd.DataFrame({
            "probability": [round(each.probability, 3) for each in suggestions],
            "reason": [each.reason for each in suggestions],
        }),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Candidates:
    """Peaks of a tomogram that can be suggested.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å.
    probability : array, shape (n,)
    features : array, shape (n, channels)
    known_positions, known_features
        Positions and features of the clicks and negatives.
    """

    positions: Float64[np.ndarray, "n 3"]
    probability: Values
    features: FeaturesAt
    known_positions: KnownAt
    known_features: Known


def most_informative(
    candidates: Candidates, statistics: Statistics, diameter: float, count: int
) -> tuple[Int64[np.ndarray, " chosen"], Values, Values]:
    """Select candidates one at a time, each by the information that its label adds to the previous ones.

    The label of a candidate with probability p and score variance v, given the known labels, adds
    log(1 + p·(1 - p)·v) / 2 nats (logistic regression with a normal prior; MacKay, Neural Computation 4, 1992).
    Informative peaks are near the decision boundary or unlike the known ones. Peaks near another peak are less
    informative.

    Parameters
    ----------
    candidates : Candidates
    statistics : Statistics
        Statistics of the tomogram's specimen.
    diameter : float
        Particle diameter, Å.
    count : int

    Returns
    -------
    chosen : array, shape (at most count,)
        Indices, most informative first.
    gains : array, shape (at most count,)
        Information gain, nats.
    left : array, shape (at most count,)
        Unexplained fraction of the score variance when the candidate was selected: 1 if it is unlike all known ones.
    """
    allowed = candidates.probability >= MIN_SUGGESTED_PROBABILITY
    posterior = _Posterior(PRIOR_VARIANCE * statistics.inverse)
    away, known = candidates.features - statistics.mean, candidates.known_features - statistics.mean
    prior = posterior.variance(away)
    near = np.ones(len(away))
    for features, place in zip(known, candidates.known_positions, strict=True):
        posterior = posterior.after(features)
        near *= _far(candidates.positions, place, diameter)
    uncertainty = candidates.probability * (1 - candidates.probability)
    chosen, gains, shares = [], [], []
    for _ in range(count):
        variance = posterior.variance(away)
        gain = np.where(allowed, np.log1p(uncertainty * variance) / 2 * near, 0.0)
        best = int(np.argmax(gain)) if len(gain) else -1
        if best < 0 or gain[best] <= 0:
            break
        chosen.append(best)
        gains.append(float(gain[best]))
        shares.append(float(variance[best] / max(prior[best], 1e-12)))
        allowed[best] = False
        posterior = posterior.after(away[best])
        near = near * _far(candidates.positions, candidates.positions[best], diameter)
    return np.array(chosen, dtype=np.int64), np.array(gains), np.array(shares)


def reason_for(probability: float, left: float, tomogram_has_clicks: bool) -> str:
    """Describe the reason for a suggestion."""
    low, high = UNDECIDED
    if low <= probability <= high:
        words = "as likely a particle as not"
    else:
        words = "probably a particle" if probability > high else "probably no particle, but scores nearly as one"
    if left >= DISSIMILAR:
        words += ", unlike what was clicked"
    return words if tomogram_has_clicks else f"{words}, in a tomogram without clicks"


def kinds_of_object(
    features: FeaturesAt, statistics: Statistics, count: int, seed: int = 0
) -> list[tuple[int, int, float]]:
    """Cluster objects by k-means on the principal components of their whitened features.

    Parameters
    ----------
    features : array, shape (n, channels)
        Features of the objects.
    statistics : Statistics
        Statistics of the specimen.
    count : int
        Maximum number of clusters.
    seed : int
        Seed of the initial centres.

    Returns
    -------
    list of (int, int, float)
        For each cluster, largest first: index of the object nearest to its centre, number of objects, and distance from
        background in standard deviations.
    """
    if not len(features):
        return []
    white = (features - statistics.mean) @ np.linalg.cholesky(statistics.inverse)
    distance = np.linalg.norm(white, axis=1) / np.sqrt(white.shape[1])
    middle = white - white.mean(axis=0)
    _, _, axes = np.linalg.svd(middle, full_matrices=False)
    projected = middle @ axes[:COMPONENTS].T
    groups = min(count, len(features))
    centres, labels = kmeans2(projected, groups, iter=ITERATIONS, minit="++", rng=np.random.default_rng(seed))
    found = []
    for label in range(groups):
        members = np.flatnonzero(labels == label)
        if len(members):
            nearest = members[np.argmin(((projected[members] - centres[label]) ** 2).sum(axis=1))]
            found.append((int(nearest), len(members), float(distance[nearest])))
    return sorted(found, key=lambda each: -each[1])


@dataclass(frozen=True, eq=False)
class _Posterior:
    """Covariance of the discriminant's weights, given the labels so far."""

    covariance: Float64[np.ndarray, "channels channels"]

    def variance(self, features: FeaturesAt) -> Values:
        """Return the score variance of features relative to the mean."""
        return np.asarray(np.einsum("ij,ij->i", features @ self.covariance, features))

    def after(self, features: Float64[np.ndarray, " channels"]) -> "_Posterior":
        """Return the covariance after another label near the decision boundary."""
        moved = self.covariance @ features
        return _Posterior(self.covariance - np.outer(moved, moved) / (1 / INFORMATION + features @ moved))


def _far(positions: Float64[np.ndarray, "n 3"], place: Float64[np.ndarray, " 3"], diameter: float) -> Values:
    """Return a weight that rises from 0 at a position to 1 beyond a few diameters."""
    squares = ((positions - place) ** 2).sum(axis=1)
    return np.asarray(1 - np.exp(-squares / (2 * (SPREAD * diameter) ** 2)))
