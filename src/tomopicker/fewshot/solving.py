"""Setting a discriminant network's last layer for a tomogram."""

from collections.abc import Sequence

import numpy as np
import torch

from tomopicker.config import Settings
from tomopicker.fewshot.discriminant import Discriminant, Statistics, discriminant, statistics_of
from tomopicker.fewshot.extraction import feature_map
from tomopicker.fewshot.feature_map import GridMask, blocks_of
from tomopicker.models.discriminant import DiscriminantNetwork, JointDiscriminants
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.types import VoxelMask

ROWS = 2**16
"""Feature voxels that statistics are measured on, in tiles drawn at random: several hundred for each channel."""
TILE = 64


def solved(
    network: DiscriminantNetwork, working: WorkingVolume, settings: Settings, device: torch.device
) -> DiscriminantNetwork:
    """Set the linear map of a network for a working volume, whose batch normalisation it has; give the network."""
    line = _line(network, sampled_statistics(network, working, settings, device))
    network.weights = torch.from_numpy(line.weights.astype(np.float32)).to(device)
    network.bias = torch.tensor(line.bias, dtype=torch.float32, device=device)
    return network


def solved_together(
    first: DiscriminantNetwork,
    others: Sequence[DiscriminantNetwork],
    working: WorkingVolume,
    settings: Settings,
    device: torch.device,
) -> JointDiscriminants:
    """Solve the discriminants of several kinds on the features of one network, which are computed once for all.

    Parameters
    ----------
    first : DiscriminantNetwork
        With the batch normalisation of the working volume.
    others : sequence of DiscriminantNetwork
        Of the same weights; their clicks and rejected picks are used.
    working, settings, device
        As for `solved`.
    """
    statistics = sampled_statistics(first, working, settings, device)
    lines = [_line(network, statistics) for network in (first, *others)]
    weights = np.stack([line.weights for line in lines]).astype(np.float32)
    bias = np.array([line.bias for line in lines], dtype=np.float32)
    return JointDiscriminants(first.body, torch.from_numpy(weights).to(device), torch.from_numpy(bias).to(device))


def _line(network: DiscriminantNetwork, statistics: Statistics) -> Discriminant:
    points = (network.clicks, network.rejected)
    clicks, rejected = (each.double().cpu().numpy() for each in points)
    return discriminant(statistics, clicks, rejected)


def sampled_statistics(
    network: DiscriminantNetwork, working: WorkingVolume, settings: Settings, device: torch.device
) -> Statistics:
    """Measure the features of a part of a specimen."""
    features = feature_map(
        network.body, working.data, tile=TILE, halo=settings.inference.halo, device=device,
        precision=settings.precision, mask=working.mask, most_rows=ROWS,
    )  # fmt: skip
    return statistics_of(features, rows_inside(features.where, working.mask, features.stride), float(network.shrinkage))


def rows_inside(where: GridMask, mask: VoxelMask | None, stride: int) -> np.ndarray | None:
    """Say which rows of a feature map lie in a mask; None: all."""
    if mask is None:
        return None
    z, y, x = where.shape
    inside = blocks_of(mask, stride, (z, y, x))[where]
    return np.asarray(inside) if inside.any() else None
