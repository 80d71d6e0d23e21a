"""Where positives score: what the clicks tell of the network's output at particles."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Positives:
    """Where particles score.

    Parameters
    ----------
    mean, sd : float
        Of the logits of particles.
    surest : float
        The greatest probability that a score can have: the rest are look-alikes that score like the best particles.
    density : float, optional
        Particles a working voxel that is searched for them.
    """

    mean: float
    sd: float
    surest: float = 1.0
    density: float | None = None
