"""The mixture of particles, look-alikes and background that is fitted to a tomogram's peak scores.

Above a cut-off, the density of peak scores s is

    f(s) = ω·N(s; μ, σ) + λ·N(s; μ - σ, 1.2 σ) + (1 - ω - λ)·b(s).

The background b is the decoy's density (`tomopicker.picking.background`), shifted and stretched to match the
tomogram's own low scores. ω, μ, σ, shift and stretch maximise a posterior whose prior is centred on the scores of the
clicks (`tomopicker.pu.particle_scores`) and on the decoy. In tomograms not trained on, the prior centres of μ and σ
depend on the number of particles (`_log_scale`). λ is not fitted, since scores cannot distinguish look-alikes from
particles: it is a fixed number of peaks, or a fixed fraction of the particles. A network that hardly separates
particles from noise hardly separates them from other molecules either: the number of look-alikes has a half-normal
prior, whose standard deviation per expected particle is the error rate between particles and decoys.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, log_ndtr, logit, ndtr

from tomopicker.picking.background import Background
from tomopicker.pu.particle_scores import ParticleScores

LOOK_ALIKE_SHIFT, LOOK_ALIKE_WIDTH = 1.0, 1.2
"""Look-alikes: distance of their mean below the particles', and their standard deviation, in those of particles."""
SHIFT_UP_SD, SHIFT_DOWN_SD = 0.15, 0.5
"""Prior standard deviations of the background's shift, in widths of the decoy. Unlike the background, a decoy includes
the power of the particles, so background often scores lower than the decoy but rarely higher."""
BELOW_DECOY_SD = 0.1
"""Prior standard deviation, in widths of the decoy, of a mean particle score below the decoy's median."""
LOG_STRETCH_SD = 0.1
"""Prior standard deviation of the logarithm of the background's stretch."""
MAX_DENSITY_RATIO = 1.5
"""Maximum ratio of particles to expected particles up to which scores fall with their number; beyond it, background
could be mistaken for a crowd of low-scoring particles."""
LOG_COUNT_SD = 0.2
"""Standard deviation of the logarithm of a number of particles given by the user."""
BINS = 120
STARTS = (0.03, 0.2, 0.5)
"""Fractions of particles from which the first fit starts."""

Parameters = Float64[np.ndarray, "5"]
"""Logit of the particle fraction, mean and log standard deviation of particles, shift and log stretch of background."""
Weights = Float64[np.ndarray, "3"]
Bins = Float64[np.ndarray, " bins"]


@dataclass(frozen=True, eq=False)
class MixtureProblem:
    """Binned scores, and the priors of the mixture's parameters.

    Parameters
    ----------
    at, counts : array, shape (bins,)
        Bin centres, and number of peaks in each.
    cutoff : float
        Lowest fitted score: the decoy's median.
    background : Background
    prior : ParticleScores
    look_alikes : float
        Expected number of look-alikes per expected particle.
    expected : float or None
        Expected number of particles with a peak, at the density of the training tomograms; None in a training tomogram.
    shift, log_stretch : float
        Prior centres of the background's shift and log stretch.
    given_count : float, optional
        Number of particles with a peak given by the user.
    """

    at: Bins
    counts: Bins
    cutoff: float
    background: Background
    prior: ParticleScores
    look_alikes: float
    expected: float | None
    shift: float = 0.0
    log_stretch: float = 0.0
    given_count: float | None = None

    @property
    def peaks(self) -> float:
        """Number of fitted peaks."""
        return float(self.counts.sum())


def mixture_problem(
    scores: Float64[np.ndarray, " peaks"], background: Background, prior: ParticleScores, expected: float | None
) -> MixtureProblem:
    """Bin the scores of peaks above the cut-off.

    Parameters
    ----------
    scores : array, shape (peaks,)
    background : Background
    prior : ParticleScores
    expected : float or None
        Expected number of particles with a peak, at the density of the training tomograms; None in a training tomogram.
    """
    cutoff = background.median
    highest = max(float(scores.max()), prior.mean + 4 * prior.sd, cutoff + prior.sd)
    edges = np.linspace(cutoff, highest + 1e-6, BINS + 1)
    counts = np.histogram(scores, edges)[0].astype(np.float64)
    look_alikes = _error_rate(prior, background) * np.sqrt(2 / np.pi)
    return MixtureProblem((edges[1:] + edges[:-1]) / 2, counts, cutoff, background, prior, look_alikes, expected)


def _error_rate(prior: ParticleScores, background: Background) -> float:
    """Return Φ(-d / 2), the error rate between particles and decoys at the midpoint of two normal distributions."""
    return float(ndtr((background.median - prior.mean) / np.hypot(prior.sd, background.sd) / 2))


