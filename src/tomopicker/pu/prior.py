"""Class priors from an expected number of particles (equations 2, 4 and 8)."""

import math
from dataclasses import dataclass

from tomopicker.errors import UsageError


@dataclass(frozen=True)
class Priors:
    """The three priors of section 3.2.

    Parameters
    ----------
    labelled : float
        π, the labelled fraction of all voxels (eq. 2).
    expected : float
        π', the expected fraction of positive voxels (eq. 4).
    unlabelled : float
        π'', the expected fraction of positive voxels among the unlabelled (eq. 8).
    """

    labelled: float
    expected: float
    unlabelled: float

    def __str__(self) -> str:
        named = {
            "are labelled as particle (π)": self.labelled,
            "would be with all particles (π')": self.expected,
            "of the others are particle (π'')": self.unlabelled,
        }
        known = {name: value for name, value in named.items() if not math.isnan(value)}
        first, *others = (f"{100 * value:.3g}% {name}" for name, value in known.items())
        return ", ".join([first.replace("%", "% of the voxels", 1), *others])


def class_priors(
    positive_voxels: int, all_voxels: int, ball_voxels: int, expected_particles: float, denominator: str = "all"
) -> Priors:
    """Compute π, π' and π''.

    Parameters
    ----------
    positive_voxels : int
        |P|, voxels labelled positive in the training data.
    all_voxels : int
        |P ∪ U|, all voxels of the training data that are not ignored.
    ball_voxels : int
        Rn, the number of voxels in the ball of one whole particle.
    expected_particles : float
        Ep, the particles expected in the training data.
    denominator : {"all", "unlabelled"}
        Denominator of π'': |P ∪ U| as in eq. 8, or |U|.

    Returns
    -------
    Priors
        All within (0, 1).

    Raises
    ------
    UsageError
        If fewer particles are expected than labelled (π'' would not be positive), or more than fit into the volume.
    """
    labelled = positive_voxels / all_voxels
    expected = expected_particles * ball_voxels / all_voxels
    if expected >= 1:
        raise UsageError(
            f"{expected_particles:g} expected particles do not fit the training volume; "
            "lower --expected-particles or --particle-diameter"
        )
    if expected <= labelled:
        clicked = positive_voxels / ball_voxels
        raise UsageError(
            f"{expected_particles:g} expected particles are no more than the {clicked:.3g} labelled ones; "
            "raise --expected-particles or leave it out to have it estimated"
        )
    unlabelled = expected - labelled
    if denominator == "unlabelled":
        unlabelled /= 1 - labelled
    return Priors(labelled, expected, unlabelled)
