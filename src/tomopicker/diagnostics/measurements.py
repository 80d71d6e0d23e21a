"""Contrast at picks under every hypothesis, and at background positions.

The contrast map is the tomogram filtered at the particle's scale, with dark made positive. A difference of Gaussians
depends only on the particle's diameter, so it favours no hypothesis. Tomograms are processed one after another, so that
checking many takes the memory of one.
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
"""Approximate particle diameter in working voxels; the filter removes finer detail anyway."""
INNER_SD_RADII, OUTER_SD_RADII = 0.5, 1.2
"""Standard deviations of the two Gaussians, in particle radii."""
CLIP_SD = 4.0
MIN_SHUFFLED = 10
"""Minimum number of picks whose coordinates are shuffled for the background, and whose statistics are conclusive."""
MIN_BACKGROUND = 200
"""Minimum number of background positions."""
BACKGROUND_PER_PICK = 20
MAX_OFFSET_DIAMETERS = 1.5
"""Maximum constant offset that is searched, in particle diameters."""


@dataclass(frozen=True)
class Measurements:
    """Contrast at n picks, and at their positions under every hypothesis.

    Parameters
    ----------
    at_picks : array, shape (n,)
        Contrast at the picks.
    alternatives : dict of Hypothesis to array, shape (n,)
        Contrast at the positions corrected by each hypothesis.
    background : array
        Contrast at background positions.
    cross : dict of (str, str) to array
        Contrast at the picks of one tomogram in another one.
    offset : array, shape (3,)
        Offset from the picks with the highest mean contrast, (x, y, z) in Å.
    at_offset : float
        Mean contrast at that offset.
    at_diameter : dict of float to array, shape (n,)
        By factor on the diameter, the contrast at the picks with a filter for that diameter, as z-scores of the
        background.
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
        """Standard error of the mean contrast of n positions, at least that of the map's unit standard deviation."""
        return max(float(self.background.std()), 1.0) / float(np.sqrt(len(self.at_picks)))

    def z(self, contrast: Float64[np.ndarray, "..."] | float) -> float:
        """Return the difference of a mean contrast from the background's, in standard errors."""
        return (float(np.mean(contrast)) - float(self.background.mean())) / self.error


def score_hypotheses(
    tomograms: Sequence[Tomogram], picks: Picks, diameter: float, rng: np.random.Generator
) -> Measurements:
    """Measure the contrast at picks under every hypothesis of `hypotheses`.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Tomograms of the picks, each with picks, of nearly the same voxel size.
    picks : Picks
        In Å; may lie outside the tomograms.
    diameter : float
        Particle diameter in Å.
    rng : Generator
        Draws the background positions.
    """
    at_picks: list[Scores] = []
    background: list[Scores] = []
    alternatives: dict[Hypothesis, list[Scores]] = {
        hypothesis: [] for hypothesis in hypotheses(tomograms[0].voxel_size)
    }
    at_diameter: dict[float, list[Scores]] = {0.5: [], 1.0: [], 2.0: []}
    cross: dict[tuple[str, str], Scores] = {}
    cubes: list[Volume] = []
    for tomogram in tomograms:
        working_size = working_voxel_size(tomogram.voxel_size, diameter, WORKING_DIAMETER)
        working = preprocess(tomogram, working_size, CLIP_SD)
        contrast = _contrast_map(working, diameter)
        positions = picks.in_tomogram(tomogram.name).positions
        empty = shuffled_background(positions, BACKGROUND_PER_PICK, rng, tomogram.frame)
        at_picks.append(_contrast_at(contrast, positions))
        background.append(_contrast_at(contrast, empty))
        for hypothesis, scores in alternatives.items():
            scores.append(_contrast_at(contrast, hypothesis.transform(positions, tomogram.frame)))
        for name in picks.tomogram_names:
            if name != tomogram.name:
                cross[name, tomogram.name] = _contrast_at(contrast, picks.in_tomogram(name).positions)
        cubes.append(_sum_around(contrast, positions, round(MAX_OFFSET_DIAMETERS * diameter / contrast.voxel_size)))
        maps = _contrast_map(working, diameter / 2), contrast, _contrast_map(halved(working), 2 * diameter)
        for scores, filtered in zip(at_diameter.values(), maps, strict=True):
            scores.append(_z_scores(filtered, positions, empty))
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