def resampled(problem: MixtureProblem, rng: np.random.Generator) -> MixtureProblem:
    """Resample peaks, decoy peaks and prior centres and, in a tomogram not trained on, the number of look-alikes."""
    prior, background = problem.prior, problem.background.resampled(rng)
    shift, half_normal = rng.standard_normal(), abs(rng.standard_normal()) * np.sqrt(np.pi / 2)
    return replace(
        problem,
        counts=rng.poisson(problem.counts).astype(np.float64),
        background=background,
        prior=replace(
            prior,
            mean=prior.mean + prior.mean_error * rng.standard_normal(),
            sd=prior.sd * float(np.exp(prior.log_sd_error * rng.standard_normal())),
        ),
        shift=shift * background.sd * (SHIFT_UP_SD if shift > 0 else SHIFT_DOWN_SD),
        log_stretch=LOG_STRETCH_SD * rng.standard_normal(),
        look_alikes=problem.look_alikes * (1.0 if problem.expected is None else half_normal),
    )


def fit(problem: MixtureProblem, starts: Sequence[Parameters] | None = None) -> Parameters:
    """Maximise the posterior of the parameters.

    Parameters
    ----------
    problem : MixtureProblem
    starts : sequence of Parameters, optional
        Starting points, of which the best optimum is used; the prior with several particle fractions if left out.
    """
    prior = problem.prior
    if starts is None:
        centre = np.array([prior.mean, np.log(prior.sd), 0.0, 0.0])
        starts = [np.array([logit(fraction), *centre]) for fraction in STARTS]
    spread = [0.1, prior.mean_error, prior.log_sd_error, SHIFT_DOWN_SD * problem.background.sd, LOG_STRETCH_SD]
    options = {"gtol": 0.02 * np.sqrt(problem.peaks + 1), "hess_inv0": np.diag(np.square(spread)) / 10}
    found = [
        minimize(_cost, start, args=(problem,), jac=True, method="BFGS", options=options)  # type: ignore[call-overload]
        for start in starts
    ]
    best: Parameters = min(found, key=lambda each: float(each.fun)).x
    best[0] = np.clip(best[0], -15, 15)
    return best


def particles_with_peak(problem: MixtureProblem, parameters: Parameters) -> float:
    """Return the number of particles with a peak: those above the cut-off, and those expected below it."""
    fraction_logit, mean, log_sd, *_ = parameters
    above = np.exp(log_ndtr((mean - problem.cutoff) / np.exp(log_sd)))
    return float(_weights(problem, fraction_logit)[0][0] * problem.peaks / above)


def posterior(problem: MixtureProblem, parameters: Parameters) -> Bins:
    """Return the probability of being a particle in each bin, made monotone by isotonic regression."""
    densities = _mixture(problem, parameters).log_densities
    total = np.logaddexp.reduce(densities)
    return np.asarray(isotonic_regression(np.exp(densities[0] - total), weights=np.exp(total) + 1e-9).x)


def _cost(parameters: Parameters, problem: MixtureProblem) -> tuple[float, Parameters]:
    """Return the negative log posterior and its gradient."""
    _, mean, log_sd, shift, _ = parameters
    sd, prior, background = float(np.exp(log_sd)), problem.prior, problem.background
    densities, weights, weight_slopes, particle, look_alike, other = _mixture(problem, parameters)
    total = np.logaddexp.reduce(densities)
    peaks = problem.counts * np.exp(densities - total)  # of each component, by bin
    d_sd = peaks[0] @ particle.d_sd + peaks[1] @ (
        LOOK_ALIKE_WIDTH * look_alike.d_sd - LOOK_ALIKE_SHIFT * look_alike.d_mean
    )
    gradient = -np.array([
        float((peaks.sum(axis=1) / weights) @ weight_slopes),
        float(peaks[0] @ particle.d_mean + peaks[1] @ look_alike.d_mean),
        float(d_sd) * sd,
        float(peaks[2] @ other.d_shift),
        float(peaks[2] @ other.d_log_stretch),
    ])  # fmt: skip
    width = background.sd * (SHIFT_UP_SD if shift > problem.shift else SHIFT_DOWN_SD)
    errors = np.array([prior.mean_error, prior.log_sd_error, width, LOG_STRETCH_SD])
    log_scale, scale_slope = _log_scale(problem, weights[0], weight_slopes[0])
    above = (prior.mean - problem.cutoff) * float(np.exp(log_scale))
    centre = np.array([problem.cutoff + above, np.log(prior.sd) + log_scale, problem.shift, problem.log_stretch])
    away = (parameters[1:] - centre) / errors
    gradient[1:] += away / errors
    gradient[0] -= float(away[:2] / errors[:2] @ [above, 1.0]) * scale_slope
    # Jeffreys' prior of the fraction.
    cost = float((away**2).sum() / 2 - problem.counts @ total - np.log(weights[0]) / 2)
    gradient[0] -= weight_slopes[0] / weights[0] / 2
    if mean < problem.cutoff:  # Particles score no lower than the middle of the decoy.
        below = (mean - problem.cutoff) / (BELOW_DECOY_SD * background.sd)
        cost, gradient[1] = cost + below**2 / 2, gradient[1] + below / (BELOW_DECOY_SD * background.sd)
    if problem.given_count is not None:
        off = float(np.log(weights[0] * problem.peaks / problem.given_count)) / LOG_COUNT_SD
        cost, gradient[0] = cost + off**2 / 2, gradient[0] + off / LOG_COUNT_SD * weight_slopes[0] / weights[0]
    return cost, gradient


