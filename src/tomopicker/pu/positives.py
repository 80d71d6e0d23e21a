"""Where positives score: what the clicks tell of the network's output at particles."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Positives:
    """Where particles score.

    Parameters
    ----------
    mean, sd : float
        Of the logits of particles.
    """

    mean: float
    sd: float
