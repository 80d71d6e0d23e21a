"""Fitting a tomogram's mixture: how many of its peaks are particles, and where they and the rest score.

A network that barely tells particles from noise shows one hill only; then noise without particles tells the shape of
the hill.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64
from scipy.optimize import minimize
from scipy.special import expit, logit

from tomopicker.picking.count import Count
from tomopicker.picking.expected_scores import ACROSS_TOMOGRAMS, Freedom
from tomopicker.picking.mixture import SD_OF_REST, Mixture
from tomopicker.picking.noise_in import Known, NoiseIn
from tomopicker.pu.positives import Positives
from tomopicker.types import Scores

WINDOW_SD = 6.0
"""Peaks lower than so many deviations below particles say nothing about where the two part."""
REST_LOG_SD, REST_FREEDOM = float(np.log(4.0)), 0.8
"""Of the scale of the other peaks' distribution: the logarithm that is expected, and how far it may be from there."""
FEWEST = 20
"""Peaks that a mixture can be fitted to."""
FEWEST_OTHERS, CLEARLY_SD = 5, 3.0
"""Peaks that lie clearly below particles, by so many deviations, and are needed to tell where the rest is."""
NEGLIGIBLE = 4.0
"""Fall of the log posterior from its best, from which on a share is not looked at any further."""
FIRST_STEP, STEP_GROWTH = 0.15, 1.3
"""Of the walk over logit shares."""
LEAST, MOST_LOGIT = 0.5, 6.0
"""Fewest particles in a tomogram, and the largest logit share, that are looked at."""
SYSTEMATIC = 0.1
"""Relative error of the count that the mixture's form brings, whatever the number of peaks."""
USUAL_LOG_SD = 1.0
"""Scale of the Cauchy distribution of the number of particles: crowded tomograms and empty ones are no surprise."""
NOISE_LOG_SD = 0.1
"""Relative error of how much noise a tomogram holds, taken from another and from the specimen's size."""
BELOW_NOISE_SD = 0.1
"""Particles score no lower than the middle of noise, or by so many logits."""

Parameters: TypeAlias = Float64[np.ndarray, " parameters"]
Grid: TypeAlias = Float64[np.ndarray, " grid"]
Profile: TypeAlias = dict[float, tuple[float, Parameters]]
"""For a logit share: the negative log posterior and the parameters that are best for it."""


def lowest(positives: Positives) -> float:
    """Give the least score that takes part in a fit."""
    return positives.mean - WINDOW_SD * positives.sd


@dataclass(frozen=True)
class _Task:
    """What is fitted: scores above the lowest, and what is known beforehand."""

    scores: Scores
    positives: Positives
    freedom: Freedom
    noise: NoiseIn | None = None
    usual: float | None = None

    @property
    def noise_freedom(self) -> float:
        """How far noise may score from where it is expected, in logits."""
        return self.freedom.noise * (1.0 if self.noise is None else self.noise.noise.sd)

    def of_noise(self, shift: float = 0.0) -> float:
        """Give the peaks of noise to be expected, if its scores are shifted by so much here."""
        return 0.0 if self.noise is None else self.noise.above(lowest(self.positives) - shift)


def _task(
    scores: Scores,
    positives: Positives,
    freedom: Freedom,
    noise: NoiseIn | None = None,
    usual: float | None = None,
) -> _Task:
    there = noise is not None and noise.above(lowest(positives)) >= 1
    return _Task(scores, positives, freedom, noise if there else None, usual)


