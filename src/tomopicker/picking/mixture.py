"""Each tomogram's own probabilities: its peaks' scores as a mixture of particles and of everything else.

Particles score alike in tomograms that are normalised alike, near a normal distribution whose place the clicks tell;
the rest of the peaks make a broad hill that ends below them. Where one hill ends and the other begins differs from
tomogram to tomogram, and each shows it by itself: the mixture is fitted to it, and gives each peak the probability of
being a particle, and the tomogram its number of particles. A network that barely tells particles from noise shows one
hill only; then noise without particles tells which part of it is noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import lgamma

import numpy as np
from jaxtyping import Float, Float64
from scipy.optimize import minimize
from scipy.special import expit, gammaincc, log_ndtr, logit

from tomopicker.picking.count import Count
from tomopicker.pu.noise import Noise
from tomopicker.pu.positives import Positives
from tomopicker.types import Scores

SHAPE = 3.0
"""Of the other peaks' distribution, exp(-|x|³): its tail ends sooner than a normal one's, as measured."""
SD_OF_REST = 0.611
"""Standard deviation of that distribution, √(Γ(1)/Γ(1/3)), over its scale."""
WINDOW_SD = 6.0
"""Peaks lower than so many deviations below particles say nothing about where the two part."""
USUAL_SD, USUAL_WEIGHT = 1.5, 5.0
"""The deviation of particles' scores, and how many clicks outweigh this knowledge."""
WIDER = 1.3
"""Particles of other tomograms spread so much wider than those of the training tomogram, as measured."""
RELATIVE_SD = 0.17
"""Deviation of particles' scores over their mean, as measured: networks trained for longer give larger logits."""
TEMPER = 1.5
"""Networks that learned from few clicks are too sure of themselves: log odds in favour are so many times too high."""
LOOKALIKES = 0.1
"""Over the number of clicks: the share of something else among what scores like the best particles, as measured."""
OVERFIT = 8.0
"""Clicks that were trained on score higher than other particles: by this over their number, in logits, as measured."""
REST_LOG_SD, REST_FREEDOM = float(np.log(4.0)), 0.8
FEWEST = 20
"""Peaks that a mixture can be fitted to."""
FEWEST_OTHERS, CLEARLY_SD = 5, 3.0
"""Peaks that lie clearly below particles, by so many deviations, and are needed to tell where the rest is."""
PROFILE = 1.35
"""Half of the 90 % quantile of χ² with one degree of freedom: how far the log-likelihood may fall in an interval."""
SYSTEMATIC = 0.1
"""Relative error of the count that the mixture's form brings, whatever the number of peaks."""

NOISE_LOG_SD = 0.05
"""Relative error of how much noise a tomogram holds, taken from another and from the specimen's size."""
BELIEVED = 0.25
"""Share of the particles found that noise would give as well, above which a network does not tell the two apart."""

Parameters = Float64[np.ndarray, " parameters"]


def lowest(positives: Positives) -> float:
    """Give the least score that takes part in a fit."""
    return positives.mean - WINDOW_SD * positives.sd


@dataclass(frozen=True)
class Freedom:
    """How far particles may score from where they are expected, one standard deviation.

    Parameters
    ----------
    mean : float
        Of their mean, in logits.
    log_sd : float
        Of the logarithm of their deviation.
    """

    mean: float
    log_sd: float


ACROSS_TOMOGRAMS = Freedom(1.0, 0.25)
"""From the training tomogram to another."""


def across_clicks(clicks: int) -> Freedom:
    """From clicks that were trained on to the other particles of the same tomogram."""
    few = 1 / max(1, clicks)
    return Freedom(0.4 + 6 * few, 0.1 + few)


def elsewhere(fitted: Sequence[Positives], clicks: int) -> Positives:
    """Say where particles of other tomograms are expected to score, from the fits of the training tomograms.

    Parameters
    ----------
    fitted : sequence of Positives
        One a training tomogram.
    clicks : int
        In all of them.

    Notes
    -----
    The deviation is the geometric mean of what the training tomograms show, where some particles were learnt by heart
    and others were called background, and of what is usual for scores as high as these.
    """
    mean = float(np.mean([each.mean for each in fitted]))
    shown = WIDER * float(np.mean([each.sd for each in fitted]))
    usual = max(RELATIVE_SD * mean, USUAL_SD / 2)
    return Positives(mean, float(np.sqrt(shown * usual)), 1 - LOOKALIKES / max(1, clicks))


