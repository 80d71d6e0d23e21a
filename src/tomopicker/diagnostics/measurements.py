"""Measurements of `check`: the contrast at picks under every hypothesis, and that of background positions.

The contrast map is the tomogram filtered at the particle's scale with dark made positive. A difference of Gaussians
knows nothing of the particle but its diameter, so it favours no hypothesis of the positions. Tomograms are filtered one
after the other and released, so any number can be checked in the memory of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64
from scipy.ndimage import gaussian_filter, map_coordinates

from tomopicker.diagnostics.centring import refine_peak
from tomopicker.diagnostics.hypotheses import Hypothesis, hypotheses
from tomopicker.geometry import Frame
from tomopicker.moments import moments_of
from tomopicker.picks import Picks
from tomopicker.preprocessing.crops import cube, read_padded
from tomopicker.preprocessing.preprocess import WorkingVolume, preprocess, working_voxel_size
from tomopicker.preprocessing.subtomograms import binned
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Scores, Volume

WORKING_DIAMETER = 11.0
"""Of the particle in working voxels, about: finer than this the filter would only smooth away again."""
INNER, OUTER = 0.5, 1.2
"""Standard deviations of the two Gaussians, in radii of the particle."""
CLIP_SD = 4.0
FEW_PICKS = 10
"""Picks below which their coordinates are too few for background positions and for significance."""
MIN_PLACES = 200
"""Background positions, at least."""
COPIES = 20
"""Background positions for each pick."""
SEARCH = 1.5
"""Largest constant offset that is searched, in diameters."""


@dataclass(frozen=True)
class Measurements:
    """Contrast at n picks, and at their positions under every hypothesis.

    Parameters
    ----------
    at_picks : array, shape (n,)
        At the picks.
    alternatives : dict of Hypothesis to array, shape (n,)
        At the positions that a hypothesis corrects.
    background : array
        At background positions.
    cross : dict of (str, str) to array
        Of the picks of one tomogram, at the same places of another.
    offset : array, shape (3,)
        (x, y, z) in Å: where about the picks the mean contrast is highest.
    at_offset : float
        The mean contrast there.
    at_diameter : dict of float to array, shape (n,)
        By factor of the diameter, the contrast at the picks with a filter for it, less the mean at background
        places, in their standard deviations.
    """

    at_picks: Scores
    alternatives: Mapping[Hypothesis, Scores]
    background: Float64[np.ndarray, " m"]
    cross: Mapping[tuple[str, str], Float64[np.ndarray, "..."]]
    offset: Float64[np.ndarray, " 3"]
    at_offset: float
    at_diameter: Mapping[float, Scores]

    @property
    def error(self) -> float:
        """The standard error of the mean contrast of n places; the map's own, 1, where all of them lie outside."""
        return max(float(self.background.std()), 1.0) / float(np.sqrt(len(self.at_picks)))

    def z(self, contrast: Float64[np.ndarray, "..."] | float) -> float:
        """Return how far the mean of some contrast lies above the background's mean, in standard errors."""
        return (float(np.mean(contrast)) - float(self.background.mean())) / self.error


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
        For the background positions.
    """
    at_picks: list[Scores] = []
    background: list[Scores] = []
    alternatives: dict[Hypothesis, list[Scores]] = {each: [] for each in hypotheses(tomograms[0].voxel_size)}
    at_diameter: dict[float, list[Scores]] = {0.5: [], 1.0: [], 2.0: []}
    cross: dict[tuple[str, str], Scores] = {}
    cubes: list[Volume] = []
    for tomogram in tomograms:
        working_size = working_voxel_size(tomogram.voxel_size, diameter, WORKING_DIAMETER)
        working = preprocess(tomogram, working_size, CLIP_SD)
        contrast = contrast_map(working, diameter)
        positions = picks.in_tomogram(tomogram.name).positions
        places = shuffled_background(positions, COPIES, rng, tomogram.frame)
        at_picks.append(contrast_at(contrast, positions))
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
        np.concatenate(at_picks),
        {hypothesis: np.concatenate(scores) for hypothesis, scores in alternatives.items()},
        np.concatenate(background),
        cross,
        ((refine_peak(around, peak) - len(around) // 2) * contrast.voxel_size)[::-1].copy(),
        float(around.max()),
        {factor: np.concatenate(scores) for factor, scores in at_diameter.items()},
    )


def _z_scores(contrast: WorkingVolume, positions: Positions, places: Float64[np.ndarray, "m 3"]) -> Scores:
    """Return the contrast at positions in standard deviations of that at background positions, from its mean."""
    background = contrast_at(contrast, places)
    z: Scores = (contrast_at(contrast, positions) - background.mean()) / max(float(background.std()), 1e-30)
    return z


def contrast_map(working: WorkingVolume, diameter: float) -> WorkingVolume:
    """Filter a working volume; the map has mean 0 and standard deviation 1, protein positive.

    Parameters
    ----------
    working : WorkingVolume
        Left as it is.
    diameter : float
        Of the particle, Å; down to half of the one that the volume was made for.
    """
    radius = diameter / 2 / working.voxel_size
    values = gaussian_filter(working.data, OUTER * radius)
    values -= gaussian_filter(working.data, INNER * radius)
    moments = moments_of(values)
    values -= np.float32(moments.mean)
    values /= np.float32(max(moments.sd, 1e-30))
    return replace(working, data=values)


def halved(working: WorkingVolume) -> WorkingVolume:
    """Average cubes of 2 voxels a side; a volume too thin for that stays as it is."""
    if min(working.data.shape) < 2:
        return working
    return replace(
        working, data=binned(working.data, 2), voxel_size=2 * working.voxel_size, ratio=2 * working.ratio, mask=None
    )


def contrast_at(contrast: WorkingVolume, positions: Positions) -> Scores:
    """Interpolate a contrast map at positions, (x, y, z) in Å; 0, which is the mean, outside the tomogram."""
    voxels = contrast.from_angstrom(positions)[:, ::-1].T
    values: Scores = map_coordinates(contrast.data, voxels, order=1, mode="constant", cval=0.0, output=np.float64)
    return values


def sum_around(contrast: WorkingVolume, positions: Positions, reach: int) -> Float32[np.ndarray, "edge edge edge"]:
    """Sum the cubes of a contrast map around positions (Å), to `reach` working voxels; 0 outside the tomogram."""
    edge = 2 * reach + 1
    total = np.zeros((edge, edge, edge), dtype=np.float32)
    for corner in np.round(contrast.from_angstrom(positions)[:, ::-1]).astype(int) - reach:
        total += read_padded(contrast.data, cube(corner, edge))
    return total


def shuffled_background(
    positions: Positions, copies: int, rng: np.random.Generator, frame: Frame
) -> Float64[np.ndarray, "m 3"]:
    """Make background positions from x, y and z of different picks, so that each axis is filled alike.

    Random places in the whole volume would compare the cell with the vacuum around it. Fewer than `FEW_PICKS` have too
    few coordinates for that: a single one would be compared with itself. Their places lie anywhere in x and y, at the
    depths of the picks.

    Parameters
    ----------
    positions : Positions
        (x, y, z) in Å.
    copies : int
        Places for each position, or more where positions are few.
    rng : Generator
    frame : Frame
        Of the tomogram.

    Returns
    -------
    Positions
        (x, y, z) in Å.
    """
    shuffled = np.stack([rng.permuted(np.tile(axis, (copies, 1)), axis=1) for axis in positions.T], axis=-1)
    if len(positions) >= FEW_PICKS:
        return np.asarray(shuffled.reshape(-1, 3))
    count = max(copies * len(positions), MIN_PLACES) if copies > 1 else len(positions)
    last = (np.array(frame.shape[::-1]) - 1) * frame.voxel_size
    places = rng.uniform(0, last, (count, 3))
    places[:, 2] = np.resize(positions[:, 2], count)
    return places
