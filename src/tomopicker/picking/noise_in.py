"""Noise in a tomogram: how much of it there is, and whether a network tells particles from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool

from tomopicker.picking.count import Count
from tomopicker.picking.mixture import Mixture
from tomopicker.pu.noise import Noise
from tomopicker.types import Scores

Known: TypeAlias = Bool[np.ndarray, " n"]
BELIEVED = 0.25
"""Share of the particles found that noise would give as well, above which a network does not tell the two apart."""


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

    def above(self, low: float) -> float:
        """Give how many of its peaks to expect above a score."""
        return self.noise.above(low, self.voxels)

    def present(self, scores: Scores) -> float:
        """Give how much of the noise is there: peaks with the scores of its middle half, over those it predicts."""
        if not len(self.noise.scores):
            return 0.0
        low, high = np.percentile(self.noise.scores, [25, 75])
        predicted = self.above(low) - self.above(high)
        return min(1.0, float(((scores > low) & (scores <= high)).sum()) / predicted) if predicted else 0.0


def tells_from_noise(
    scores: Sequence[Scores],
    fits: Sequence[tuple[Mixture, Count]],
    noises: Sequence[NoiseIn],
    clicked: Sequence[Known],
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
    clicked : sequence of arrays, shape (n,)
        Peaks that the mixtures left out and the counts did not.
    """
    found = sum(count.estimate for _, count in fits)
    claimed = 0.0
    for real, (mixture, _), each, known in zip(scores, fits, noises, clicked, strict=True):
        whole = mixture.joined_by(int(known.sum()), int(((real > mixture.low) & ~known).sum()))
        share = each.voxels / each.noise.voxels
        claimed += each.present(real) * float(whole.probability(each.noise.scores).sum()) * share
    return claimed <= BELIEVED * found
