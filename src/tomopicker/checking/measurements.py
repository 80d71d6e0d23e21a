"""What `check` measures: the contrast at every pick under every reading, and the mean subtomogram; one pass a tomogram.

Tomograms are filtered one after the other and let go, so that any number can be checked in the memory of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, Int

from tomopicker.checking.centring import GROUPS, box_edge, refined
from tomopicker.checking.contrast import ContrastMap, contrast_map, halved, shuffled_background, working_volume
from tomopicker.checking.hypotheses import Hypothesis, hypotheses
from tomopicker.data.subtomograms import group_means
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Scores

COPIES = 20
"""Places elsewhere for each pick."""
SEARCH = 1.5
"""How far a constant offset is looked for, in diameters."""
FINEST = 14.0
"""Radius in voxels beyond which boxes are binned before they are averaged."""


@dataclass(frozen=True)
class Readings:
    """Contrast at n picks, as they are given and otherwise.

    Parameters
    ----------
    given : array, shape (n,)
        At the positions given.
    otherwise : dict of Hypothesis to array, shape (n,)
        If this is what happened to them.
    background : array
        At places elsewhere.
    swapped : dict of (str, str) to array
        Of the picks of one tomogram, at the same places of another.
    offset : array, shape (3,)
        (x, y, z) in Å: where about the picks the mean contrast is highest.
    at_offset : float
        The mean contrast there.
    narrower, own, wider : array, shape (n,)
        Contrast at the positions given with filters for half the diameter, the diameter and twice the diameter, less
        the mean at places elsewhere, in their standard deviations.
    """

    given: Scores
    otherwise: Mapping[Hypothesis, Scores]
    background: Float64[np.ndarray, " m"]
    swapped: Mapping[tuple[str, str], Float64[np.ndarray, "..."]]
    offset: Float64[np.ndarray, " 3"]
    at_offset: float
    narrower: Scores
    own: Scores
    wider: Scores

    @property
    def usual(self) -> float:
        """The mean contrast at places elsewhere."""
        return float(self.background.mean())

    @property
    def error(self) -> float:
        """The standard error of the mean contrast of n places; the map's own, 1, where all of them lie outside."""
        return max(float(self.background.std()), 1.0) / float(np.sqrt(len(self.given)))


@dataclass
class _Gathered:
    given: list[Scores] = field(default_factory=list)
    otherwise: dict[Hypothesis, list[Scores]] = field(default_factory=dict)
    background: list[Scores] = field(default_factory=list)
    swapped: dict[tuple[str, str], Scores] = field(default_factory=dict)
    around: Float32[np.ndarray, "z y x"] | None = None
    by_width: tuple[list[Scores], list[Scores], list[Scores]] = field(default_factory=lambda: ([], [], []))


def score_hypotheses(
    tomograms: Sequence[Tomogram], picks: Picks, diameter: float, rng: np.random.Generator
) -> Readings:
    """Measure the contrast at picks under every reading of `hypotheses`.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Those of the picks, of nearly one voxel size.
    picks : Picks
        Å; may lie outside.
    diameter : float
        Of the particle, Å.
    rng : Generator
        For the places elsewhere.
    """
    tried = hypotheses(tomograms[0].voxel_size)
    found = _Gathered(otherwise={mistake: [] for mistake in tried})
    working = 1.0
    for tomogram in tomograms:
        volume = working_volume(tomogram, diameter)
        contrast = contrast_map(volume, diameter)
        working = contrast.working.voxel_size
        background = _measure(contrast, tomogram, picks, tried, diameter, rng, found)
        positions = picks.in_tomogram(tomogram.name).positions
        if not len(positions):
            continue
        narrower, own, wider = found.by_width
        own.append(_standing_out(contrast, positions, background))
        narrower.append(_standing_out(contrast_map(volume, diameter / 2), positions, background))
        wider.append(_standing_out(contrast_map(halved(volume), 2 * diameter), positions, background))
    assert found.around is not None, "a tomogram without picks was given"
    around = found.around / np.float32(len(picks))
    peak = np.array(np.unravel_index(around.argmax(), around.shape))
    return Readings(
        np.concatenate(found.given),
        {mistake: np.concatenate(parts) for mistake, parts in found.otherwise.items()},
        np.concatenate(found.background),
        found.swapped,
        ((refined(around, peak) - len(around) // 2) * working)[::-1].copy(),
        float(around.max()),
        *(np.concatenate(parts) for parts in found.by_width),
    )


def _measure(
    contrast: ContrastMap, tomogram: Tomogram, picks: Picks, tried: Sequence[Hypothesis], diameter: float,
    rng: np.random.Generator, found: _Gathered,
) -> Float64[np.ndarray, "m 3"]:  # fmt: skip
    """Add what one tomogram shows; give the places elsewhere that its picks are compared with."""
    for name in picks.tomogram_names:
        if name != tomogram.name:
            found.swapped[name, tomogram.name] = contrast.at(picks.in_tomogram(name).positions)
    positions = picks.in_tomogram(tomogram.name).positions
    if not len(positions):
        return positions
    found.given.append(contrast.at(positions))
    for mistake in tried:
        found.otherwise[mistake].append(contrast.at(mistake.mend(positions, tomogram.frame)))
    places = shuffled_background(positions, COPIES, rng, tomogram.frame)
    found.background.append(contrast.at(places))
    reach = round(SEARCH * diameter / contrast.working.voxel_size)
    total = contrast.around(positions, reach)
    found.around = total if found.around is None else found.around + total
    return places


def _standing_out(contrast: ContrastMap, positions: Positions, places: Float64[np.ndarray, "m 3"]) -> Scores:
    """Give the contrast at positions as standard deviations of that at places elsewhere."""
    usual = contrast.at(places)
    standing: Scores = (contrast.at(positions) - usual.mean()) / max(float(usual.std()), 1e-30)
    return standing


@dataclass(frozen=True)
class MeanBoxes:
    """Boxes at picks, added up in groups.

    Parameters
    ----------
    sums : array, shape (groups, z, y, x)
    counts : array of int, shape (groups,)
    voxel_size : float
        Å, of the boxes; a multiple of the tomogram's where particles are many voxels wide.
    """

    sums: Float32[np.ndarray, "g z y x"]
    counts: Int[np.ndarray, " g"]
    voxel_size: float

    @property
    def mean(self) -> Float32[np.ndarray, "z y x"]:
        """The mean subtomogram, (z, y, x)."""
        average: Float32[np.ndarray, "z y x"] = self.sums.sum(axis=0) / np.float32(max(int(self.counts.sum()), 1))
        return average


def average(tomograms: Sequence[Tomogram], positions: Mapping[str, Positions], diameter: float) -> MeanBoxes:
    """Average the boxes at positions (Å), by the name of their tomogram."""
    size = tomograms[0].voxel_size
    factor = int(np.ceil(diameter / 2 / size / FINEST))
    edge = box_edge(diameter / 2 / size / factor)
    sums = np.zeros((GROUPS, edge, edge, edge), dtype=np.float32)
    counts = np.zeros(GROUPS, dtype=np.int64)
    for tomogram in tomograms:
        here = positions.get(tomogram.name, np.empty((0, 3)))
        # Every n-th pick in one group: a group then holds picks of the whole file, whatever its order.
        groups = (np.arange(len(here)) + counts.sum()) % GROUPS
        part, number = group_means(tomogram, here, edge, groups, GROUPS, factor)
        sums, counts = sums + part, counts + number
    return MeanBoxes(sums, counts, size * factor)