def fit_mixture(
    peak_scores: Scores,
    positives: Positives,
    count: float | None = None,
    freedom: Freedom = ACROSS_TOMOGRAMS,
    noise: NoiseIn | None = None,
    clicked: Known | None = None,
    usual: float | None = None,
) -> tuple[Mixture, Count]:
    """Fit the mixture to the peaks of a tomogram: places and widths at their best, the share the posterior's median.

    Parameters
    ----------
    peak_scores : array, shape (n,)
        Logits of all its peaks, or of the best of them.
    positives : Positives
        Where particles are expected to score.
    count : float, optional
        Particles there are, the clicked included, if they are known: the share is not fitted then.
    freedom : Freedom
        How far they may score from there.
    noise : NoiseIn, optional
        So much of the other peaks is known to be noise.
    clicked : array, shape (n,), optional
        Peaks that are known to be particles: they are counted, and the mixture is that of the others.
    usual : float, optional
        Particles to be expected beside the clicked: a hint, for where scores say little.

    Returns
    -------
    Mixture
        Of the peaks that were not clicked.
    Count
        Number of particles, with an interval that holds it in nine cases of ten.
    """
    scores = np.asarray(peak_scores, dtype=np.float64)
    known = np.zeros(len(scores), dtype=bool) if clicked is None else clicked
    found = float(known.sum())
    unknown = scores[(scores > lowest(positives)) & ~known]
    left = None if count is None else count - found
    mixture, others = _of_unknown(_task(unknown, positives, freedom, noise, usual), left)
    return mixture, Count(found + others.estimate, found + others.low, found + others.high)


def _of_unknown(task: _Task, count: float | None) -> tuple[Mixture, Count]:
    """Fit the mixture to peaks of which none is known; their number is counted, unless it is given."""
    scores, positives = task.scores, task.positives
    # Parted so well that hardly a peak is left between: the hill of the rest would be fitted to particles.
    alone = int((scores < positives.mean - CLEARLY_SD * positives.sd).sum()) < FEWEST_OTHERS
    if len(scores) < FEWEST or (alone and count is None and task.noise is None):
        low = lowest(positives)
        mixture = Mixture(0.5, positives, low, 3 * positives.sd, low)
        number = float(mixture.probability(scores).sum())
        return mixture, Count(number, 0.0, float(len(scores))) if len(scores) < FEWEST else _widened(number, 1.0, 1.0)
    if count is not None:
        mixture = _mixture(_fit(task, float(np.clip(count / len(scores), 1e-4, 0.999)))[1], task)
        number = float(mixture.probability(scores).sum())
        return mixture, Count(number, number, number)
    quantiles, parameters = _shares(task, *_fit(task, None))
    mixture = _mixture(parameters, task)
    low, middle, high = (float(expit(each)) for each in quantiles)
    return mixture, _widened(float(mixture.probability(scores).sum()), low / middle, high / middle)


def _widened(number: float, low: float, high: float) -> Count:
    """Join the statistical interval, as ratios to the estimate, with the form's own error."""
    below, above = (np.hypot(np.log(ratio), 1.64 * SYSTEMATIC) for ratio in (low, high))
    return Count(number, float(number * np.exp(-below)), float(number * np.exp(above)))


def _fit(task: _Task, share: float | None, start: Parameters | None = None) -> tuple[float, Parameters]:
    """Minimise the negative log posterior over (logit share, mean, log sd, rest's mean, rest's log scale).

    Where noise is known, its share of the others, as a logit, and its shift are fitted as well, the last two.
    """

    def cost(parameters: Parameters) -> float:
        free = parameters if share is None else np.array([logit(share), *parameters[1:]])
        return _cost(free, task)

    starts = [start] if start is not None else _starts(task)
    fits = [minimize(cost, each, method="L-BFGS-B", bounds=_bounds(task), options={"ftol": 1e-7}) for each in starts]
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
    # Noise leaves the rest little to explain: a few starts that differ in the rest are enough.
    chosen, shifts = (*starts[:3], *starts[6:]), (0.0, -task.noise_freedom, -2 * task.noise_freedom)
    most = [logit(np.clip(task.of_noise(shift) / len(task.scores), 0.02, 0.98)) for shift in shifts]
    return [np.array([logit(0.05), *start[1:], *each]) for start in chosen for each in zip(most, shifts, strict=True)]


def _bounds(task: _Task) -> list[tuple[float, float]]:
    positives, freedom, highest = task.positives, task.freedom, task.positives.mean
    if task.noise is not None:  # Where noise is the hill, the rest has to be kept from becoming the particles.
        highest = min(highest, max(task.noise.noise.middle, lowest(positives)))
    return [
        (-12.0, 7.0),
        (positives.mean - 4 * freedom.mean, positives.mean + 4 * freedom.mean),
        (np.log(positives.sd) - 4 * freedom.log_sd, np.log(positives.sd) + 4 * freedom.log_sd),
        (lowest(positives) - 20 * positives.sd, highest),
        (-1.0, 4.0),
        *([] if task.noise is None else [(-7.0, 7.0), (-4 * task.noise_freedom, 4 * task.noise_freedom)]),
    ]


