"""Each tomogram's own probabilities: its peaks' scores as a mixture of particles and of everything else.

Particles score alike in tomograms that are normalised alike, near a normal distribution whose place the clicks tell;
the rest of the peaks make a broad hill that ends below them. Where one hill ends and the other begins differs from
tomogram to tomogram, and each shows it by itself (`tomopicker.picking.fit_mixture`): the mixture gives each peak the
probability of being a particle.
"""

from dataclasses import dataclass, replace
from math import lgamma

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import expit, gammaincc, log_ndtr, logit

from tomopicker.pu.noise import Noise
from tomopicker.pu.positives import Positives
from tomopicker.types import Scores

SHAPE = 3.0
"""Of the other peaks' distribution, exp(-|x|³): its tail ends sooner than a normal one's, as measured."""
SD_OF_REST = 0.611
"""Standard deviation of that distribution, √(Γ(1)/Γ(1/3)), over its scale."""
TEMPER = 1.5
"""Networks that learned from few clicks are too sure of themselves: log odds in favour are so many times too high."""


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
        A part of the others whose shape is known.
    noise_share : float
        Of the others.
    noise_shift : float
        Of its scores here; below 0, for a network scores noise higher than what it was trained on.
    """

    share: float
    particles: Positives
    rest_mean: float
    rest_scale: float
    low: float
    noise: Noise | None = None
    noise_share: float = 0.0
    noise_shift: float = 0.0

    @property
    def noise_found(self) -> Noise | None:
        """The noise, scoring as it does here."""
        return None if self.noise is None else self.noise.shifted(self.noise_shift)

    def log_densities(self, scores: Scores) -> tuple[Scores, Scores]:
        """Give the logarithms of the particles' part of the density above `low`, and of the rest's."""
        others = _log_rest(scores, self.rest_mean, self.rest_scale, self.low)
        if self.noise is not None:
            noise = self.noise.log_density(scores - self.noise_shift, self.low - self.noise_shift)
            others = np.logaddexp(np.log(self.noise_share) + noise, np.log1p(-self.noise_share) + others)
        return np.log(self.share) + _log_particle(scores, self.particles, self.low), np.log1p(-self.share) + others

    def joined_by(self, particles: int, others: int) -> "Mixture":
        """Give the mixture with so many particles added to so many peaks that it stands for."""
        return replace(self, share=(self.share * others + particles) / max(1, others + particles))

    def probability(self, scores: Float[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Give the probability of being a particle, for scores of any shape; it never falls with the score."""
        grid = np.linspace(self.low, self.particles.mean + 8 * self.particles.sd, 2048)
        particle, rest = self.log_densities(grid)
        odds = particle - rest
        turn = self.particles.mean - self.particles.sd
        if self.noise is not None:  # What scores below the middle of noise is no likelier a particle than that.
            middle = self.noise.middle + self.noise_shift
            below = grid < middle
            odds[below] = np.minimum(odds[below], odds[min(int(below.sum()), len(odds) - 1)])
            turn = max(turn, middle)
        # A normal distribution soon ends above its mean, and a broad rest would win there again, where in truth nothing
        # but particles is: from one deviation below the mean on, the log odds rise no slower than there.
        bend = int(np.searchsorted(grid, turn))
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
