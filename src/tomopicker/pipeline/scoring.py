"""Scores and peaks of a working volume, for training and picking alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tomopicker.config import Settings
from tomopicker.fewshot.solving import solve
from tomopicker.inference.tiles import Progress, Volumes, score_volumes
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.models.tta import TestTimeAugmentation
from tomopicker.picking.greedy import greedy_peaks
from tomopicker.picking.local_maxima import local_peaks
from tomopicker.picking.peaks import Peaks
from tomopicker.preprocessing.crops import bounding_box
from tomopicker.preprocessing.decoys import decoy_volume
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.training.batchnorm import adapt_batchnorm
from tomopicker.types import Piece, Volume, VoxelMask

MAX_PEAKS = 20_000
"""Maximum number of peaks; an untrained network has one nearly everywhere."""
MASK_MARGIN = 16
"""Working voxels around a mask that take part in smoothing and peak fitting."""


@dataclass(frozen=True)
class SearchedPeaks(Peaks):
    """Peaks, and the number of voxels searched for them, since calibration compares densities.

    Attributes
    ----------
    voxels : float
        Working voxels inside the mask, excluding the border.
    """

    voxels: float


def prepare_network(
    network: nn.Module,
    working: WorkingVolume,
    settings: Settings,
    device: torch.device,
    others: Sequence[nn.Module] = (),
) -> nn.Module:
    """Adapt a network to a working volume: batch normalisation, discriminant and test-time augmentation, as configured.

    Parameters
    ----------
    others : sequence of Module
        Discriminants of other kinds that share the network's features; each adds an output.
    """
    if settings.inference.adabn:
        cfg, mask = settings, working.statistics_mask
        network = adapt_batchnorm(network, working.data, cfg.patches.size, device, cfg.precision, mask=mask)
    if isinstance(network, DiscriminantNetwork):
        solve(network, [network, *others], working, settings, device)
    return TestTimeAugmentation(network) if settings.inference.tta else network


def score_working_volume(
    network: nn.Module,
    volume: Volume,
    settings: Settings,
    device: torch.device,
    mask: VoxelMask | None = None,
    progress: Progress | None = None,
) -> Volumes:
    """Score a volume with each output of a network from `prepare_network`, (outputs, z, y, x)."""
    cfg = settings.inference
    return score_volumes(
        network, volume, core=cfg.tile, halo=cfg.halo, device=device, precision=settings.precision,
        progress=progress, mask=mask,
    )  # fmt: skip


def decoy_of(working: WorkingVolume, settings: Settings, particles: VoxelMask | None = None) -> Piece:
    """Make the decoy of a working volume, excluding the power of particles in a mask."""
    return decoy_volume(working.data, working.statistics_mask, settings.seed, particles)


def find_peaks(
    scores: Volume,
    settings: Settings,
    radius: float,
    threshold: float = float("-inf"),
    *,
    min_distance: float | None = None,
    max_particles: int | None = MAX_PEAKS,
    mask: VoxelMask | None = None,
) -> SearchedPeaks:
    """Pick the peaks of a score volume.

    Parameters
    ----------
    scores : Volume
        (z, y, x).
    settings : Settings
        Determine the method: the paper's greedy loop, or local maxima.
    radius : float
        The particle's, in working voxels.
    threshold : float
        Exclusive lower bound of the score.
    min_distance : float, optional
        Working voxels; from the settings if left out.
    max_particles : int, optional
        Maximum number of peaks.
    mask : VoxelMask, optional
        Peaks are restricted to it.
    """
    cfg = settings.picking
    searched = exclude_border(scores.shape, cfg.border_fraction * radius, mask)
    distance = cfg.min_distance_fraction * radius if min_distance is None else min_distance
    if cfg.method == "local":
        box = tuple(slice(0, edge) for edge in scores.shape)
        smoothing = cfg.smoothing_fraction * radius
        if mask is not None:  # Only the box of the mask is smoothed.
            box = bounding_box(mask, margin=MASK_MARGIN + math.ceil(4 * smoothing))
        found = local_peaks(
            scores[box],
            min_distance=distance,
            threshold=threshold,
            smoothing=smoothing,
            max_particles=max_particles,
            mask=None if searched is None else searched[box],
        )
        positions = found.positions_voxels + np.array([part.start for part in box[::-1]], dtype=np.float64)
    else:
        if searched is not None:
            scores = np.where(searched, scores, np.float32("-inf"))
        found = greedy_peaks(scores, distance, max_particles=max_particles, threshold=threshold)
        positions = found.positions_voxels
    return SearchedPeaks(positions, found.scores, float(scores.size if searched is None else searched.sum()))


def exclude_border(shape: Sequence[int], margin: float, mask: VoxelMask | None) -> VoxelMask | None:
    """Remove a margin (voxels) along the volume's border from a mask."""
    if margin <= 0:
        return mask
    inside = np.zeros(shape, dtype=bool)
    # Thin volumes keep their middle.
    widths = [min(math.ceil(margin), (edge - 1) // 2) for edge in shape]
    box = tuple(slice(width, edge - width) for width, edge in zip(widths, shape, strict=True))
    inside[box] = True if mask is None else mask[box]
    return inside
