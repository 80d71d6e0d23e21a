"""Training tomograms with their clicks: preprocessed, checked, and some held out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tomopicker.config import Settings
from tomopicker.data.preprocess import WorkingVolume, preprocess, working_voxel_size
from tomopicker.errors import UsageError
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions
from tomopicker.workflow.inputs import bright_clicks, check_diameter, check_voxel_size
from tomopicker.workflow.listen import Listener


@dataclass(frozen=True)
class Clicked:
    """A training tomogram: its working volume and its clicks in working voxels, (x, y, z)."""

    name: str
    working: WorkingVolume
    clicks: Positions


def common_voxel_size(tomograms: Sequence[Tomogram], settings: Settings) -> float:
    """Choose the working voxel size, in Å, for training tomograms, from the finest of them."""
    for tomogram in tomograms:
        check_diameter(settings.particle_diameter, tomogram)
    finest = min(tomogram.voxel_size for tomogram in tomograms)
    return working_voxel_size(finest, settings.particle_diameter, settings.preprocess.working_diameter)


def load_clicked(
    tomograms: Sequence[Tomogram], picks: Picks | None, settings: Settings, voxel_size: float, listener: Listener
) -> list[Clicked]:
    """Preprocess tomograms that were clicked in; each must have clicks."""
    loaded = []
    for tomogram in tomograms:
        check_voxel_size(tomogram, voxel_size, settings.particle_diameter)
        mine = picks.in_tomogram(tomogram.name) if picks is not None else Picks.of(tomogram.name, np.empty((0, 3)))
        if not len(mine):
            raise UsageError(
                f"{tomogram.path or tomogram.name}: none of the picks given lies in it; leave it out or add picks"
            )
        working = preprocess(tomogram, voxel_size, settings.preprocess.clip_sd)
        resampled = (
            "" if working.ratio == 1 else f", resampled from {tomogram.voxel_size:.4g} to {voxel_size:.4g} Å voxels"
        )
        listener.say(f"{tomogram.name}: {len(mine)} clicks{resampled}.")
        loaded.append(Clicked(tomogram.name, working, working.from_angstrom(mine.positions)))
    return loaded


def warn_of_bright_clicks(clicked: Sequence[Clicked], radius: float, listener: Listener) -> None:
    """Warn where particles look bright: the program takes protein for dark."""
    for item in clicked:
        if bright_clicks(item.working, item.clicks, radius):
            listener.warn(
                f"{item.name}: the clicks are brighter than their surroundings; if protein is bright use --invert"
            )


def hold_out(clicked: list[Clicked], settings: Settings, listener: Listener) -> tuple[list[Clicked], list[Clicked]]:
    """Set some clicks aside at random, if there are 10 or more, to follow the training on."""
    total = sum(len(item.clicks) for item in clicked)
    if total < 10:
        return clicked, []
    share = settings.training.hold_out
    kept, held = [], []
    for index, item in enumerate(clicked):
        order = np.random.default_rng([settings.seed, 11, index]).permutation(len(item.clicks))
        out = round(share * len(order))
        kept.append(replace(item, clicks=item.clicks[order[out:]]))
        if out:
            held.append(replace(item, clicks=item.clicks[order[:out]]))
    listener.say(f"{sum(len(item.clicks) for item in held)} of {total} clicks are held out to follow the training.")
    return kept, held
