"""Setting a discriminant network's last layer for a tomogram."""

import numpy as np
import torch

from tomopicker.config import Settings
from tomopicker.fewshot.discriminant import Statistics, discriminant, statistics_of
from tomopicker.fewshot.extraction import feature_map
from tomopicker.fewshot.feature_map import GridMask, blocks_of
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.types import VoxelMask

ROWS = 2**16
"""Feature voxels that statistics are measured on, in tiles drawn at random: several hundred for each channel."""
TILE = 64


def solved(
    network: DiscriminantNetwork, working: WorkingVolume, settings: Settings, device: torch.device
) -> DiscriminantNetwork:
    """Set the linear map of a network for a working volume, whose batch normalisation it has; give the network."""
    statistics = sampled_statistics(network, working, settings, device)
    line = discriminant(statistics, network.clicks.double().cpu().numpy(), network.rejected.double().cpu().numpy())
    network.weights = torch.from_numpy(line.weights.astype(np.float32)).to(device)
    network.bias = torch.tensor(line.bias, dtype=torch.float32, device=device)
    return network


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
