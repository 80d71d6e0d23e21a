"""From the scores of a tomogram's peaks: how sure is each, how many particles are there, and are there any at all.

Above a cut-off, the density of peak scores s is a mixture of particles, look-alikes and background,

    f(s) = π·N(s; μ, σ) + λ·N(s; μ - σ, 1.2 σ) + (1 - π - λ)·b(s).

The background b is the decoy's density (`tomopicker.picking.background`), shifted and stretched to agree with the
tomogram's own low scores. π, μ, σ, shift and stretch maximise a posterior whose prior is centred on the scores of the
clicks (`tomopicker.pu.particle_scores`) and on the decoy. The probability of a peak is π·N / f, made monotone. Interval
and probabilities are those of a bootstrap, which draws peaks, decoy peaks, the centres of the priors and the
look-alikes anew.

Look-alikes cannot be told from particles by their scores. Their number is no parameter: it has a prior in proportion
to the particles that a tomogram would hold at the density of the training tomograms. A tomogram with no more particles
than this prior explains holds none, or too few to tell; `Calibration.absent` is the probability of that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, log_ndtr, logit, ndtri

from tomopicker.picking.background import Background, DecoyScores
from tomopicker.pu.particle_scores import ACROSS, LOG_SD_ACROSS, ParticleScores
from tomopicker.types import Scores

FEWEST = 20
"""Peaks, and decoy peaks, that a mixture can be fitted to."""
LOOKALIKES = 0.075
"""Standard deviation of the half-normal prior of look-alikes over expected particles."""
STRAYS = 0.002
"""Share of a tomogram's peaks that may score as particles because the background's tail is not known better."""
LOWER, WIDER = 1.0, 1.2
"""Look-alikes' mean below the particles', and their standard deviation, both in standard deviations of particles."""
SHIFT_UP, SHIFT_DOWN = 0.15, 0.5
"""Prior standard deviations of the background's shift, in widths of the decoy. A decoy has the power of the particles
too, which the background has not, so background may well score lower than the decoy and hardly higher."""
BELOW = 0.1
"""Particles' mean score lies no further below the decoy's median than this, in widths of the decoy, give or take."""
LOG_STRETCH = 0.1
"""Prior standard deviation of the logarithm of the background's stretch."""
SYSTEMATIC = 0.1
"""Relative error of a count that the mixture's form brings, however many the peaks."""
UNLIKE = 0.1
"""Error of a count in other tomograms than those trained on, over the geometric mean of the count and of what the
training tomograms' density leads to expect: where particles are sparser, background and look-alikes matter more."""
DRAWS = 25
"""Errors drawn for each resample of the bootstrap."""
LOG_GIVEN = 0.2
"""Standard deviation of the logarithm of a number of particles that the user gives."""
LEVEL = 0.9
FACTOR = 2.0
"""A count that is off by less is consistent with a stated one."""
BINS, RESAMPLES = 120, 40

Parameters = Float64[np.ndarray, "5"]
Weights = Float64[np.ndarray, "3"]
Bins = Float64[np.ndarray, " bins"]
Numbers = Float64[np.ndarray, " _"]


