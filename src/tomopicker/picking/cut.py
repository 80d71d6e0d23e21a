"""Where the list of a tomogram's candidates is cut: what the user asked for, or the best expected F1."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from tomopicker.picking.calibrate import Expectation, expectation, threshold_for_f1, threshold_for_precision
from tomopicker.picks import Picks
from tomopicker.types import Scores


@dataclass(frozen=True)
class Chosen:
    """What a cut keeps of a list of candidates.

    Parameters
    ----------
    picks : Picks
        Best first; their scores are probabilities.
    threshold : float
        That was used.
    expected : Expectation
        What the candidates' probabilities and the number of particles say of the picks.
    """

    picks: Picks
    threshold: float
    expected: Expectation


@dataclass(frozen=True)
class Cut:
    """What the user wants of the picks; nothing means the best expected F1.

    Parameters
    ----------
    threshold : float, optional
        Least probability.
    precision : float, optional
        Least expected precision, in place of a threshold.
    max_particles : int, optional
        The best so many at most, whatever else.
    """

    threshold: float | None = None
    precision: float | None = None
    max_particles: int | None = None

    def apply(self, probability: Scores, particles: float, usual: float | None) -> tuple[Bool[np.ndarray, " n"], float]:
        """Say which candidates are picked.

        Parameters
        ----------
        probability : array, shape (n,)
            Of the candidates, descending.
        particles : float
            In the tomogram.
        usual : float or None
            The threshold where the user asks for none; None: the one of the best expected F1.

        Returns
        -------
        picked : array of bool, shape (n,)
        threshold : float
        """
        if self.threshold is not None:
            threshold = self.threshold
        elif self.precision is not None:
            threshold = threshold_for_precision(probability, self.precision)
        else:
            threshold = threshold_for_f1(probability, particles) if usual is None else usual
        picked = probability > threshold
        if self.max_particles is not None:
            picked &= np.arange(len(probability)) < self.max_particles
        return picked, threshold

    def choose(self, candidates: Picks, particles: float, usual: float | None) -> Chosen:
        """Keep the picks of a list of candidates, best first; `particles` and `usual` as in `apply`."""
        picked, threshold = self.apply(candidates.scores, particles, usual)
        return Chosen(candidates.select(picked), threshold, expectation(candidates.scores, picked, particles))