def _cost(parameters: Parameters, task: _Task) -> float:
    """Give the negative log posterior."""
    scores, positives, freedom = task.scores, task.positives, task.freedom
    mixture = _mixture(parameters, task)
    particle, rest = mixture.log_densities(scores)
    away = [
        (mixture.particles.mean - positives.mean) / freedom.mean,
        np.log(mixture.particles.sd / positives.sd) / freedom.log_sd,
        (np.log(mixture.rest_scale) - REST_LOG_SD) / REST_FREEDOM,
    ]
    if task.noise is not None:
        found = (1 - mixture.share) * mixture.noise_share * len(scores)
        away.append(np.log(found / max(task.of_noise(mixture.noise_shift), 1e-6)) / NOISE_LOG_SD)
        away.append(mixture.noise_shift / task.noise_freedom)
        middle = task.noise.noise.middle + mixture.noise_shift
        away.append(max(0.0, middle - mixture.particles.mean) / BELOW_NOISE_SD)
    hint = 0.0
    if task.usual:
        hint = np.log1p(np.square(np.log(mixture.share * len(scores) / task.usual) / USUAL_LOG_SD))
    return float(np.sum(np.square(away)) / 2 + hint - np.logaddexp(particle, rest).sum())


def _mixture(parameters: Parameters, task: _Task) -> Mixture:
    share, mean, log_sd, middle, log_scale, *of_noise = (float(value) for value in parameters)
    particles = Positives(mean, float(np.exp(log_sd)))
    plain = Mixture(float(expit(share)), particles, middle, float(np.exp(log_scale)), lowest(task.positives))
    if task.noise is None:
        return plain
    noise_share, shift = of_noise
    return replace(plain, noise=task.noise.noise, noise_share=float(expit(noise_share)), noise_shift=shift)


def _shares(task: _Task, best: float, parameters: Parameters) -> tuple[Grid, Parameters]:
    """Give the 5 %, 50 % and 95 % quantiles of the logit share, and the best parameters for the middle one.

    For each share on a grid the other parameters are at their best (a profile). It is gone along from the best share
    outwards and back again, for what is best for one share need not be next to what is best for another. The prior of
    the number is flat in its logarithm, but for `USUAL_LOG_SD`.
    """
    least = float(logit(LEAST / len(task.scores)))
    if parameters[0] < least:
        best, parameters = _fit(task, float(expit(least)), np.array([least, *parameters[1:]]))
    profile: Profile = {float(parameters[0]): (best, parameters)}
    for end in (least, MOST_LOGIT):
        out = _walk(task, best, parameters, end)
        if not out:
            continue
        back: Profile = {}
        _, last = next(reversed(out.values()))
        for at in reversed(out):
            back[at] = _fit(task, float(expit(at)), np.array([at, *last[1:]]))
            _, last = back[at]
        profile |= {at: min(out[at], back[at], key=_first) for at in out}
    grid = np.array(sorted(profile))
    falls = np.array([profile[at][0] for at in grid])
    fine = np.linspace(grid[0], grid[-1], 2001)
    weights = np.exp(falls.min() - np.interp(fine, grid, falls)) * (1 - expit(fine))  # d log share / d logit share
    quantiles = np.interp([0.05, 0.5, 0.95], np.cumsum(weights) / weights.sum(), fine)
    middle = float(quantiles[1])
    _, nearest = profile[float(grid[np.argmin(np.abs(grid - middle))])]
    return quantiles, _fit(task, float(expit(middle)), np.array([middle, *nearest[1:]]))[1]


def _first(fit: tuple[float, Parameters]) -> float:
    return fit[0]


def _walk(task: _Task, best: float, parameters: Parameters, end: float) -> Profile:
    """Go from the best share towards an end in growing steps, until it is hardly possible any more."""
    at, cost, last, step = float(parameters[0]), best, parameters, FIRST_STEP
    walk: Profile = {}
    while cost < best + NEGLIGIBLE and at != end:
        at, step = at + float(np.clip(end - at, -step, step)), step * STEP_GROWTH
        cost, last = walk[at] = _fit(task, float(expit(at)), np.array([at, *last[1:]]))
    return walk
