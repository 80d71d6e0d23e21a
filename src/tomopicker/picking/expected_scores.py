"""Where particles are expected to score, and how far from there they may: what clicks and training tomograms tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tomopicker.pu.positives import Positives
from tomopicker.types import Scores

USUAL_SD, USUAL_WEIGHT = 1.5, 5.0
"""The deviation of particles' scores, and how many clicks outweigh this knowledge."""
WIDER = 1.3
"""Particles of other tomograms spread so much wider than those of the training tomogram, as measured."""
RELATIVE_SD = 0.17
"""Deviation of particles' scores over their mean, as measured: networks trained for longer give larger logits."""
LOOKALIKES = 0.1
"""Over the number of clicks: the share of something else among what scores like the best particles, as measured."""
LEFT = 50.0
"""Particles that are left unclicked in a tomogram where nothing else is known."""
OVERFIT = 8.0
"""Clicks that were trained on score higher than other particles: by this over their number, in logits, as measured."""


@dataclass(frozen=True)
class Freedom:
    """How far particles and noise may score from where they are expected, one standard deviation.

    Parameters
    ----------
    mean : float
        Of their mean, in logits.
    log_sd : float
        Of the logarithm of their deviation.
    noise : float
        Of the place of noise, in deviations of its scores.
    """

    mean: float
    log_sd: float
    noise: float


ACROSS_TOMOGRAMS = Freedom(1.0, 0.25, 0.1)
"""From the training tomogram to another."""


def across_clicks(clicks: int) -> Freedom:
    """From clicks that were trained on to the other particles of the same tomogram.

    Noise is nothing that was trained on; the longer the training, the higher it scores beside what was.
    """
    few = 1 / max(1, clicks)
    return Freedom(0.4 + 6 * few, 0.1 + few, 0.5)


def beside(clicks: int) -> float:
    """Guess how many particles were not clicked in a tomogram: as many again, and no fewer than `LEFT`."""
    return max(LEFT, float(clicks))


def positives_of(click_scores: Scores) -> Positives:
    """Learn where particles score from the scores of clicks that were trained on; -inf, no peak, is left out.

    Other particles score lower, the more so the fewer clicks there are. The deviation of few clicks is drawn towards
    the usual one.
    """
    found = np.asarray(click_scores)[np.isfinite(click_scores)]
    if not len(found):
        return Positives(4.0, USUAL_SD)
    spread = float(np.sum((found - found.mean()) ** 2))
    return Positives(
        float(found.mean()) - OVERFIT / len(found),
        float(np.sqrt((spread + USUAL_WEIGHT * USUAL_SD**2) / (len(found) + USUAL_WEIGHT))),
    )


def elsewhere(fitted: Sequence[Positives], clicks: int, density: float | None = None) -> Positives:
    """Say where particles of other tomograms are expected to score, from the fits of the training tomograms.

    Parameters
    ----------
    fitted : sequence of Positives
        One a training tomogram.
    clicks : int
        In all of them.
    density : float, optional
        Of particles in them.

    Notes
    -----
    The deviation is the geometric mean of what the training tomograms show, where some particles were learnt by heart
    and others were called background, and of what is usual for scores as high as these.
    """
    mean = float(np.mean([each.mean for each in fitted]))
    shown = WIDER * float(np.mean([each.sd for each in fitted]))
    usual = max(RELATIVE_SD * mean, USUAL_SD / 2)
    return Positives(mean, float(np.sqrt(shown * usual)), 1 - LOOKALIKES / max(1, clicks), density)
