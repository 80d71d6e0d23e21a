"""Solution of the last layer of a discriminant network for a tomogram."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tomopicker.config import Settings
from tomopicker.fewshot.discriminant import Statistics, discriminant, statistics_of
from tomopicker.fewshot.extraction import feature_map
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.preprocessing.preprocess import WorkingVolume

ROWS = 2**16
"""Number of feature voxels for statistics, in randomly drawn tiles: several hundred per channel."""
TILE = 64


def solve(
    network: DiscriminantNetwork,
    discriminants: Sequence[nn.Module],
    working: WorkingVolume,
    settings: Settings,
    device: torch.device,
) -> None:
    """Set the linear map of a network for a working volume, one output per discriminant.

    Parameters
    ----------
    network : DiscriminantNetwork
        Network adapted to the working volume; its weights and bias are set.
    discriminants : sequence of DiscriminantNetwork
        Discriminants of the same features, whose clicks and negatives are used.
    working : WorkingVolume
    settings : Settings
    device : torch.device
    """
    statistics = sampled_statistics(network, working, settings, device)
    solutions = []
    for each in discriminants:
        if not isinstance(each, DiscriminantNetwork):
            raise TypeError("only discriminants share their features")
        clicks, rejected = (points.double().cpu().numpy() for points in (each.clicks, each.rejected))
        solutions.append(discriminant(statistics, clicks, rejected))
    network.weights = torch.from_numpy(np.stack([each.weights for each in solutions]).astype(np.float32)).to(device)
    network.bias = torch.from_numpy(np.array([each.bias for each in solutions], dtype=np.float32)).to(device)


def sampled_statistics(
    network: DiscriminantNetwork, working: WorkingVolume, settings: Settings, device: torch.device
) -> Statistics:
    """Measure the features of a part of a specimen."""
    features = feature_map(
        network.body, working.data, tile=TILE, halo=settings.inference.halo, device=device,
        precision=settings.precision, mask=working.mask, most_rows=ROWS,
    )  # fmt: skip
    return statistics_of(features, features.rows_in(working.mask), float(network.shrinkage))