@dataclass(frozen=True)
class Count:
    """A number of particles and the interval that holds it with a probability of 90 %.

    Parameters
    ----------
    estimate, low, high : float
        low ≤ estimate ≤ high.
    """

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.0f} particles (90 % interval {self.low:.0f} to {self.high:.0f})"

    @property
    def log_error(self) -> float:
        """Standard deviation of the logarithm of the number, by the width of the interval."""
        return float(np.log(max(self.high, 1.0) / max(self.low, 1.0)) / (2 * ndtri((1 + LEVEL) / 2)))

    @classmethod
    def total(cls, counts: Iterable["Count"]) -> "Count":
        """Add numbers, and intervals end by end, since the errors of one network are correlated."""
        listed = [astuple(count) for count in counts]
        return cls(*(sum(ends) for ends in zip(*listed, strict=True)))

    def at_least(self, number: float) -> "Count":
        """Raise the number and both ends to a number of particles that is certain."""
        return Count(*(max(value, float(number)) for value in astuple(self)))

    def without(self, lost: float, certain: float) -> "Count":
        """Subtract particles that are of another kind; those that are certain stay."""
        return Count(*(max(value - lost, min(certain, value)) for value in astuple(self)))

    def is_inconsistent(self, given: float) -> bool:
        """Whether a given count is outside the interval and off by more than a factor of two."""
        within = self.low <= given <= self.high
        return not within and not self.estimate / FACTOR <= given <= self.estimate * FACTOR


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a tomogram's scores say.

    Parameters
    ----------
    scores, probabilities : array, shape (bins,)
        A non-decreasing curve: the probability that a peak of a score is a particle; 0 below the first score.
    count : Count
        Particles in the tomogram, the clicked included.
    absent : float
        Probability that it holds no particle.
    particles : ParticleScores
        Where its particles score: the prior for other tomograms.
    """

    scores: Bins
    probabilities: Bins
    count: Count
    absent: float
    particles: ParticleScores

    def probability(self, scores: Float[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Give the probability of being a particle, for scores of any shape."""
        return np.asarray(np.interp(scores, self.scores, self.probabilities, left=0.0))


def calibrate(
    peak_scores: Scores,
    decoy_scores: DecoyScores,
    prior: ParticleScores,
    *,
    voxels: float,
    decoy_voxels: float,
    clicked: Bool[np.ndarray, " n"] | None = None,
    given: float | None = None,
    seed: int = 0,
) -> Calibration:
    """Calibrate the scores of one tomogram's peaks.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Logits of all its peaks.
    decoy_scores : array, shape (decoys,)
        Of all peaks of its decoy.
    prior : ParticleScores
        Where particles are expected to score. With a density, this is another tomogram than those trained on; without,
        it is one of them, and its look-alikes are a share of its own particles.
    voxels, decoy_voxels : float
        Working voxels that were searched for peaks, in the tomogram and in its decoy.
    clicked : array, shape (n,), optional
        Peaks that are known to be particles: they are counted, and left out of the mixture.
    given : float, optional
        Particles in it, as the user says.
    seed : int
        Of the bootstrap.
    """
    known = np.zeros(len(peak_scores), dtype=bool) if clicked is None else clicked
    found = float(known.sum())
    unknown = np.asarray(peak_scores, dtype=np.float64)[~known]
    background = _background(np.asarray(decoy_scores, dtype=np.float64), unknown, prior, voxels / decoy_voxels, voxels)
    if background is None or len(unknown) < FEWEST:
        return _too_few(prior, found, float(len(unknown)))
    expected = None if prior.density is None else prior.density * voxels
    task = _task(unknown, background, prior, None if expected is None else expected * (1 - prior.missed))
    if given is not None:
        task = replace(task, given=max(given * (1 - prior.missed) - found, 0.5))
    mean, log_sd = (best := _fit(task, _starts(task)))[1:3]
    rng = np.random.default_rng(seed)
    fits = [(drawn, _fit(drawn, [best])) for drawn in (_drawn(task, rng) for _ in range(RESAMPLES))]
    others = rng.gamma(np.array([_number(*each) for each in fits]) + 1)  # of a Poisson mean, flat prior
    others = np.minimum(others * np.exp(SYSTEMATIC * rng.standard_normal(RESAMPLES)), len(unknown))
    numbers = (found + others) / (1 - prior.missed)
    absent = 0.0 if expected is None else _absent(float(np.median(numbers)), expected, len(unknown))
    ends = numbers if expected is None else _in_others(numbers, expected, prior.log_density_error, rng)
    curve = (1 - absent) * np.mean([_posterior(*each) for each in fits], axis=0)
    particles = replace(
        prior, mean=float(mean), sd=float(np.exp(log_sd)), mean_error=ACROSS, log_sd_error=LOG_SD_ACROSS
    )
    probable = float(np.interp(unknown, task.at, curve, left=0.0).sum())
    return Calibration(task.at, curve, _count(numbers, ends, absent, found + probable), absent, particles)