class _Normal(NamedTuple):
    """Log density of a truncated normal distribution, and its derivatives by mean and standard deviation."""

    log_density: Bins
    d_mean: Bins
    d_sd: Bins


class _Background(NamedTuple):
    """Log density of the truncated background, and its derivatives by shift and log stretch."""

    log_density: Bins
    d_shift: Bins
    d_log_stretch: Bins


class _Mixture(NamedTuple):
    """Weighted log densities of the components, their weights, and derivatives of weights and densities."""

    log_densities: Float64[np.ndarray, "3 bins"]
    weights: Weights
    weight_slopes: Weights
    particle: _Normal
    look_alike: _Normal
    background: _Background


def _mixture(problem: MixtureProblem, parameters: Parameters) -> _Mixture:
    """Evaluate particles, look-alikes and background in each bin."""
    fraction_logit, mean, log_sd, shift, log_stretch = parameters
    sd = float(np.exp(log_sd))
    particle = _normal(problem.at, mean, sd, problem.cutoff)
    look_alike = _normal(problem.at, mean - LOOK_ALIKE_SHIFT * sd, LOOK_ALIKE_WIDTH * sd, problem.cutoff)
    background = _background(problem, shift, log_stretch)
    weights, slopes = _weights(problem, fraction_logit)
    densities = np.stack([each.log_density for each in (particle, look_alike, background)])
    return _Mixture(densities + np.log(weights)[:, None], weights, slopes, particle, look_alike, background)


def _weights(problem: MixtureProblem, fraction_logit: float) -> tuple[Weights, Weights]:
    """Return the fractions of particles, look-alikes and background, and their derivatives by the first one's logit."""
    fraction, per_particle = float(expit(fraction_logit)), problem.look_alikes
    if problem.expected is None:
        scale, fixed = np.array([1.0, per_particle, 0.0]) / (1 + per_particle), np.zeros(3)
    else:
        look_alikes = float(np.clip(per_particle * problem.expected / max(problem.peaks, 1.0), 1e-9, 0.5))
        scale, fixed = np.array([1 - look_alikes, 0.0, 0.0]), np.array([0.0, look_alikes, 0.0])
    weights, slopes = fixed + fraction * scale, scale * fraction * (1 - fraction)
    weights[2], slopes[2] = 1 - weights[:2].sum(), -slopes[:2].sum()
    return np.maximum(weights, 1e-12), slopes


def _log_scale(problem: MixtureProblem, fraction: float, fraction_slope: float) -> tuple[float, float]:
    """Return the log scale of particle scores relative to the training tomograms, and its derivative by the logit.

    Activations are normalised by their variance in each tomogram, to which particles contribute: the more particles
    there are, the lower each of them scores.
    """
    if problem.expected is None:
        return 0.0, 0.0
    share, ratio = problem.prior.variance_share, fraction * problem.peaks / max(problem.expected, 1.0)
    variance = 1 - share + share * min(ratio, MAX_DENSITY_RATIO)
    slope = share * problem.peaks / max(problem.expected, 1.0) * fraction_slope if ratio < MAX_DENSITY_RATIO else 0.0
    return -float(np.log(variance)) / 2, -slope / variance / 2


def _normal(at: Bins, mean: float, sd: float, cutoff: float) -> _Normal:
    away, edge = (at - mean) / sd, (mean - cutoff) / sd
    inside = float(log_ndtr(edge))
    ratio = float(np.exp(-(edge**2) / 2 - inside)) / np.sqrt(2 * np.pi)
    log = -(away**2) / 2 - np.log(sd * np.sqrt(2 * np.pi)) - inside
    return _Normal(log, (away - ratio) / sd, (away**2 - 1 + ratio * edge) / sd)


def _background(problem: MixtureProblem, shift: float, log_stretch: float) -> _Background:
    background = problem.background
    at = background.moved(problem.at, shift, log_stretch)
    edge = background.moved(np.array([problem.cutoff]), shift, log_stretch)
    above, shrink = background.fraction_above(float(edge[0])), float(np.exp(-log_stretch))
    log = background.log_density(at) - log_stretch - np.log(above)
    slope, hazard = background.slope(at), float(np.exp(background.log_density(edge)[0])) / above
    return _Background(
        log,
        -slope * shrink - hazard * shrink,
        -slope * (at - background.median) - 1 - hazard * (float(edge[0]) - background.median),
    )
