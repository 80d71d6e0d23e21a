"""What `check` measures: the contrast at picks under every hypothesis, and what it is compared with.

Tomograms are filtered one after the other and released, so any number can be checked in the memory of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from tomopicker.checking.centring import refine_peak
from tomopicker.checking.contrast import (
    contrast_at,
    contrast_map,
    halved,
    shuffled_background,
    sum_around,
    working_volume,
)
from tomopicker.checking.hypotheses import Hypothesis, hypotheses
from tomopicker.data.preprocess import WorkingVolume
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Scores, Volume

COPIES = 20
"""Background places for each pick."""
SEARCH = 1.5
"""How far a constant offset is looked for, in diameters."""
DIAMETER_FACTORS = (0.5, 1.0, 2.0)
"""Of the diameter given, to tell whether it is right."""


@dataclass(frozen=True)
class Measurements:
    """Contrast at n picks, as they are given and under every hypothesis.

    Parameters
    ----------
    given : array, shape (n,)
        At the positions given.
    alternatives : dict of Hypothesis to array, shape (n,)
        At the positions that a hypothesis corrects.
    background : array
        At background places.
    cross : dict of (str, str) to array
        Of the picks of one tomogram, at the same places of another.
    offset : array, shape (3,)
        (x, y, z) in Å: where about the picks the mean contrast is highest.
    at_offset : float
        The mean contrast there.
    at_diameter : dict of float to array, shape (n,)
        By factor of the diameter, the contrast at the positions given with a filter for it, less the mean at background
        places, in their standard deviations.
    """

    given: Scores
    alternatives: Mapping[Hypothesis, Scores]
    background: Float64[np.ndarray, " m"]
    cross: Mapping[tuple[str, str], Float64[np.ndarray, "..."]]
    offset: Float64[np.ndarray, " 3"]
    at_offset: float
    at_diameter: Mapping[float, Scores]

    @property
    def error(self) -> float:
        """The standard error of the mean contrast of n places; the map's own, 1, where all of them lie outside."""
        return max(float(self.background.std()), 1.0) / float(np.sqrt(len(self.given)))

    def excess(self, contrast: Float64[np.ndarray, "..."] | float) -> float:
        """Give the mean of some contrast above the background's mean."""
        return float(np.mean(contrast)) - float(self.background.mean())


def score_hypotheses(
    tomograms: Sequence[Tomogram], picks: Picks, diameter: float, rng: np.random.Generator
) -> Measurements:
    """Measure the contrast at picks under every hypothesis of `hypotheses`.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Those of the picks, each with picks, of nearly one voxel size.
    picks : Picks
        Å; may lie outside.
    diameter : float
        Of the particle, Å.
    rng : Generator
        For the background places.
    """
    given: list[Scores] = []
    background: list[Scores] = []
    alternatives: dict[Hypothesis, list[Scores]] = {each: [] for each in hypotheses(tomograms[0].voxel_size)}
    at_diameter: dict[float, list[Scores]] = {factor: [] for factor in DIAMETER_FACTORS}
    cross: dict[tuple[str, str], Scores] = {}
    cubes: list[Volume] = []
    for tomogram in tomograms:
        working = working_volume(tomogram, diameter)
        contrast = contrast_map(working, diameter)
        positions = picks.in_tomogram(tomogram.name).positions
        places = shuffled_background(positions, COPIES, rng, tomogram.frame)
        given.append(contrast_at(contrast, positions))
        background.append(contrast_at(contrast, places))
        for hypothesis, scores in alternatives.items():
            scores.append(contrast_at(contrast, hypothesis.transform(positions, tomogram.frame)))
        for name in picks.tomogram_names:
            if name != tomogram.name:
                cross[name, tomogram.name] = contrast_at(contrast, picks.in_tomogram(name).positions)
        cubes.append(sum_around(contrast, positions, round(SEARCH * diameter / contrast.voxel_size)))
        maps = contrast_map(working, diameter / 2), contrast, contrast_map(halved(working), 2 * diameter)
        for scores, filtered in zip(at_diameter.values(), maps, strict=True):
            scores.append(_z_scores(filtered, positions, places))
    around = np.sum(cubes, axis=0) / np.float32(len(picks))
    peak = np.array(np.unravel_index(around.argmax(), around.shape))
    return Measurements(
        np.concatenate(given),
        {hypothesis: np.concatenate(scores) for hypothesis, scores in alternatives.items()},
        np.concatenate(background),
        cross,
        ((refine_peak(around, peak) - len(around) // 2) * contrast.voxel_size)[::-1].copy(),
        float(around.max()),
        {factor: np.concatenate(scores) for factor, scores in at_diameter.items()},
    )


def _z_scores(contrast: WorkingVolume, positions: Positions, places: Float64[np.ndarray, "m 3"]) -> Scores:
    """Give the contrast at positions in standard deviations of that at background places, from its mean."""
    background = contrast_at(contrast, places)
    z: Scores = (contrast_at(contrast, positions) - background.mean()) / max(float(background.std()), 1e-30)
    return z
