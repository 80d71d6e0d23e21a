"""What a network finds in noise: how peaks score where there is nothing to find, and how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from tomopicker.types import Scores

NARROWEST = 0.15
"""Least width of the Gaussian that each peak's score is spread over, in logits."""
BELOW = 2.0
"""Peaks so many logits below the lowest score that counts still tell of the density above it."""
FEWEST = 5
"""Peaks that tell a density."""


@dataclass(frozen=True)
class Noise:
    """Peaks of noise with the power spectrum of a tomogram (`tomopicker.data.noise`).

    Parameters
    ----------
    scores : array, shape (n,)
        Their logits.
    voxels : float
        Working voxels that were searched for them.
    """

    scores: Scores
    voxels: float

    @property
    def ends(self) -> float:
        """The score that one peak in a hundred exceeds."""
        return float(np.percentile(self.scores, 99)) if len(self.scores) else -np.inf

    def above(self, low: float, voxels: float) -> float:
        """Give how many score above `low` in so many voxels."""
        return float((self.scores > low).sum()) * voxels / self.voxels

    def log_density(self, at: Scores, low: float) -> Scores:
        """Give the logarithm of their density above `low`, a kernel estimate of Silverman's width."""
        seen = np.asarray(self.scores, dtype=np.float64)
        seen = seen[seen > low - BELOW]
        if len(seen) < FEWEST:
            return np.full(np.shape(at), -50.0)
        quartiles = np.percentile(seen, [25, 75])
        width = max(0.9 * min(seen.std(), np.diff(quartiles)[0] / 1.34) * len(seen) ** -0.2, NARROWEST)
        grid = np.linspace(low, max(float(np.max(at, initial=low)), seen.max() + 5 * width) + 1, 600)
        density: Float64[np.ndarray, " grid"] = np.exp(-(((grid[:, None] - seen) / width) ** 2) / 2).sum(axis=1)
        density /= density.sum() * (grid[1] - grid[0])
        return np.asarray(np.interp(at, grid, np.log(np.maximum(density, 1e-12))))


def together(noises: Sequence[Noise]) -> Noise:
    """Join what was found in the noise of several tomograms."""
    return Noise(np.concatenate([each.scores for each in noises]), sum(each.voxels for each in noises))
