"""Calibration of a tomogram's peak scores: probability of each peak, number of particles, probability of absence.

The scores are fitted with a mixture of particles, look-alikes and background (`tomopicker.picking.mixture`). The
probability of a peak is ω·N / f, made monotone. Intervals and probabilities come from a bootstrap over peaks, decoy
peaks, the centres of the priors and the number of look-alikes.

The prior of the number of look-alikes is proportional to the number of particles expected at the density of the
training tomograms. If this prior explains all particle-like peaks, the tomogram holds no particles, or too few to
distinguish; `Calibration.absent` is the probability of this case.

Networks used with one offset for all tomograms, as in the paper, need no fit: see `probabilities`.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.special import expit, ndtri

from tomopicker.picking.background import Background, DecoyScores
from tomopicker.picking.mixture import Bins, fit, mixture_problem, particles_with_peak, posterior, resampled
from tomopicker.pu.particle_scores import LOG_SD_BETWEEN, MEAN_SD_BETWEEN, ParticleScores
from tomopicker.types import Scores

MIN_PEAKS = 20
"""Minimum number of peaks, and of decoy peaks, for fitting a mixture."""
LOOK_ALIKE_SD = 0.075
"""Standard deviation of the half-normal prior of look-alikes beyond those in the mixture, per expected particle."""
OUTLIER_FRACTION = 0.002
"""Fraction of peaks that may score like particles because the background's tail is uncertain."""
SYSTEMATIC_ERROR = 0.1
"""Relative error of a count due to the form of the mixture, regardless of the number of peaks."""
TRANSFER_ERROR = 0.1
"""Error of a count in tomograms not trained on, relative to the geometric mean of the count and the count expected at
the training tomograms' density: where particles are sparse, background and look-alikes matter more."""
ERROR_DRAWS = 25
"""Number of errors drawn for each bootstrap resample."""
INTERVAL_LEVEL = 0.9
"""Coverage probability of a count's interval."""
MAX_COUNT_RATIO = 2.0
"""Maximum ratio between a count and one given by the user for the two to be consistent."""
RESAMPLES = 40
MIN_PROBABILITY = 0.01
"""Minimum probability of a candidate."""

Numbers = Float64[np.ndarray, " _"]


@dataclass(frozen=True)
class Count:
    """A number of particles with its 90% interval.

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
        """Standard deviation of the logarithm of the number, from the width of the interval."""
        return float(np.log(max(self.high, 1.0) / max(self.low, 1.0)) / (2 * ndtri((1 + INTERVAL_LEVEL) / 2)))

    @classmethod
    def total(cls, counts: Iterable["Count"]) -> "Count":
        """Sum counts; interval ends are summed too, since errors of the same network are correlated."""
        listed = [astuple(count) for count in counts]
        return cls(*(sum(ends) for ends in zip(*listed, strict=True)))

    def at_least(self, number: float) -> "Count":
        """Raise the number and both interval ends to a known lower bound."""
        return Count(*(max(value, float(number)) for value in astuple(self)))

    def without(self, lost: float, certain: float) -> "Count":
        """Subtract particles of another kind, but keep those that are certain."""
        return Count(*(max(value - lost, min(certain, value)) for value in astuple(self)))

    def is_inconsistent(self, given_count: float) -> bool:
        """True if a count given by the user lies outside the interval and differs by more than a factor of two."""
        within = self.low <= given_count <= self.high
        return not within and not self.estimate / MAX_COUNT_RATIO <= given_count <= self.estimate * MAX_COUNT_RATIO


@dataclass(frozen=True, eq=False)
class Calibration:
    """Probabilities of a tomogram's peaks and its number of particles, estimated from the scores.

    Parameters
    ----------
    scores, probabilities : array, shape (bins,)
        Non-decreasing curve of the probability that a peak with this score is a particle; 0 below the first score.
    count : Count
        Number of particles in the tomogram, including clicked ones.
    absent : float
        Probability that the tomogram holds no particle.
    particles : ParticleScores
        Distribution of the particles' scores in this tomogram.
    """

    scores: Bins
    probabilities: Bins
    count: Count
    absent: float
    particles: ParticleScores

    def probability(self, scores: Float[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Return the probability that peaks with these scores are particles."""
        return np.asarray(np.interp(scores, self.scores, self.probabilities, left=0.0))


