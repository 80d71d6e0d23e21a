"""Scores and peaks of a working volume, as a model's settings have it; both jobs use it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tomopicker.config import Settings
from tomopicker.fewshot.solving import solved, solved_together
from tomopicker.inference.tiles import Progress, Volumes, score_volumes
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.models.tta import TestTimeAugmentation
from tomopicker.picking.peaks import Peaks, greedy_peaks, local_peaks
from tomopicker.preprocessing.crops import bounding_box
from tomopicker.preprocessing.decoys import decoy_volume
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.training.batchnorm import adapt_batchnorm
from tomopicker.types import Scores, Volume, VoxelMask

MAX_PEAKS = 20_000
"""Largest number of peaks: an untrained network has one nearly everywhere."""
MASK_MARGIN = 16
"""Working voxels around a mask that are used for smoothing and for fits of peaks."""


def prepare_network(network: nn.Module, working: WorkingVolume, settings: Settings, device: torch.device) -> nn.Module:
    """Adapt a network to a working volume: batch normalisation, discriminant and test-time augmentation, as set."""
    network = _adapted(network, working, settings, device)
    if isinstance(network, DiscriminantNetwork):
        network = solved(network, working, settings, device)
    return TestTimeAugmentation(network) if settings.inference.tta else network


def prepare_networks(
    networks: Sequence[nn.Module], working: WorkingVolume, settings: Settings, device: torch.device
) -> nn.Module:
    """Adapt one network, or join discriminants that share their features to one network with an output for each."""
    if len(networks) == 1:
        return prepare_network(networks[0], working, settings, device)
    first, others = _adapted(networks[0], working, settings, device), networks[1:]
    lines = [each for each in others if isinstance(each, DiscriminantNetwork)]
    if not isinstance(first, DiscriminantNetwork) or len(lines) < len(others):
        raise TypeError("only discriminants share their features")
    joint = solved_together(first, lines, working, settings, device)
    return TestTimeAugmentation(joint) if settings.inference.tta else joint


def _adapted(network: nn.Module, working: WorkingVolume, settings: Settings, device: torch.device) -> nn.Module:
    if not settings.inference.adabn:
        return network
    return adapt_batchnorm(
        network, working.data, settings.patches.size, device, settings.precision, mask=working.statistics_mask
    )


def score_working_volume(
    network: nn.Module,
    volume: Volume,
    settings: Settings,
    device: torch.device,
    mask: VoxelMask | None = None,
    progress: Progress | None = None,
) -> Volume:
    """Score a volume with a network from `prepare_network`."""
    scores: Volume = score_outputs(network, volume, settings, device, mask, progress)[0]
    return scores


def score_outputs(
    network: nn.Module,
    volume: Volume,
    settings: Settings,
    device: torch.device,
    mask: VoxelMask | None = None,
    progress: Progress | None = None,
) -> Volumes:
    """Score a volume with all outputs of a network from `prepare_networks`, (outputs, z, y, x)."""
    cfg = settings.inference
    return score_volumes(
        network, volume, core=cfg.tile, halo=cfg.halo, device=device, precision=settings.precision,
        progress=progress, mask=mask,
    )  # fmt: skip


def searched_voxels(shape: Sequence[int], settings: Settings, radius: float, mask: VoxelMask | None) -> float:
    """Number of voxels of a volume that are searched for peaks."""
    inside = exclude_border(shape, settings.picking.border_fraction * radius, mask)
    return float(np.prod(shape) if inside is None else inside.sum())


def mean_scores(
    fitted: Sequence[nn.Module], volume: Volume, settings: Settings, device: torch.device, mask: VoxelMask | None = None
) -> Volume:
    """Give the mean score of prepared networks; at most two score volumes are held."""
    scores = score_working_volume(fitted[0], volume, settings, device, mask)
    for network in fitted[1:]:
        scores += score_working_volume(network, volume, settings, device, mask)
    scores /= len(fitted)
    return scores


def decoy_peaks(
    fitted: Sequence[nn.Module], working: WorkingVolume, settings: Settings, radius: float, device: torch.device
) -> tuple[Scores, float]:
    """Score a decoy of a working volume.

    Parameters
    ----------
    fitted : sequence of Module
        From `prepare_network`; their scores are averaged.
    working : WorkingVolume
    settings : Settings
    radius : float
        The particle's, in working voxels.
    device : torch.device

    Returns
    -------
    scores : array, shape (n,)
        Logits of the decoy's peaks.
    voxels : float
        Number of voxels that were searched.
    """
    scores = mean_scores(fitted, decoy_of(working, settings), settings, device)
    return peaks_of_decoy(scores, settings, radius)


def decoy_of(working: WorkingVolume, settings: Settings) -> Volume:
    """Make the decoy of a working volume."""
    return decoy_volume(working.data, working.statistics_mask, settings.seed)


def peaks_of_decoy(scores: Volume, settings: Settings, radius: float) -> tuple[Scores, float]:
    """Give the scores of a decoy's peaks, and the number of voxels that were searched."""
    found = find_peaks(scores, settings, radius, float("-inf"), max_particles=MAX_PEAKS)
    return found.scores.astype(np.float64), searched_voxels(scores.shape, settings, radius, None)


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
        Method: the paper's greedy loop, or local maxima.
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
    cfg = settings.picking
    specimen, mask = mask, exclude_border(scores.shape, cfg.border_fraction * radius, mask)
    distance = cfg.min_distance_fraction * radius if min_distance is None else min_distance
    if cfg.method == "local":
        # Only the box of the mask is smoothed.
        smoothing = cfg.smoothing_fraction * radius
        whole = tuple(slice(0, edge) for edge in scores.shape)
        box = whole if specimen is None else bounding_box(specimen, margin=MASK_MARGIN + math.ceil(4 * smoothing))
        found = local_peaks(
            scores[box],
            min_distance=distance,
            threshold=threshold,
            smoothing=smoothing,
            max_particles=max_particles,
            mask=None if mask is None else mask[box],
        )
        start = np.array([part.start for part in box[::-1]], dtype=np.float64)
        return Peaks(found.positions_voxels + start, found.scores)
    if mask is not None:
        scores = scores.copy()
        scores[~mask] = float("-inf")
    return greedy_peaks(scores, distance, max_particles=max_particles, threshold=threshold)


def exclude_border(shape: Sequence[int], margin: float, mask: VoxelMask | None) -> VoxelMask | None:
    """Take a margin (voxels) along the volume's border out of a mask."""
    if margin <= 0:
        return mask
    inside = np.zeros(shape, dtype=bool)
    # Thin volumes keep their middle.
    widths = [min(math.ceil(margin), (edge - 1) // 2) for edge in shape]
    box = tuple(slice(width, edge - width) for width, edge in zip(widths, shape, strict=True))
    inside[box] = True if mask is None else mask[box]
    return inside