def _z_scores(contrast: WorkingVolume, positions: Positions, empty: Float64[np.ndarray, "m 3"]) -> Scores:
    """Return the contrast at positions as z-scores of that at background positions."""
    background = _contrast_at(contrast, empty)
    z: Scores = (_contrast_at(contrast, positions) - background.mean()) / max(float(background.std()), 1e-30)
    return z


def _contrast_map(working: WorkingVolume, diameter: float) -> WorkingVolume:
    """Compute the contrast map of a working volume: mean 0, standard deviation 1, protein positive.

    Parameters
    ----------
    working : WorkingVolume
        Not modified.
    diameter : float
        Particle diameter in Å, at least half of that for which the volume was made.
    """
    radius = diameter / 2 / working.voxel_size
    values = gaussian_filter(working.data, OUTER_SD_RADII * radius)
    values -= gaussian_filter(working.data, INNER_SD_RADII * radius)
    moments = moments_of(values)
    values -= np.float32(moments.mean)
    values /= np.float32(max(moments.sd, 1e-30))
    return replace(working, data=values)


def halved(working: WorkingVolume) -> WorkingVolume:
    """Bin a working volume by 2; a volume with an axis of one voxel is returned unchanged."""
    if min(working.data.shape) < 2:
        return working
    return replace(
        working, data=binned(working.data, 2), voxel_size=2 * working.voxel_size, ratio=2 * working.ratio, mask=None
    )


def _contrast_at(contrast: WorkingVolume, positions: Positions) -> Scores:
    """Interpolate a contrast map at positions, (x, y, z) in Å; 0, which is the mean, outside the tomogram."""
    voxels = contrast.from_angstrom(positions)[:, ::-1].T
    values: Scores = map_coordinates(contrast.data, voxels, order=1, mode="constant", cval=0.0, output=np.float64)
    return values


def _sum_around(contrast: WorkingVolume, positions: Positions, half: int) -> Float32[np.ndarray, "edge edge edge"]:
    """Sum the cubes of 2·half + 1 voxels of a contrast map around positions (Å); 0 outside the tomogram."""
    edge = 2 * half + 1
    total = np.zeros((edge, edge, edge), dtype=np.float32)
    for corner in np.round(contrast.from_angstrom(positions)[:, ::-1]).astype(int) - half:
        total += read_padded(contrast.data, cube(corner, edge))
    return total


def shuffled_background(
    positions: Positions, copies: int, rng: np.random.Generator, frame: Frame
) -> Float64[np.ndarray, "m 3"]:
    """Make background positions from x, y and z of different picks, which preserves the distribution along each axis.

    Random positions in the whole volume would compare the cell with the vacuum around it. Fewer than `MIN_SHUFFLED`
    picks have too few coordinates to shuffle; their background positions are random in x and y, at the picks' depths.

    Parameters
    ----------
    positions : Positions
        (x, y, z) in Å.
    copies : int
        Background positions per pick; more if there are few picks and more than one is asked for.
    rng : Generator
    frame : Frame
        Geometry of the tomogram.

    Returns
    -------
    Positions
        (x, y, z) in Å.
    """
    shuffled = np.stack([rng.permuted(np.tile(axis, (copies, 1)), axis=1) for axis in positions.T], axis=-1)
    if len(positions) >= MIN_SHUFFLED:
        return np.asarray(shuffled.reshape(-1, 3))
    count = max(copies * len(positions), MIN_BACKGROUND) if copies > 1 else len(positions)
    background = rng.uniform(0, frame.last_voxel, (count, 3))
    background[:, 2] = np.resize(positions[:, 2], count)
    return background