@dataclass(frozen=True, eq=False)
class _Task:
    """Binned scores, and the priors of the mixture's parameters."""

    at: Bins
    counts: Bins
    low: float
    background: Background
    prior: ParticleScores
    lookalikes: float | None
    """Their number; None: `LOOKALIKES` for each particle."""
    shift: float = 0.0
    log_stretch: float = 0.0
    given: float | None = None

    @property
    def peaks(self) -> float:
        """How many are fitted."""
        return float(self.counts.sum())


def _background(
    decoys: DecoyScores, scores: Float64[np.ndarray, " unknown"], prior: ParticleScores, ratio: float, voxels: float
) -> Background | None:
    """Join decoys and rejected picks in proportion; in a tiny volume, its own low scores stand in for decoys."""
    if len(decoys) < FEWEST:
        decoys, ratio = scores[scores < prior.mean - 2 * prior.sd], 1.0
    if len(decoys) < FEWEST:
        return None
    rejected = len(prior.rejected) * voxels / prior.voxels
    return Background(decoys, prior.rejected, rejected / (rejected + len(decoys) * ratio))


def _task(
    scores: Float64[np.ndarray, " unknown"], background: Background, prior: ParticleScores, expected: float | None
) -> _Task:
    low = background.median
    edges = np.linspace(low, max(float(scores.max()), prior.mean + 4 * prior.sd, low + prior.sd) + 1e-6, BINS + 1)
    counts = np.histogram(scores, edges)[0].astype(np.float64)
    mean = LOOKALIKES * np.sqrt(2 / np.pi)
    return _Task(
        (edges[1:] + edges[:-1]) / 2, counts, low, background, prior, None if expected is None else mean * expected
    )  # fmt: skip


def _drawn(task: _Task, rng: np.random.Generator) -> _Task:
    """Draw peaks, decoy peaks, the centres of the priors, and the look-alikes anew."""
    prior, background = task.prior, task.background.resampled(rng)
    shift, half_normal = rng.standard_normal(), abs(rng.standard_normal()) * np.sqrt(np.pi / 2)
    return replace(
        task,
        counts=rng.poisson(task.counts).astype(np.float64),
        background=background,
        prior=replace(
            prior,
            mean=prior.mean + prior.mean_error * rng.standard_normal(),
            sd=prior.sd * float(np.exp(prior.log_sd_error * rng.standard_normal())),
        ),
        shift=shift * background.sd * (SHIFT_UP if shift > 0 else SHIFT_DOWN),
        log_stretch=LOG_STRETCH * rng.standard_normal(),
        lookalikes=None if task.lookalikes is None else task.lookalikes * half_normal,
    )


def _starts(task: _Task) -> list[Parameters]:
    usual = np.array([task.prior.mean, np.log(task.prior.sd), 0.0, 0.0])
    return [np.array([logit(share), *usual]) for share in (0.03, 0.2, 0.5)]


def _fit(task: _Task, starts: Sequence[Parameters]) -> Parameters:
    """Maximise the posterior over (logit of the particles' share, mean, log sd, shift, log stretch)."""
    prior = task.prior
    spread = [0.1, prior.mean_error, prior.log_sd_error, SHIFT_DOWN * task.background.sd, LOG_STRETCH]
    options = {"gtol": 0.02 * np.sqrt(task.peaks + 1), "hess_inv0": np.diag(np.square(spread)) / 10}
    found = [
        minimize(_cost, start, args=(task,), jac=True, method="BFGS", options=options)  # type: ignore[call-overload]
        for start in starts
    ]
    best: Parameters = min(found, key=lambda each: float(each.fun)).x
    best[0] = np.clip(best[0], -15, 15)
    return best


