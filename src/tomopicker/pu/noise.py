"""What a network finds in noise: how peaks score where there is nothing to find, and how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d

from tomopicker.types import Scores

NARROWEST = 0.15
"""Least width of the Gaussian that each peak's score is spread over, in logits."""
FEWEST = 5
"""Peaks that tell a density."""
BINS = 800
"""Of the grid that holds the density."""
NOWHERE = -30.0
"""The logarithm of the density where no peak is."""

Grid = Float64[np.ndarray, " grid"]


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

    @cached_property
    def middle(self) -> float:
        """The median score."""
        return float(np.median(self.scores)) if len(self.scores) else -np.inf

    @cached_property
    def sd(self) -> float:
        """The scores' standard deviation."""
        return max(float(np.std(self.scores)), 1e-6) if len(self.scores) else 1.0

    def above(self, low: float, voxels: float) -> float:
        """Give how many score above `low` in so many voxels, by the smooth density."""
        return self._share_above(low) * len(self.scores) * voxels / self.voxels

    def log_density(self, at: Scores, low: float) -> Scores:
        """Give the logarithm of their density above `low`, a kernel estimate of Silverman's width."""
        if self._kernel is None:
            return np.full(np.shape(at), NOWHERE)
        grid, density, _ = self._kernel
        logs = np.interp(at, grid, np.log(np.maximum(density, 1e-13)), left=NOWHERE, right=NOWHERE)
        return np.asarray(logs - np.log(max(self._share_above(low), 1e-9)))

    def shifted(self, by: float) -> "Noise":
        """Give the same noise as if it scored so much higher."""
        return Noise(np.asarray(self.scores) + by, self.voxels)

    def _share_above(self, low: float) -> float:
        if self._kernel is None:
            return float((self.scores > low).mean()) if len(self.scores) else 0.0
        grid, _, above = self._kernel
        return float(np.interp(low, grid, above, left=1.0, right=0.0))

    @cached_property
    def _kernel(self) -> tuple[Grid, Grid, Grid] | None:
        """The density on a grid of scores, and the share of it above each."""
        seen = np.asarray(self.scores, dtype=np.float64)
        if len(seen) < FEWEST:
            return None
        quartiles = np.percentile(seen, [25, 75])
        width = max(0.9 * min(seen.std(), np.diff(quartiles)[0] / 1.34) * len(seen) ** -0.2, NARROWEST)
        counts, edges = np.histogram(seen, BINS, (seen.min() - 5 * width, seen.max() + 5 * width))
        step = edges[1] - edges[0]
        density: Grid = gaussian_filter1d(counts / (len(seen) * step), width / step, mode="constant", truncate=5)
        return edges[:-1] + step / 2, density, 1 - np.cumsum(density) * step


def together(noises: Sequence[Noise]) -> Noise:
    """Join what was found in the noise of several tomograms."""
    return Noise(np.concatenate([each.scores for each in noises]), sum(each.voxels for each in noises))
