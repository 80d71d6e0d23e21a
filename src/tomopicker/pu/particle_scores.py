"""The prior distribution of particle scores, estimated from clicks and training tomograms, for calibration."""

from dataclasses import dataclass, field, replace

import numpy as np

from tomopicker.types import Scores

PRIOR_SD, PRIOR_WEIGHT = 1.5, 5.0
"""Prior standard deviation of particle scores, and its weight as a number of clicks."""
OVERFIT = 8.0
"""Clicks trained on score higher than other particles by this value over their number; the error is as large."""
MEAN_SD_BETWEEN, LOG_SD_BETWEEN = 0.3, 0.1
"""Standard deviations, between tomograms, of the particles' mean score and of the logarithm of their spread."""
VARIANCE_SHARE = 0.4
"""Contribution of particles to the variance that normalises a network's activations, in training tomograms: where there
are more particles, each scores lower. Measured on simulated tomograms: 0.5 to 0.7 in thin ones, 0.1 to 0.6 in crowded
ones. The discriminant's scores do not depend on it."""
PRIOR_MISSED, PRIOR_CLICKS = 0.25, 5.0
"""Prior of the fraction of clicks without a peak: number of additional clicks without a peak, and in total."""

FEW_EXCESS, FEW_ERROR = 0.6, 0.2
"""The n clicks of a discriminant score (n + 0.6) / n times as high as other particles, with an error of 0.2 / √n.
Measured on simulated ribosomes, phase plate and defocus: 1.6 for one click, 1.03 for twenty."""


def _none() -> Scores:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class ParticleScores:
    """Expected distribution of particle scores, and the density of particles.

    Parameters
    ----------
    mean, sd : float
        Mean and standard deviation of particle logits.
    mean_error, log_sd_error : float
        Standard errors of the mean, and of the logarithm of `sd`.
    missed : float
        Fraction of particles without a peak: cut by the border, or merged with a neighbour.
    density : float or None
        Particles per searched working voxel in the training tomograms; None before they are counted.
    rejected : array, shape (n,)
        Logits of negatives in the training tomograms: known background.
    voxels : float
        Number of working voxels searched for these peaks.
    log_density_error : float
        Standard deviation of the logarithm of `density`.
    variance_share : float
        Contribution of particles to the variance of a network's activations at this density; 0 if scores do not depend
        on the density.
    """

    mean: float
    sd: float
    mean_error: float
    log_sd_error: float
    missed: float = 0.0
    density: float | None = None
    rejected: Scores = field(default_factory=_none)
    voxels: float = 1.0
    log_density_error: float = 0.0
    variance_share: float = 0.0


def from_clicks(click_scores: Scores, missed: int = 0) -> ParticleScores:
    """Estimate the distribution of particle scores from clicks that the network was trained on.

    Such clicks score higher than other particles; the spread of few clicks is shrunk towards the prior.

    Parameters
    ----------
    click_scores : array, shape (n,)
        Logits of the peaks at clicks; may be empty.
    missed : int
        Number of clicks without a peak.
    """
    number = len(click_scores)
    fraction = (missed + PRIOR_MISSED) / (number + missed + PRIOR_CLICKS)
    if not number:
        return ParticleScores(4.0, PRIOR_SD, 4.0, 0.5, fraction, variance_share=VARIANCE_SHARE)
    mean = float(np.mean(click_scores))
    squares = float(np.sum((click_scores - mean) ** 2))
    sd = float(np.sqrt((squares + PRIOR_WEIGHT * PRIOR_SD**2) / (number + PRIOR_WEIGHT)))
    return ParticleScores(
        mean - OVERFIT / number, sd, MEAN_SD_BETWEEN + OVERFIT / number, LOG_SD_BETWEEN + 1 / number, fraction,
        variance_share=VARIANCE_SHARE,
    )  # fmt: skip


def from_held_out(click_scores: Scores, missed: int = 0) -> ParticleScores:
    """Estimate the distribution from clicks that were each scored without being used for training.

    Parameters as for `from_clicks`.
    """
    fitted = replace(from_clicks(click_scores, missed), variance_share=0.0)
    number = len(click_scores)
    if not number:
        return fitted
    error = float(np.hypot(MEAN_SD_BETWEEN, fitted.sd / np.sqrt(number)))
    log_error = float(np.hypot(LOG_SD_BETWEEN, 1 / np.sqrt(2 * (number + PRIOR_WEIGHT))))
    return replace(fitted, mean=float(np.mean(click_scores)), mean_error=error, log_sd_error=log_error)


def from_few(click_scores: Scores, missed: int = 0) -> ParticleScores:
    """Estimate the distribution from the few clicks of a discriminant; parameters as for `from_clicks`."""
    number = len(click_scores)
    fitted = from_held_out(click_scores * number / (number + FEW_EXCESS), missed)
    if not number:
        return fitted
    error = FEW_ERROR * abs(fitted.mean) / np.sqrt(number)
    return replace(fitted, mean_error=float(np.hypot(fitted.mean_error, error)))
