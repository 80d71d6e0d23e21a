"""Scores and peaks of a working volume, as a model's settings have it; both jobs use it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tomopicker.config import Settings
from tomopicker.engine.batchnorm import adapted
from tomopicker.engine.predict import Progress, score_volume
from tomopicker.picking.peaks import Peaks, greedy_peaks, local_peaks
from tomopicker.types import Volume, VoxelMask


def score(
    network: nn.Module, volume: Volume, settings: Settings, device: torch.device, progress: Progress | None = None
) -> Volume:
    """Give the score volume (logits) of a working volume."""
    knobs = settings.inference
    if knobs.adapt:
        network = adapted(network, volume, settings.patches.size, device, settings.precision)
    return score_volume(
        network,
        volume,
        core=knobs.tile,
        halo=knobs.halo,
        device=device,
        precision=settings.precision,
        progress=progress,
    )


def find_peaks(
    scores: Volume,
    settings: Settings,
    radius: float,
    threshold: float,
    *,
    min_distance: float | None = None,
    max_particles: int | None = None,
    mask: VoxelMask | None = None,
) -> Peaks:
    """Pick the peaks of a score volume.

    Parameters
    ----------
    scores : Volume
        (z, y, x).
    settings : Settings
        Say whether by the paper's greedy loop or by local maxima.
    radius : float
        The particle's, in working voxels.
    threshold : float
        Only scores above it.
    min_distance : float, optional
        Working voxels; the settings' fraction of the radius if left out.
    max_particles : int, optional
        Cap.
    mask : VoxelMask, optional
        Picks only where it is True.
    """
    knobs = settings.picking
    mask = _off_border(scores.shape, knobs.border_fraction * radius, mask)
    distance = knobs.min_distance_fraction * radius if min_distance is None else min_distance
    if knobs.peaks == "local":
        return local_peaks(
            scores,
            min_distance=distance,
            threshold=threshold,
            smoothing=knobs.smoothing_fraction * radius,
            max_particles=max_particles,
            mask=mask,
        )
    if mask is not None:
        scores = scores.copy()
        scores[~mask] = float("-inf")
    return greedy_peaks(scores, distance, max_particles=max_particles, threshold=threshold)


def _off_border(shape: Sequence[int], margin: float, mask: VoxelMask | None) -> VoxelMask | None:
    """Take a margin (voxels) along the volume's border out of a mask."""
    if margin <= 0:
        return mask
    inside = np.zeros(shape, dtype=bool)
    # Thin volumes keep their middle.
    widths = [min(math.ceil(margin), (edge - 1) // 2) for edge in shape]
    box = tuple(slice(width, edge - width) for width, edge in zip(widths, shape, strict=True))
    inside[box] = True if mask is None else mask[box]
    return inside
