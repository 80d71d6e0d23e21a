"""Calibration of the scores of a tomogram's peaks: the probability of each, the number of particles, and absence.

Scores are fitted with a mixture of particles, look-alikes and background (`tomopicker.picking.mixture`). The
probability of a peak is π·N / f, made monotone. Interval and probabilities are those of a bootstrap, which draws peaks,
decoy peaks, the centres of the priors and the look-alikes anew.

The number of look-alikes has a prior in proportion to the particles that a tomogram would hold at the density of the
training tomograms. A tomogram with no more particles than this prior explains holds none, or too few to be
distinguished; `Calibration.absent` is the probability of that.

A network that is used with one offset for all tomograms, as the paper's is, has probabilities without a fit:
`probabilities`.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.special import expit, ndtri

from tomopicker.picking.background import Background, DecoyScores
from tomopicker.picking.mixture import Bins, fit, mixture_problem, particles_with_peak, posterior, resampled
from tomopicker.pu.particle_scores import ACROSS, LOG_SD_ACROSS, ParticleScores
from tomopicker.types import Scores

MIN_PEAKS = 20
"""Peaks, and decoy peaks, that a mixture can be fitted to."""
RESIDUAL = 0.075
"""Standard deviation of the half-normal prior of look-alikes beyond those that the mixture allows for, over expected
particles."""
STRAYS = 0.002
"""Fraction of a tomogram's peaks that may score as particles because the background's tail is not known better."""
SYSTEMATIC = 0.1
"""Relative error of a count that the mixture's form brings, however many the peaks."""
TRANSFER = 0.1
"""Error of a count in other tomograms than those trained on, over the geometric mean of the count and of what the
training tomograms' density leads to expect: where particles are sparser, background and look-alikes matter more."""
DRAWS = 25
"""Errors drawn for each resample of the bootstrap."""
LEVEL = 0.9
"""Probability of the interval of a count."""
FACTOR = 2.0
"""A count that is off by less is consistent with a stated one."""
RESAMPLES = 40
MIN_PROBABILITY = 0.01
"""Candidates less probable than this are not listed."""

Numbers = Float64[np.ndarray, " _"]


@dataclass(frozen=True)
class Count:
    """A number of particles and the interval that holds it with a probability of 90%.

    Parameters
    ----------
    estimate, low, high : float
        low ≤ estimate ≤ high.
    """

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.0f} particles (90% interval {self.low:.0f} to {self.high:.0f})"

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

    def is_inconsistent(self, stated: float) -> bool:
        """Whether a stated count is outside the interval and off by more than a factor of two."""
        within = self.low <= stated <= self.high
        return not within and not self.estimate / FACTOR <= stated <= self.estimate * FACTOR