def calibrate(
    peak_scores: Scores,
    decoy_scores: DecoyScores,
    prior: ParticleScores,
    *,
    voxels: float,
    decoy_voxels: float,
    clicked: Bool[np.ndarray, " n"] | None = None,
    given_count: float | None = None,
    seed: int = 0,
) -> Calibration:
    """Calibrate the scores of one tomogram's peaks.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Logits of all peaks of the tomogram.
    decoy_scores : array, shape (decoys,)
        Logits of all peaks of its decoy.
    prior : ParticleScores
        Expected distribution of particle scores. A prior with a density is for tomograms not trained on; without one,
        the tomogram was trained on, and its look-alikes are a fraction of its own particles.
    voxels, decoy_voxels : float
        Number of working voxels searched for peaks, in the tomogram and in its decoy.
    clicked : array, shape (n,), optional
        Peaks known to be particles: counted, but left out of the mixture.
    given_count : float, optional
        Number of particles given by the user.
    seed : int
        Seed of the bootstrap.
    """
    known = np.zeros(len(peak_scores), dtype=bool) if clicked is None else clicked
    found = float(known.sum())
    unknown = np.asarray(peak_scores, dtype=np.float64)[~known]
    background = _background(np.asarray(decoy_scores, dtype=np.float64), unknown, prior, voxels / decoy_voxels, voxels)
    if background is None or len(unknown) < MIN_PEAKS:
        return _too_few(prior, found, float(len(unknown)))
    expected = None if prior.density is None else prior.density * voxels
    problem = mixture_problem(unknown, background, prior, None if expected is None else expected * (1 - prior.missed))
    if given_count is not None:
        problem = replace(problem, given_count=max(given_count * (1 - prior.missed) - found, 0.5))
    best = fit(problem)
    rng = np.random.default_rng(seed)
    fits = [(drawn, fit(drawn, [best])) for drawn in (resampled(problem, rng) for _ in range(RESAMPLES))]
    others = rng.gamma(np.array([particles_with_peak(*each) for each in fits]) + 1)  # of a Poisson mean, flat prior
    others = np.minimum(others * np.exp(SYSTEMATIC_ERROR * rng.standard_normal(RESAMPLES)), len(unknown))
    numbers = (found + others) / (1 - prior.missed)
    absent = 0.0 if expected is None else _absent(float(np.median(numbers)), expected, len(unknown))
    ends = numbers if expected is None else _transferred(numbers, expected, prior.log_density_error, rng)
    curve = (1 - absent) * np.mean([posterior(*each) for each in fits], axis=0)
    mean, log_sd = best[1:3]
    particles = replace(
        prior, mean=float(mean), sd=float(np.exp(log_sd)), mean_error=MEAN_SD_BETWEEN, log_sd_error=LOG_SD_BETWEEN
    )
    probable = float(np.interp(unknown, problem.at, curve, left=0.0).sum())
    return Calibration(problem.at, curve, _count(numbers, ends, absent, found + probable), absent, particles)


def _background(
    decoys: DecoyScores, scores: Float64[np.ndarray, " unknown"], prior: ParticleScores, ratio: float, voxels: float
) -> Background | None:
    """Combine decoys and negatives in proportion; in a tiny volume, low scores replace missing decoys."""
    if len(decoys) < MIN_PEAKS:
        decoys, ratio = scores[scores < prior.mean - 2 * prior.sd], 1.0
    if len(decoys) < MIN_PEAKS:
        return None
    rejected = len(prior.rejected) * voxels / prior.voxels
    return Background(decoys, prior.rejected, rejected / (rejected + len(decoys) * ratio))


def _absent(number: float, expected: float, peaks: int) -> float:
    """Return the posterior probability that all particle-like peaks are look-alikes or outliers of the background.

    The prior probability is 1/2. Without particles, the number n of such peaks has a half-normal distribution; with
    particles, log(1 + n) is uniform for n from 0 to three times the number expected from the training tomograms.
    """
    sd = LOOK_ALIKE_SD * expected + OUTLIER_FRACTION * peaks
    none = np.sqrt(2 / np.pi) / sd * np.exp(-((number / sd) ** 2) / 2)
    some = 1 / (number + 1) / np.log(1 + 3 * expected)
    return float(none / (none + some))


def _transferred(numbers: Numbers, expected: float, log_density_error: float, rng: np.random.Generator) -> Numbers:
    """Add the errors that arise in tomograms not trained on to bootstrapped numbers of particles.

    The error of the count in the training tomograms carries over in proportion, since network and prior are the same.
    Differences between tomograms add `TRANSFER_ERROR`.
    """
    each = np.repeat(numbers, ERROR_DRAWS)
    again, apart = rng.standard_normal((2, len(each)))
    apart *= TRANSFER_ERROR * np.sqrt(each * np.maximum(each, expected))
    return np.asarray(np.maximum(each * np.exp(log_density_error * again) + apart, 0.0))


def _count(numbers: Numbers, ends: Numbers, absent: float, probable: float) -> Count:
    """Return the median and the interval of the bootstrapped numbers.

    Median and lower end are 0 if absence of particles is likely, or cannot be excluded. The number is at least the sum
    of the peaks' probabilities, which does not include particles without a peak.
    """
    low, high = np.quantile(ends, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2])
    estimate = 0.0 if absent > 0.5 else max(float(np.median(numbers)), probable)
    return Count(
        estimate, 0.0 if absent > (1 - INTERVAL_LEVEL) / 2 else min(float(low), estimate), max(float(high), estimate)
    )


def _too_few(prior: ParticleScores, found: float, others: float) -> Calibration:
    """Calibrate too few peaks without a fit: a peak that scores like particles has a probability of one half."""
    curve = np.array([0.0, 0.5])
    scores = np.array([prior.mean - 2 * prior.sd, prior.mean])
    absent = 0.0 if found or prior.density is None else 0.5
    return Calibration(scores, curve, Count(found + others / 2, found, found + others), absent, prior)


def probabilities(scores: Scores, offset: float) -> Scores:
    """Convert logits to probabilities: 1 / (1 + exp(-(score + offset)))."""
    probability: Scores = expit(np.asarray(scores, dtype=np.float64) + offset)
    return probability


def offset_for_count(peak_scores: Scores, count: float) -> float:
    """Return the offset for which the probabilities of peaks sum to a count.

    A network trained on few clicks is overconfident, to a degree that varies between trainings. The sum of the
    probabilities is the expected number of particles; matching it to the count calibrates them.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Logits of all candidate peaks in the training tomograms. Peaks below `MIN_PROBABILITY` are ignored.
    count : float
        Number of particles in the training tomograms.
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
