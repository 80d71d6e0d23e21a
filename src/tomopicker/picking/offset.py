"""Probabilities of a network that is used with one offset for all tomograms, as the paper's is."""

import numpy as np
from scipy.special import expit

from tomopicker.types import Scores

MIN_PROBABILITY = 0.01
"""Candidates less probable than this are not listed."""


def probabilities(scores: Scores, offset: float) -> Scores:
    """Turn logits into the probabilities that they are particles: 1 / (1 + exp(-(score + offset)))."""
    probability: Scores = expit(np.asarray(scores, dtype=np.float64) + offset)
    return probability


def offset_for_count(peak_scores: Scores, count: float) -> float:
    """Give the offset with which the probabilities of peaks sum to a count.

    A network trained on few clicks is overconfident, and by how much differs from training to training. The sum
    of the probabilities is the expected number of particles; holding it at the number there are sets them right.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Logits of all candidate peaks in the training tomograms. Those below `MIN_PROBABILITY` do not count.
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
        low, high = (middle, high) if probability[probability >= MIN_PROBABILITY].sum() < count else (low, middle)
    return (low + high) / 2
