"""Training tomograms: preprocessed, with clicks and negatives, some of which may be held out for validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tomopicker.config import Settings
from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
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
from tomopicker.preprocessing.preprocess import WorkingVolume, working_volume, working_voxel_size
from tomopicker.tomogram import Tomogram
from tomopicker.training.labels import NO_POSITIONS
from tomopicker.types import Ambiguous, Negatives, Positions, PseudoPositives, VoxelMask
from tomopicker.wording import number_of


@dataclass(frozen=True)
class TrainingTomogram:
    """A training tomogram and its labelled positions.

    Parameters
    ----------
    clicks : Positions
        (x, y, z) in working voxels, like all positions below.
    rejected : Negatives
        Known background.
    pseudo_positives : PseudoPositives
        Pseudo-labels, which are trained on like clicks.
    ambiguous : Ambiguous
        Picks whose surroundings are ignored: neither particles nor background.
    """

    name: str
    frame: Frame
    working: WorkingVolume
    clicks: Positions
    rejected: Negatives = field(default_factory=lambda: NO_POSITIONS)
    pseudo_positives: PseudoPositives = field(default_factory=lambda: NO_POSITIONS)
    ambiguous: Ambiguous = field(default_factory=lambda: NO_POSITIONS)


def common_voxel_size(tomograms: Sequence[Tomogram], settings: Settings) -> float:
    """Choose the working voxel size (Å) of training tomograms, from the finest of them."""
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
    """Preprocess training tomograms; each must have clicks or, for the discriminant, negatives.

    Parameters
    ----------
    picks : Picks or None
        The clicks.
    voxel_size : float
        Å, of the working volumes.
    callback : Callback
        Receives messages about the input, and warnings.
    masks : mapping of str to VoxelMask, optional
        Specimen masks by tomogram.

    Raises
    ------
    UsageError
        If a tomogram has no clicks, or a negative coincides with a click.
    """
    loaded = []
    for tomogram in tomograms:
        clicks, negatives = check_tomogram(tomogram, picks, rejected, settings, voxel_size, callback)
        mask = (masks or {}).get(tomogram.name)
        working = working_volume(tomogram, voxel_size, settings.preprocess, mask)
        against = f", {number_of(len(negatives), 'negative')}" if len(negatives) else ""
        resampled = f", resampled from {tomogram.voxel_size:.4g} to {voxel_size:.4g} Å voxels"
        where = "lamella found" if mask is None else "mask"
        inside = "" if working.mask is None else f"; {where}: {100 * working.mask_fraction:.0f}% of the volume"
        callback.log(
            f"{tomogram.name}: {number_of(len(clicks), 'click')}{against}"
            f"{'' if working.ratio == 1 else resampled}{inside}."
        )
        positions = (working.from_angstrom(part.positions) for part in (clicks, negatives))
        loaded.append(TrainingTomogram(tomogram.name, tomogram.frame, working, *positions))
    return loaded


def check_tomogram(
    tomogram: Tomogram,
    picks: Picks | None,
    rejected: Picks | None,
    settings: Settings,
    voxel_size: float,
    callback: Callback,
) -> tuple[Picks, Picks]:
    """Check a tomogram and the clicks and negatives in it; parameters and errors as for `load_training_tomograms`.

    Returns
    -------
    clicks, rejected : Picks
        Those in this tomogram.
    """
    diameter, file = settings.particle_diameter, tomogram.path or tomogram.name
    check_voxel_size(tomogram, voxel_size, diameter)
    if warning := diameter_warning(diameter, tomogram):
        callback.warn(warning)
    nothing = Picks.of(tomogram.name, np.empty((0, 3)))
    clicks, negatives = (nothing if each is None else each.in_tomogram(tomogram.name) for each in (picks, rejected))
    if not len(clicks) and (settings.network.head == "trained" or not len(negatives)):
        raise UsageError(f"{file}: has no picks; leave it out or add picks")
    if warning := spread_warning(tomogram, clicks.positions, diameter):
        callback.warn(warning)
    check_clash(str(file), tomogram.frame, clicks.positions, negatives.positions, diameter)
    return clicks, negatives


def remove_repeated_clicks(picks: Picks, diameter: float, callback: Callback) -> Picks:
    """Remove clicks within half a diameter (Å) of an earlier one: repeated clicks on one particle."""
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
    """Refuse negatives that coincide with a click; positions and diameter in Å.

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
            f"{file}: the negative at {bad} (voxels) is {distances[worst]:.0f} Å from "
            f"the click at {click}: one particle; take one of them out of --negatives or --picks"
        )


def number_of_clicks(clicked: Sequence[TrainingTomogram]) -> int:
    """Count the clicks in all tomograms."""
    return sum(len(item.clicks) for item in clicked)


def clicks_outside(clicked: Sequence[TrainingTomogram]) -> tuple[int, int]:
    """Count the clicks outside the masks, and all clicks."""
    outside = total = 0
    for item in clicked:
        total += len(item.clicks)
        if item.working.mask is not None:
            last = np.array(item.working.mask.shape) - 1
            places = np.clip(np.round(item.clicks[:, ::-1]).astype(int), 0, last)
            outside += int((~item.working.mask[tuple(places.T)]).sum())
    return outside, total


def warn_bright_clicks(clicked: Sequence[TrainingTomogram], radius: float, callback: Callback) -> None:
    """Warn if clicked particles are bright; protein must be dark."""
    for item in clicked:
        if len(item.clicks) and bright_clicks(item.working, item.clicks, radius):
            callback.warn(
                f"{item.name}: the clicks are brighter than their surroundings; if protein is bright use --invert"
            )


def hold_out(
    clicked: list[TrainingTomogram], settings: Settings, callback: Callback
) -> tuple[list[TrainingTomogram], list[TrainingTomogram]]:
    """Hold out a random fraction of 10 or more clicks for validation; each tomogram keeps at least one."""
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
        callback.log(f"{number_of_clicks(held)} of {total} clicks are held out for validation.")
    return kept, held