def _cost(parameters: Parameters, task: _Task) -> tuple[float, Parameters]:
    """Negative log posterior and its gradient."""
    _, mean, log_sd, shift, _ = parameters
    sd, prior, background = float(np.exp(log_sd)), task.prior, task.background
    parts, weights, weights_by, (particle_by, alike_by, rest_by) = _parts(task, parameters)
    total = np.logaddexp.reduce(parts)
    peaks = task.counts * np.exp(parts - total)  # of each part, by bin
    by_sd = peaks[0] @ particle_by[1] + peaks[1] @ (WIDER * alike_by[1] - LOWER * alike_by[0])
    gradient = -np.array([
        float((peaks.sum(axis=1) / weights) @ weights_by),
        float(peaks[0] @ particle_by[0] + peaks[1] @ alike_by[0]),
        float(by_sd) * sd,
        float(peaks[2] @ rest_by[0]),
        float(peaks[2] @ rest_by[1]),
    ])  # fmt: skip
    width = background.sd * (SHIFT_UP if shift > task.shift else SHIFT_DOWN)
    errors = np.array([prior.mean_error, prior.log_sd_error, width, LOG_STRETCH])
    middle = np.array([prior.mean, np.log(prior.sd), task.shift, task.log_stretch])
    away = (parameters[1:] - middle) / errors
    gradient[1:] += away / errors
    cost = float((away**2).sum() / 2 - task.counts @ total - np.log(weights[0]) / 2)  # Jeffreys' prior of the share
    gradient[0] -= weights_by[0] / weights[0] / 2
    if mean < task.low:  # Particles score no lower than the middle of the decoy.
        below = (mean - task.low) / (BELOW * background.sd)
        cost, gradient[1] = cost + below**2 / 2, gradient[1] + below / (BELOW * background.sd)
    if task.given is not None:
        off = float(np.log(weights[0] * task.peaks / task.given)) / LOG_GIVEN
        cost, gradient[0] = cost + off**2 / 2, gradient[0] + off / LOG_GIVEN * weights_by[0] / weights[0]
    return cost, gradient


def _parts(
    task: _Task, parameters: Parameters
) -> tuple[Float64[np.ndarray, "3 bins"], Weights, Weights, list[tuple[Bins, Bins]]]:
    """Log densities of particles, look-alikes and background, weighted; the weights; and the derivatives of both."""
    share, mean, log_sd, shift, log_stretch = parameters
    sd = float(np.exp(log_sd))
    particle, particle_by = _normal(task.at, mean, sd, task.low)
    alike, alike_by = _normal(task.at, mean - LOWER * sd, WIDER * sd, task.low)
    rest, rest_by = _moved(task, shift, log_stretch)
    weights, weights_by = _weights(task, share)
    parts = np.stack([particle, alike, rest]) + np.log(weights)[:, None]
    return parts, weights, weights_by, [particle_by, alike_by, rest_by]


def _weights(task: _Task, share: float) -> tuple[Weights, Weights]:
    """Shares of particles, look-alikes and background, and their derivatives by the logit."""
    at = float(expit(share))
    if task.lookalikes is None:
        each = LOOKALIKES * np.sqrt(2 / np.pi)
        scale, fixed = np.array([1.0, each, 0.0]) / (1 + each), np.zeros(3)
    else:
        alike = float(np.clip(task.lookalikes / max(task.peaks, 1.0), 1e-9, 0.5))
        scale, fixed = np.array([1 - alike, 0.0, 0.0]), np.array([0.0, alike, 0.0])
    weights, by = fixed + at * scale, scale * at * (1 - at)
    weights[2], by[2] = 1 - weights[:2].sum(), -by[:2].sum()
    return np.maximum(weights, 1e-12), by


def _normal(at: Bins, mean: float, sd: float, low: float) -> tuple[Bins, tuple[Bins, Bins]]:
    """Log density of a normal distribution above `low`, and its derivatives by mean and standard deviation."""
    away, edge = (at - mean) / sd, (mean - low) / sd
    inside = float(log_ndtr(edge))
    ratio = float(np.exp(-(edge**2) / 2 - inside)) / np.sqrt(2 * np.pi)
    log = -(away**2) / 2 - np.log(sd * np.sqrt(2 * np.pi)) - inside
    return log, ((away - ratio) / sd, (away**2 - 1 + ratio * edge) / sd)