@dataclass(frozen=True)
class NoiseIn:
    """The noise of one tomogram.

    Parameters
    ----------
    noise : Noise
        Of the training tomograms.
    voxels : float
        Working voxels of this tomogram that are searched for peaks.
    """

    noise: Noise
    voxels: float

    def present(self, scores: Scores) -> float:
        """Give how much of the noise is there: peaks with the scores of its middle half, over those it predicts."""
        if not len(self.noise.scores):
            return 0.0
        low, high = np.percentile(self.noise.scores, [25, 75])
        predicted = self.noise.above(low, self.voxels) - self.noise.above(high, self.voxels)
        return min(1.0, float(((scores > low) & (scores <= high)).sum()) / predicted) if predicted else 0.0


@dataclass(frozen=True)
class Mixture:
    """A tomogram's peaks: a share of particles among others.

    Parameters
    ----------
    share : float
        Of particles among the peaks above `low`.
    particles : Positives
        Where this tomogram's particles score.
    rest_mean, rest_scale : float
        Of the other peaks' distribution.
    low : float
        Score above which both are fitted; below, nothing is a particle.
    noise : Noise, optional
        A part of the others that is known.
    noise_share : float
        Of the others.
    """

    share: float
    particles: Positives
    rest_mean: float
    rest_scale: float
    low: float
    noise: Noise | None = None
    noise_share: float = 0.0

    def log_densities(self, scores: Scores) -> tuple[Scores, Scores]:
        """Give the logarithms of the particles' part of the density above `low`, and of the rest's."""
        return self._joined(scores, None if self.noise is None else self.noise.log_density(scores, self.low))

    def _joined(self, scores: Scores, noise: Scores | None) -> tuple[Scores, Scores]:
        """Do so, given the logarithm of the noise's density there."""
        others = _log_rest(scores, self.rest_mean, self.rest_scale, self.low)
        if noise is not None:
            others = np.logaddexp(np.log(self.noise_share) + noise, np.log1p(-self.noise_share) + others)
        return np.log(self.share) + _log_particle(scores, self.particles, self.low), np.log1p(-self.share) + others

    def probability(self, scores: Float[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Give the probability of being a particle, for scores of any shape; it never falls with the score."""
        grid = np.linspace(self.low, self.particles.mean + 8 * self.particles.sd, 2048)
        particle, rest = self.log_densities(grid)
        odds = particle - rest
        # A normal distribution soon ends above its mean, and a broad rest would win there again, where in truth nothing
        # but particles is: from one deviation below the mean on, the log odds rise no slower than there.
        bend = int(np.searchsorted(grid, self.particles.mean - self.particles.sd))
        if 0 < bend < len(grid):
            slope = max((odds[bend] - odds[bend - 1]) / (grid[1] - grid[0]), 0.0)
            odds[bend:] = np.maximum(odds[bend:], odds[bend] + slope * (grid[bend:] - grid[bend]))
        # And a narrow rest ends soon below its mean, where in truth nothing but the rest is: below the place where the
        # odds are least, they are as low as there.
        trough = int(np.argmin(odds[: bend + 1]))
        odds[:trough] = odds[trough]
        rising = np.maximum.accumulate(expit(odds))
        return np.asarray(np.interp(scores, grid, rising, left=0.0))


def sobered(probability: Float[np.ndarray, "..."], surest: float) -> Float64[np.ndarray, "..."]:
    """Correct the probabilities of a mixture for what it cannot know: the network's own errors.

    Odds in favour are taken to the power 1/`TEMPER`, and nothing is surer than `surest`. The order stays.

    Parameters
    ----------
    probability : array of any shape
    surest : float
        See `Positives`.
    """
    raw = np.asarray(probability, dtype=np.float64)
    with np.errstate(divide="ignore"):
        tempered = expit(logit(raw) / TEMPER)
    return np.asarray(surest * np.where(raw > 0.5, tempered, raw))


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


def fit_mixture(
    peak_scores: Scores,
    positives: Positives,
    count: float | None = None,
    freedom: Freedom = ACROSS_TOMOGRAMS,
    noise: NoiseIn | None = None,
) -> tuple[Mixture, Count]:
    """Fit the mixture to the peaks of a tomogram by maximum a posteriori.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Logits of all its peaks, or of the best of them.
    positives : Positives
        Where particles are expected to score.
    count : float, optional
        Particles there are, if they are known: the share is not fitted then.
    freedom : Freedom
        How far they may score from there.
    noise : NoiseIn, optional
        So much of the other peaks is known to be noise.

    Returns
    -------
    Mixture
    Count
        Number of particles, with an interval that holds it in nine cases of ten.
    """
    scores = np.asarray(peak_scores, dtype=np.float64)
    scores = scores[scores > lowest(positives)]
    few = len(scores) < FEWEST
    # Parted so well that hardly a peak is left between: the hill of the rest would be fitted to particles.
    alone = int((scores < positives.mean - CLEARLY_SD * positives.sd).sum()) < FEWEST_OTHERS
    if few or (alone and count is None and noise is None):
        mixture = Mixture(0.5, positives, lowest(positives), 3 * positives.sd, lowest(positives))
        number = float(mixture.probability(scores).sum())
        return mixture, Count(number, 0.0, float(len(scores))) if few else _widened(number, 1.0, 1.0)
    fixed = None if count is None else float(np.clip(count / len(scores), 1e-4, 0.999))
    task = _task(scores, positives, freedom, noise)
    best, parameters = _fit(task, fixed)
    mixture = _mixture(parameters, task)
    number = float(mixture.probability(scores).sum())
    if fixed is not None:
        return mixture, Count(number, number, number)
    low, high = (_profile(task, best, parameters, side) for side in (-1, 1))
    return mixture, _widened(number, low / mixture.share, high / mixture.share)


def tells_from_noise(
    scores: Sequence[Scores], fits: Sequence[tuple[Mixture, Count]], noises: Sequence[NoiseIn]
) -> bool:
    """Say whether a network tells particles from noise: whether mixtures find far fewer in noise than in tomograms.

    Noise with the spectrum of strong, sparse particles is stronger than what lies between them. So what is found in it
    counts as far as the tomogram has the peaks that its middle half predicts.

    Parameters
    ----------
    scores : sequence of arrays, shape (n,)
        Of the peaks of each training tomogram.
    fits : sequence of (Mixture, Count)
        Of the same, fitted without their noise.
    noises : sequence of NoiseIn
        One a tomogram.
    """
    found = sum(count.estimate for _, count in fits)
    claimed = sum(
        each.present(real) * float(mixture.probability(each.noise.scores).sum()) * each.voxels / each.noise.voxels
        for real, (mixture, _), each in zip(scores, fits, noises, strict=True)
    )
    return claimed <= BELIEVED * found


def _widened(number: float, low: float, high: float) -> Count:
    """Join the statistical interval, as ratios to the estimate, with the form's own error."""
    below, above = (np.hypot(np.log(ratio), 1.64 * SYSTEMATIC) for ratio in (low, high))
    return Count(number, float(number * np.exp(-below)), float(number * np.exp(above)))


@dataclass(frozen=True)
class _Task:
    """What is fitted: scores above the lowest, and what is known beforehand."""

    scores: Scores
    positives: Positives
    freedom: Freedom
    noise: Noise | None = None
    of_noise: float = 0.0
    """Peaks of noise to be expected."""
    noise_density: Scores | None = None
    """Its logarithm at the scores."""


def _task(scores: Scores, positives: Positives, freedom: Freedom, noise: NoiseIn | None) -> _Task:
    low = lowest(positives)
    expected = noise.noise.above(low, noise.voxels) if noise else 0.0
    if noise is None or expected < 1:
        return _Task(scores, positives, freedom)
    return _Task(scores, positives, freedom, noise.noise, expected, noise.noise.log_density(scores, low))


def _fit(task: _Task, share: float | None, start: Parameters | None = None) -> tuple[float, Parameters]:
    """Minimise the negative log posterior over (logit share, mean, log sd, rest's mean, rest's log scale).

    Where noise is known, its share of the others is fitted as well, as a logit, the last.
    """

    def cost(parameters: Parameters) -> float:
        free = parameters if share is None else np.array([logit(share), *parameters[1:]])
        return _cost(free, task)

    starts = [start] if start is not None else _starts(task)
    fits = [minimize(cost, each, method="L-BFGS-B", bounds=_bounds(task)) for each in starts]
    best = min(fits, key=lambda each: float(each.fun))
    found = best.x if share is None else np.array([logit(share), *best.x[1:]])
    return float(best.fun), found


def _starts(task: _Task) -> list[Parameters]:
    positives = task.positives
    usual = [positives.mean, np.log(positives.sd)]
    middles = [lowest(positives), lowest(positives) - 2 * positives.sd, float(np.median(task.scores))]
    starts = [np.array([logit(share), *usual, middle, REST_LOG_SD]) for share in (0.1, 0.3) for middle in middles]
    # Hills far apart: from elsewhere, all of it may end as one broad hill of particles.
    below = task.scores[task.scores < positives.mean - 2 * positives.sd]
    if len(below) > 1:
        share = np.clip(1 - len(below) / len(task.scores), 0.02, 0.98)
        starts.append(np.array([logit(share), *usual, below.mean(), np.log(below.std() / SD_OF_REST + 0.1)]))
    if task.noise is None:
        return starts
    most = logit(np.clip(task.of_noise / len(task.scores), 0.02, 0.98))
    # Noise leaves the rest little to explain: a few starts that differ in the rest are enough.
    return [np.array([logit(0.05), *start[1:], most]) for start in (*starts[:3], *starts[6:])]


def _bounds(task: _Task) -> list[tuple[float, float]]:
    positives, freedom = task.positives, task.freedom
    return [
        (-12.0, 7.0),
        (positives.mean - 4 * freedom.mean, positives.mean + 4 * freedom.mean),
        (np.log(positives.sd) - 4 * freedom.log_sd, np.log(positives.sd) + 4 * freedom.log_sd),
        (lowest(positives) - 20 * positives.sd, positives.mean),
        (-1.0, 4.0),
        *([] if task.noise is None else [(-7.0, 7.0)]),
    ]


def _cost(parameters: Parameters, task: _Task) -> float:
    scores, positives, freedom = task.scores, task.positives, task.freedom
    mixture = _mixture(parameters, task)
    particle, rest = mixture._joined(scores, task.noise_density)
    mean = (mixture.particles.mean - positives.mean) / freedom.mean
    spread = np.log(mixture.particles.sd / positives.sd) / freedom.log_sd
    scale = (np.log(mixture.rest_scale) - REST_LOG_SD) / REST_FREEDOM
    noise = 0.0
    if task.noise is not None:
        found = (1 - mixture.share) * mixture.noise_share * len(scores)
        noise = np.log(found / task.of_noise) / NOISE_LOG_SD
    return float((mean**2 + spread**2 + scale**2 + noise**2) / 2 - np.logaddexp(particle, rest).sum())


def _mixture(parameters: Parameters, task: _Task) -> Mixture:
    share, mean, log_sd, middle, log_scale, *of_noise = (float(value) for value in parameters)
    particles = Positives(mean, float(np.exp(log_sd)))
    noise_share = float(expit(of_noise[0])) if of_noise else 0.0
    low = lowest(task.positives)
    return Mixture(float(expit(share)), particles, middle, float(np.exp(log_scale)), low, task.noise, noise_share)


def _log_particle(scores: Scores, particles: Positives, low: float) -> Scores:
    """Log density of a normal distribution above `low`."""
    away = (scores - particles.mean) / particles.sd
    inside = float(log_ndtr((particles.mean - low) / particles.sd))
    return np.asarray(-(away**2) / 2 - np.log(particles.sd * np.sqrt(2 * np.pi)) - inside)


def _log_rest(scores: Scores, middle: float, scale: float, low: float) -> Scores:
    """Log density of a generalised normal distribution, ∝ exp(-|x|³), above `low`."""
    start = (low - middle) / scale
    tail = gammaincc(1 / SHAPE, np.abs(start) ** SHAPE) / 2
    above = max(float(tail if start > 0 else 1 - tail), 1e-280)
    constant = np.log(SHAPE / (2 * scale)) - lgamma(1 / SHAPE) - np.log(above)
    return np.asarray(constant - np.abs((scores - middle) / scale) ** SHAPE)


def _profile(task: _Task, best: float, parameters: Parameters, side: int) -> float:
    """Find the share, on one side of the best, at which the profile likelihood has fallen by `PROFILE`."""

    def fallen(log_odds: float) -> float:
        start = np.array([log_odds, *parameters[1:]])
        return _fit(task, float(expit(log_odds)), start)[0] - best - PROFILE

    return float(expit(_crossing(fallen, float(parameters[0]), side)))


def _crossing(fallen: Callable[[float], float], start: float, side: int) -> float:
    """Walk out from the best in growing steps, then halve, until the crossing is known to a hundredth."""
    inner, step = start, 0.1
    while fallen(inner + side * step) < 0 and abs(inner + side * step - start) < 6:
        inner, step = inner + side * step, step * 1.6
    outer = inner + side * step
    while abs(outer - inner) > 0.01:
        middle = (inner + outer) / 2
        inner, outer = (middle, outer) if fallen(middle) < 0 else (inner, middle)
    return (inner + outer) / 2
