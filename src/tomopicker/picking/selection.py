"""Selection of picks among the candidates of a tomogram: by an option, or the best expected F1."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from tomopicker.picks import Picks
from tomopicker.types import Scores


@dataclass(frozen=True)
class Expectation:
    """Expected quality of the picks, from the probabilities of the candidates alone.

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
    """Compute the expected quality of picks.

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
    """Return the threshold of the best expected F1: the k best hold Σ_k p of n particles, so F1 = 2·Σ_k p / (k + n).

    Parameters
    ----------
    probability : array, shape (n,)
        Of all candidate peaks of a tomogram, in any order.
    particles : float
        In the tomogram. If there are none, nothing is to be picked.
    """
    ordered = np.sort(probability)[::-1]
    if not particles:
        return 1.0
    if not len(ordered):
        return 0.5
    kept = np.arange(1, len(ordered) + 1)
    return threshold_for_count(ordered, float(kept[np.argmax(np.cumsum(ordered) / (kept + particles))]))


def threshold_for_precision(probability: Scores, precision: float) -> float:
    """Return the threshold that keeps the most candidates whose expected precision, their mean, is at least this."""
    ordered = np.sort(probability)[::-1]
    reached = np.flatnonzero(np.cumsum(ordered) / np.arange(1, len(ordered) + 1) >= precision)
    return threshold_for_count(ordered, reached[-1] + 1.0) if len(reached) else 1.0


def threshold_for_count(peak_scores: Scores, count: float) -> float:
    """Return the threshold that keeps about `count` of the peaks: halfway between the last kept and the next."""
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


@dataclass(frozen=True)
class Selected:
    """Picks that were selected among candidates.

    Parameters
    ----------
    picks : Picks
        Best first; their scores are probabilities.
    threshold : float
        Exclusive lower bound of the picks' probabilities.
    expected : Expectation
        From the candidates' probabilities and the number of particles.
    """

    picks: Picks
    threshold: float
    expected: Expectation


@dataclass(frozen=True)
class Selection:
    """Criterion of the selection; by default the best expected F1.

    Parameters
    ----------
    threshold : float, optional
        Exclusive lower bound of the picks' probabilities.
    precision : float, optional
        Least expected precision, in place of a threshold.
    max_particles : int, optional
        Largest number of picks, on top of the other criteria.
    """

    threshold: float | None = None
    precision: float | None = None
    max_particles: int | None = None

    def select(self, candidates: Picks, particles: float, default: float | None) -> Selected:
        """Select the picks of a tomogram.

        Parameters
        ----------
        candidates : Picks
            Best first; their scores are probabilities.
        particles : float
            In the tomogram.
        default : float or None
            Threshold without a criterion; None: the one of the best expected F1.
        """
        probability = candidates.scores
        if self.threshold is not None:
            threshold = self.threshold
        elif self.precision is not None:
            threshold = threshold_for_precision(probability, self.precision)
        elif default is not None:
            threshold = default
        else:
            threshold = threshold_for_f1(probability, particles)
        picked = probability > threshold
        if self.max_particles is not None:
            picked &= np.arange(len(probability)) < self.max_particles
        return Selected(candidates.select(picked), threshold, expectation(probability, picked, particles))


def join(parts: Sequence[Selected]) -> Selected:
    """Join the picks of several kinds: the threshold is the lowest, the expectation that of all picks."""
    picks = best_first([part.picks for part in parts])
    particles = sum(part.expected.particles for part in parts)
    right = sum(part.expected.precision * len(part.picks) for part in parts)
    precision, recall = right / len(picks) if len(picks) else 0.0, right / particles if particles else 0.0
    f1 = 2 * right / (len(picks) + particles) if len(picks) + particles else 0.0
    return Selected(picks, min(part.threshold for part in parts), Expectation(particles, precision, recall, f1))


def best_first(parts: Sequence[Picks]) -> Picks:
    """Join picks in the order of their scores, the highest first."""
    every = Picks.concatenate(parts)
    return every.select(np.argsort(-every.scores, kind="stable"))