def _moved(task: _Task, shift: float, log_stretch: float) -> tuple[Bins, tuple[Bins, Bins]]:
    """Log density of the background above the cut-off, and its derivatives by shift and log stretch."""
    background = task.background
    at = background.moved(task.at, shift, log_stretch)
    edge = background.moved(np.array([task.low]), shift, log_stretch)
    above, shrink = background.share_above(float(edge[0])), float(np.exp(-log_stretch))
    log = background.log_density(at) - log_stretch - np.log(above)
    slope, hazard = background.slope(at), float(np.exp(background.log_density(edge)[0])) / above
    return log, (
        -slope * shrink - hazard * shrink,
        -slope * (at - background.median) - 1 - hazard * (float(edge[0]) - background.median),
    )


def _number(task: _Task, parameters: Parameters) -> float:
    """Particles with a peak: those above the cut-off, and those that their distribution has below it."""
    share, mean, log_sd, *_ = parameters
    return float(_weights(task, share)[0][0] * task.peaks / np.exp(log_ndtr((mean - task.low) / np.exp(log_sd))))


def _posterior(task: _Task, parameters: Parameters) -> Bins:
    """Probability of being a particle in each bin, made monotone by isotonic regression."""
    parts, *_ = _parts(task, parameters)
    total = np.logaddexp.reduce(parts)
    return np.asarray(isotonic_regression(np.exp(parts[0] - total), weights=np.exp(total) + 1e-9).x)


def _absent(number: float, expected: float, peaks: int) -> float:
    """Posterior probability that all of a number of particle-like peaks are look-alikes, or strays of the background.

    Beforehand as likely as not. If there are no particles, the number has a half-normal distribution; if there are, its
    logarithm is uniform between 1 and three times the number that the training tomograms lead to expect.
    """
    sd = LOOKALIKES * expected + STRAYS * peaks
    none = np.sqrt(2 / np.pi) / sd * np.exp(-((number / sd) ** 2) / 2)
    some = 1 / (number + 1) / np.log(1 + 3 * expected)
    return float(none / (none + some))


def _in_others(numbers: Numbers, expected: float, log_density_error: float, rng: np.random.Generator) -> Numbers:
    """Spread numbers of particles by what is wrong in other tomograms than those trained on.

    An error of the count in the training tomograms recurs in others, in proportion: the same network and the same prior
    brought it about. What sets tomograms apart adds `UNLIKE`.
    """
    each = np.repeat(numbers, DRAWS)
    again, apart = rng.standard_normal((2, len(each)))
    apart *= UNLIKE * np.sqrt(each * np.maximum(each, expected))
    return np.asarray(np.maximum(each * np.exp(log_density_error * again) + apart, 0.0))


def _count(numbers: Numbers, ends: Numbers, absent: float, probable: float) -> Count:
    """Median of the bootstrapped numbers, and the interval's ends.

    Median and lower end are 0 if it is likely, or not unlikely, that there are none.
    The number is no less than the sum of the peaks' probabilities, which leaves out those without a peak.
    """
    low, high = np.quantile(ends, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    estimate = 0.0 if absent > 0.5 else max(float(np.median(numbers)), probable)
    return Count(estimate, 0.0 if absent > (1 - LEVEL) / 2 else min(float(low), estimate), max(float(high), estimate))


def _too_few(prior: ParticleScores, found: float, others: float) -> Calibration:
    """With too few peaks to fit, a peak that scores as particles do is as likely one as not."""
    curve = np.array([0.0, 0.5])
    scores = np.array([prior.mean - 2 * prior.sd, prior.mean])
    absent = 0.0 if found or prior.density is None else 0.5
    return Calibration(scores, curve, Count(found + others / 2, found, found + others), absent, prior)
