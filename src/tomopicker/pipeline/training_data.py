"""Training tomograms with their clicks: preprocessed, checked, and some held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from tomopicker.config import Settings
from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
from tomopicker.picking.calibration import Count
from tomopicker.picking.peaks import suppress_near
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.input_checks import (
    bright_clicks,
    check_diameter,
    check_voxel_size,
    diameter_warning,
    spread_warning,
)
from tomopicker.preprocessing.preprocess import WorkingVolume, preprocess, working_voxel_size
from tomopicker.tomogram import Tomogram
from tomopicker.training.labels import NO_POSITIONS
from tomopicker.types import Ambiguous, Negatives, Positions, PseudoPositives, VoxelMask
from tomopicker.wording import number_of


@dataclass(frozen=True)
class TrainingTomogram:
    """A training tomogram, and what is known of it.

    Parameters
    ----------
    name : str
    working : WorkingVolume
    clicks : Positions
        (x, y, z) in working voxels, as all that follow.
    rejected : Negatives
        Picks that are something else.
    sure : PseudoPositives
        Confident picks of earlier rounds, learnt from like clicks.
    doubtful : Ambiguous
        Picks of earlier rounds that are taken neither for particles nor for background.
    """

    name: str
    working: WorkingVolume
    clicks: Positions
    rejected: Negatives = field(default_factory=lambda: NO_POSITIONS)
    sure: PseudoPositives = field(default_factory=lambda: NO_POSITIONS)
    doubtful: Ambiguous = field(default_factory=lambda: NO_POSITIONS)


def common_voxel_size(tomograms: Sequence[Tomogram], settings: Settings) -> float:
    """Choose the working voxel size, in Å, for training tomograms, from the finest of them."""
    for tomogram in tomograms:
        check_diameter(settings.particle_diameter, tomogram)
    finest = min(tomogram.voxel_size for tomogram in tomograms)
    return working_voxel_size(finest, settings.particle_diameter, settings.preprocess.working_diameter)


def load_training_tomograms(
    tomograms: Sequence[Tomogram],
    picks: Picks | None,
    settings: Settings,
    voxel_size: float,
    callback: Callback,
    *,
    rejected: Picks | None = None,
    masks: Mapping[str, VoxelMask] | None = None,
) -> list[TrainingTomogram]:
    """Preprocess tomograms that were clicked in; each must have clicks, not each rejected picks or a mask.

    Without training, rejected picks alone are something to know of a tomogram, too.
    """
    loaded, diameter = [], settings.particle_diameter
    trains = settings.network.head == "trained"
    for tomogram in tomograms:
        check_voxel_size(tomogram, voxel_size, settings.particle_diameter)
        if doubt := diameter_warning(settings.particle_diameter, tomogram):
            callback.warn(doubt)
        mine = picks.in_tomogram(tomogram.name) if picks is not None else Picks.of(tomogram.name, np.empty((0, 3)))
        others = Picks.of(tomogram.name, np.empty((0, 3))) if rejected is None else rejected.in_tomogram(tomogram.name)
        if not len(mine) and (trains or not len(others)):
            raise UsageError(
                f"{tomogram.path or tomogram.name}: none of the picks given lies in it; leave it out or add picks"
            )
        if doubt := spread_warning(tomogram, mine.positions, settings.particle_diameter):
            callback.warn(doubt)
        check_clash(str(tomogram.path or tomogram.name), tomogram.frame, mine.positions, others.positions, diameter)
        found: Literal["auto"] | None = "auto" if settings.preprocess.mask == "auto" else None
        mask = (masks or {}).get(tomogram.name)
        working = preprocess(tomogram, voxel_size, settings.preprocess.clip_sd, found if mask is None else mask)
        resampled = (
            "" if working.ratio == 1 else f", resampled from {tomogram.voxel_size:.4g} to {voxel_size:.4g} Å voxels"
        )
        against = f", {number_of(len(others), 'rejected pick')}" if len(others) else ""
        inside = "" if working.mask is None else f"; {inside_of(working, found=mask is None)}"
        callback.log(f"{tomogram.name}: {number_of(len(mine), 'click')}{against}{resampled}{inside}.")
        clicks, rejects = (working.from_angstrom(part.positions) for part in (mine, others))
        loaded.append(TrainingTomogram(tomogram.name, working, clicks, rejects))
    return loaded


def inside_of(working: WorkingVolume, *, found: bool) -> str:
    """Say how much of a tomogram its mask leaves."""
    return f"{'lamella found' if found else 'mask'}: {100 * working.mask_fraction:.0f} % of the volume"


def without_repeats(picks: Picks, diameter: float, callback: Callback) -> Picks:
    """Leave out clicks nearer than half a diameter (Å) to an earlier one: two on a particle would count as two."""
    apart = np.zeros(len(picks), dtype=bool)
    for name in picks.tomogram_names:
        rows = np.flatnonzero(picks.tomograms == name)
        apart[rows[suppress_near(picks.positions[rows], diameter / 2, len(rows))]] = True
    repeated = int((~apart).sum())
    if repeated:
        callback.warn(
            f"{repeated} of {len(picks)} clicks are left out: each lies nearer than half the diameter "
            f"({diameter / 2:g} Å) to an earlier one, on the same particle"
        )
    return picks.select(apart)


def check_clash(file: str, frame: Frame, clicks: Positions, rejected: Negatives, diameter: float) -> None:
    """Refuse a rejected pick that is a click as well; positions and diameter in Å, the file to be named.

    Raises
    ------
    UsageError
        One line that names the nearest such pair.
    """
    if not len(clicks) or not len(rejected):
        return
    distances = np.linalg.norm(rejected[:, None] - clicks[None], axis=2)
    worst = np.unravel_index(np.argmin(distances), distances.shape)
    if distances[worst] < diameter / 2:
        bad, click = (
            "({:.0f}, {:.0f}, {:.0f})".format(*(place / frame.voxel_size))
            for place in (rejected[worst[0]], clicks[worst[1]])
        )
        raise UsageError(
            f"{file}: the rejected pick at {bad} (voxels) is {distances[worst]:.0f} Å from "
            f"the click at {click}: one particle; take one of them out of --negatives or --picks"
        )


def number_of_clicks(clicked: Sequence[TrainingTomogram]) -> int:
    """Count the clicks in all of some tomograms."""
    return sum(len(item.clicks) for item in clicked)


def at_least(count: Count, clicks: int) -> Count:
    """Raise a count and both ends of its interval to the clicks in the same tomograms: these are particles."""
    return Count(*(max(value, float(clicks)) for value in (count.estimate, count.low, count.high)))


def clicks_outside(clicked: Sequence[TrainingTomogram]) -> tuple[int, int]:
    """Count the clicks that lie outside the masks, and all."""
    outside = total = 0
    for item in clicked:
        total += len(item.clicks)
        if item.working.mask is not None:
            last = np.array(item.working.mask.shape) - 1
            places = np.clip(np.round(item.clicks[:, ::-1]).astype(int), 0, last)
            outside += int((~item.working.mask[tuple(places.T)]).sum())
    return outside, total


def warn_bright_clicks(clicked: Sequence[TrainingTomogram], radius: float, callback: Callback) -> None:
    """Warn where particles look bright: the program takes protein for dark."""
    for item in clicked:
        if len(item.clicks) and bright_clicks(item.working, item.clicks, radius):
            callback.warn(
                f"{item.name}: the clicks are brighter than their surroundings; if protein is bright use --invert"
            )


def hold_out(
    clicked: list[TrainingTomogram], settings: Settings, callback: Callback
) -> tuple[list[TrainingTomogram], list[TrainingTomogram]]:
    """Set some clicks aside at random, if there are 10 or more, to follow the training on; one a tomogram stays."""
    total = number_of_clicks(clicked)
    if total < 10:
        return clicked, []
    share = settings.training.validation_fraction
    kept, held = [], []
    for index, item in enumerate(clicked):
        order = np.random.default_rng([settings.seed, 11, index]).permutation(len(item.clicks))
        out = min(round(share * len(order)), len(order) - 1)
        kept.append(replace(item, clicks=item.clicks[order[out:]]))
        if out:
            held.append(replace(item, clicks=item.clicks[order[:out]]))
    if held:
        callback.log(f"{number_of_clicks(held)} of {total} clicks are held out to follow the training.")
    return kept, held
