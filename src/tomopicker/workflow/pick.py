"""From a model and a tomogram to picks: preprocess, score tile by tile, find peaks above the threshold."""

from dataclasses import dataclass

import numpy as np
import torch

from tomopicker.data.preprocess import WorkingVolume, preprocess, resampled_mask
from tomopicker.engine.checkpoint import Model
from tomopicker.errors import UsageError
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Volume, VoxelMask
from tomopicker.workflow.inputs import check_voxel_size
from tomopicker.workflow.listen import Listener, Silent
from tomopicker.workflow.score import find_peaks, score


@dataclass(frozen=True)
class Picked:
    """What picking one tomogram gave.

    Parameters
    ----------
    picks : Picks
        Best first, scores as logits.
    scores : Volume
        Score volume (logits) on the working grid, (z, y, x).
    working : WorkingVolume
        What was scored, and where its voxels lie.
    threshold : float
        That was used.
    """

    picks: Picks
    scores: Volume
    working: WorkingVolume
    threshold: float


def pick(
    tomogram: Tomogram,
    model: Model,
    *,
    threshold: float | None = None,
    max_particles: int | None = None,
    min_distance: float | None = None,
    mask: VoxelMask | None = None,
    device: torch.device | None = None,
    listener: Listener | None = None,
) -> Picked:
    """Pick the particles of one tomogram.

    Parameters
    ----------
    tomogram : Tomogram
        Of any voxel size; resampled to the model's.
    model : Model
        From `train` or `load_model`.
    threshold : float, optional
        Least score (logit); the model's own if left out.
    max_particles : int, optional
        Keep only the best so many.
    min_distance : float, optional
        Å between two picks; from the particle diameter if left out.
    mask : VoxelMask, optional
        Of the tomogram's shape; picks only where it is True.
    device : torch.device, optional
        Where the network is; the CPU if left out.
    listener : Listener, optional
        Hears of the tiles done.

    Returns
    -------
    Picked

    Raises
    ------
    TomoPickerError
        If the tomogram cannot be used: NaN, constant, too coarse, or a mask of another shape.
    """
    listener = listener or Silent()
    settings = model.settings
    check_voxel_size(tomogram, model.voxel_size, settings.particle_diameter)
    if mask is not None and mask.shape != tomogram.shape:
        raise UsageError(
            f"--mask has shape {mask.shape} (z, y, x) but {tomogram.path or tomogram.name} {tomogram.shape}; "
            "give a mask made for this tomogram"
        )
    working = preprocess(tomogram, model.voxel_size, settings.preprocess.clip_sd)
    scores = score(
        model.network,
        working.data,
        settings,
        device or torch.device("cpu"),
        lambda done, total: listener.scored(tomogram.name, done, total),
    )
    cut = model.threshold if threshold is None else threshold
    peaks = find_peaks(
        scores,
        settings,
        model.radius,
        cut,
        min_distance=None if min_distance is None else min_distance / model.voxel_size,
        max_particles=max_particles,
        mask=None if mask is None else resampled_mask(mask, scores.shape, working.ratio),
    )
    positions = working.to_angstrom(peaks.positions_voxels) + np.asarray(tomogram.origin)
    # A working voxel at the rim may reach half a voxel beyond the tomogram; a pick may not.
    last = (np.array(tomogram.frame.shape[::-1]) - 1) * tomogram.frame.voxel_size
    picks = Picks.of(tomogram.name, np.clip(positions, 0, last), peaks.scores.astype(np.float64))
    return Picked(picks, scores, working, cut)
