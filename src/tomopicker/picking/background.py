"""The density of background scores: smoothed peaks of a decoy and known background, with no shape assumed.

A decoy is a volume with the specimen's power spectrum and random phases (`preprocessing.decoys`): it holds no
particle, so its peaks score as background does. This is the target-decoy approach of proteomics (Elias and Gygi, Nature
Methods 4, 2007).
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import brentq
from scipy.special import gammaln

from tomopicker.types import Scores

GRID = 1200
TAIL = 0.9
"""Quantile of the decoy scores above which a fitted tail replaces the kernel estimate, which has few peaks there."""
MIN_EXPONENT, MAX_EXPONENT = 0.8, 2.0
"""Limits of the tail's exponent: 2 for a normal distribution, 1 for an exponential one."""

DecoyScores = Float[np.ndarray, " decoys"]
KnownScores = Float[np.ndarray, " known"]
Grid = Float64[np.ndarray, " grid"]
Values = Float64[np.ndarray, " values"]


@dataclass(frozen=True, eq=False)
class Background:
    """A kernel estimate (Silverman's bandwidth) of the density of background scores.

    Above the quantile `TAIL` the decoys' density falls as exp(-(x / s)^k), x from their median: the tail of a
    generalised normal distribution, k and s by the moments of the upper half.

    Parameters
    ----------
    decoys : array, shape (n,)
        Logits of at least two decoy peaks.
    known : array, shape (m,)
        Logits of peaks known to be background, such as negatives.
    known_fraction : float
        Fraction of the background that the known scores represent.
    """

    decoys: DecoyScores
    known: KnownScores = field(default_factory=lambda: np.empty(0))
    known_fraction: float = 0.0

    @cached_property
    def median(self) -> float:
        """Median score of the decoys."""
        return float(np.median(self.decoys))

    @cached_property
    def sd(self) -> float:
        """Width of the decoys' upper half."""
        upper = self.decoys[self.decoys > self.median] - self.median
        return max(float(np.sqrt(np.mean(upper**2))), 1e-3) if len(upper) else 1e-3

    def resampled(self, rng: np.random.Generator) -> "Background":
        """Resample decoys and known background with replacement."""
        known = rng.choice(self.known, len(self.known)) if len(self.known) else self.known
        return Background(rng.choice(self.decoys, len(self.decoys)), known, self.known_fraction)

    def moved(self, at: Values, shift: float, log_scale: float) -> Values:
        """Map scores of a tomogram to the decoys' axis, given the shift and log scale of its background."""
        return np.asarray((at - shift - self.median) * np.exp(-log_scale) + self.median)

    def log_density(self, at: Values) -> Values:
        """Return the log density at scores on the decoys' axis."""
        grid, log, _, _ = self._estimate
        return np.asarray(np.interp(at, grid, log, left=-70.0, right=-700.0))

    def slope(self, at: Values) -> Values:
        """Return the derivative of `log_density`."""
        grid, _, slope, _ = self._estimate
        return np.asarray(np.interp(at, grid, slope, left=0.0, right=0.0))

    def fraction_above(self, score: float) -> float:
        """Return the fraction of the background above a score on the decoys' axis."""
        grid, _, _, below = self._estimate
        return max(1 - float(np.interp(score, grid, below)), 1e-12)

    @cached_property
    def _estimate(self) -> tuple[Grid, Grid, Grid, Grid]:
        """Grid of scores, log density, its slope, and cumulative fraction."""
        scores = np.asarray(self.decoys, dtype=np.float64)
        width = max(_bandwidth(scores), 0.02 * self.sd, 1e-4)
        highest = max(self.median + 12 * self.sd, float(self.known.max(initial=-np.inf)) + 3 * self.sd)
        grid = np.linspace(scores.min() - 6 * width, highest + 6 * width, GRID)
        step = grid[1] - grid[0]
        density = _smoothed(scores, grid, width)
        start = int(np.searchsorted(grid, np.quantile(scores, TAIL)))
        away, (scale, exponent) = grid[start:] - self.median, _tail(scores[scores > self.median] - self.median)
        density[start:] = density[start] * np.exp((away[0] / scale) ** exponent - (away / scale) ** exponent)
        density /= density.sum() * step
        if len(self.known):
            extra = _smoothed(self.known, grid, max(_bandwidth(self.known), 0.2 * self.sd))
            density = (1 - self.known_fraction) * density + self.known_fraction * extra
        density = np.maximum(density, 1e-300)
        log = np.log(density)
        return grid, log, np.gradient(log, step), np.cumsum(density) * step


def _bandwidth(scores: Scores) -> float:
    """Return the bandwidth by Silverman's rule."""
    quartiles = np.percentile(scores, [25, 75])
    return float(0.9 * min(float(scores.std()), float(np.diff(quartiles)[0]) / 1.34) * len(scores) ** -0.2)


def _tail(above: Scores) -> tuple[float, float]:
    """Fit scale and exponent of a generalised normal distribution to distances above its median.

    The exponent solves E[x]^2 / E[x^2] = G(2/k)^2 / (G(1/k) G(3/k)), G the gamma function (Mallat, IEEE PAMI 11, 1989).
    """

    def ratio(exponent: float) -> float:
        return float(np.exp(2 * gammaln(2 / exponent) - gammaln(1 / exponent) - gammaln(3 / exponent)))

    mean, observed = float(above.mean()), float(above.mean() ** 2 / np.mean(above**2))
    exponent = MAX_EXPONENT if observed > ratio(MIN_EXPONENT) else MIN_EXPONENT
    if ratio(MIN_EXPONENT) < observed < ratio(MAX_EXPONENT):
        exponent = float(brentq(lambda each: ratio(each) - observed, MIN_EXPONENT, MAX_EXPONENT, xtol=1e-3))
    return mean * float(np.exp(gammaln(1 / exponent) - gammaln(2 / exponent))), exponent


def _smoothed(scores: Scores, grid: Grid, width: float) -> Grid:
    step = grid[1] - grid[0]
    counts, _ = np.histogram(scores, np.append(grid - step / 2, grid[-1] + step / 2))
    return np.asarray(gaussian_filter1d(counts / (len(scores) * step), width / step, mode="constant", truncate=6))