@dataclass(frozen=True, eq=False)
class Calibration:
    """Probabilities and the number of particles of a tomogram, from its scores.

    Parameters
    ----------
    scores, probabilities : array, shape (bins,)
        A non-decreasing curve: the probability that a peak of a score is a particle; 0 below the first score.
    count : Count
        Particles in the tomogram, the clicked included.
    absent : float
        Probability that it holds no particle.
    particles : ParticleScores
        Distribution of its particles' scores: the prior for other tomograms.
    """

    scores: Bins
    probabilities: Bins
    count: Count
    absent: float
    particles: ParticleScores

    def probability(self, scores: Float[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Return the probability of being a particle, for scores of any shape."""
        return np.asarray(np.interp(scores, self.scores, self.probabilities, left=0.0))


def calibrate(
    peak_scores: Scores,
    decoy_scores: DecoyScores,
    prior: ParticleScores,
    *,
    voxels: float,
    decoy_voxels: float,
    clicked: Bool[np.ndarray, " n"] | None = None,
    stated: float | None = None,
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
        Expected distribution of particles' scores. With a density, this is another tomogram than those trained on;
        without, it is one of them, and its look-alikes are a fraction of its own particles.
    voxels, decoy_voxels : float
        Working voxels that were searched for peaks, in the tomogram and in its decoy.
    clicked : array, shape (n,), optional
        Peaks that are known to be particles: they are counted, and left out of the mixture.
    stated : float, optional
        Number of particles in it, by the user.
    seed : int
        Of the bootstrap.
    """
    known = np.zeros(len(peak_scores), dtype=bool) if clicked is None else clicked
    found = float(known.sum())
    unknown = np.asarray(peak_scores, dtype=np.float64)[~known]
    background = _background(np.asarray(decoy_scores, dtype=np.float64), unknown, prior, voxels / decoy_voxels, voxels)
    if background is None or len(unknown) < MIN_PEAKS:
        return _too_few(prior, found, float(len(unknown)))
    expected = None if prior.density is None else prior.density * voxels
    problem = mixture_problem(unknown, background, prior, None if expected is None else expected * (1 - prior.missed))
    if stated is not None:
        problem = replace(problem, stated=max(stated * (1 - prior.missed) - found, 0.5))
    best = fit(problem)
    rng = np.random.default_rng(seed)
    fits = [(drawn, fit(drawn, [best])) for drawn in (resampled(problem, rng) for _ in range(RESAMPLES))]
    others = rng.gamma(np.array([particles_with_peak(*each) for each in fits]) + 1)  # of a Poisson mean, flat prior
    others = np.minimum(others * np.exp(SYSTEMATIC * rng.standard_normal(RESAMPLES)), len(unknown))
    numbers = (found + others) / (1 - prior.missed)
    absent = 0.0 if expected is None else _absent(float(np.median(numbers)), expected, len(unknown))
    ends = numbers if expected is None else _transferred(numbers, expected, prior.log_density_error, rng)
    curve = (1 - absent) * np.mean([posterior(*each) for each in fits], axis=0)
    mean, log_sd = best[1:3]
    particles = replace(
        prior, mean=float(mean), sd=float(np.exp(log_sd)), mean_error=ACROSS, log_sd_error=LOG_SD_ACROSS
    )
    probable = float(np.interp(unknown, problem.at, curve, left=0.0).sum())
    return Calibration(problem.at, curve, _count(numbers, ends, absent, found + probable), absent, particles)


def _background(
    decoys: DecoyScores, scores: Float64[np.ndarray, " unknown"], prior: ParticleScores, ratio: float, voxels: float
) -> Background | None:
    """Join decoys and negatives in proportion; in a tiny volume, its own low scores stand in for decoys."""
    if len(decoys) < MIN_PEAKS:
        decoys, ratio = scores[scores < prior.mean - 2 * prior.sd], 1.0
    if len(decoys) < MIN_PEAKS:
        return None
    rejected = len(prior.rejected) * voxels / prior.voxels
    return Background(decoys, prior.rejected, rejected / (rejected + len(decoys) * ratio))


def _absent(number: float, expected: float, peaks: int) -> float:
    """Posterior probability that all of a number of particle-like peaks are look-alikes, or strays of the background.

    Beforehand as likely as not. If there are no particles, the number has a half-normal distribution; if there are, its
    logarithm is uniform between 1 and three times the number that the training tomograms lead to expect.
    """
    sd = RESIDUAL * expected + STRAYS * peaks
    none = np.sqrt(2 / np.pi) / sd * np.exp(-((number / sd) ** 2) / 2)
    some = 1 / (number + 1) / np.log(1 + 3 * expected)
    return float(none / (none + some))


def _transferred(numbers: Numbers, expected: float, log_density_error: float, rng: np.random.Generator) -> Numbers:
    """Spread numbers of particles by the errors in other tomograms than those trained on.

    An error of the count in the training tomograms recurs in others, in proportion: the same network and the same prior
    cause it. Differences between tomograms add `TRANSFER`.
    """
    each = np.repeat(numbers, DRAWS)
    again, apart = rng.standard_normal((2, len(each)))
    apart *= TRANSFER * np.sqrt(each * np.maximum(each, expected))
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
    """Without a fit, for too few peaks: a peak that scores as particles do is one with a probability of one half."""
    curve = np.array([0.0, 0.5])
    scores = np.array([prior.mean - 2 * prior.sd, prior.mean])
    absent = 0.0 if found or prior.density is None else 0.5
    return Calibration(scores, curve, Count(found + others / 2, found, found + others), absent, prior)


def probabilities(scores: Scores, offset: float) -> Scores:
    """Turn logits into the probabilities that they are particles: 1 / (1 + exp(-(score + offset)))."""
    probability: Scores = expit(np.asarray(scores, dtype=np.float64) + offset)
    return probability


def offset_for_count(peak_scores: Scores, count: float) -> float:
    """Return the offset with which the probabilities of peaks sum to a count.

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
