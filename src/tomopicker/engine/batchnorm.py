"""Batch normalisation that fits the network, and the tomogram, it is used with.

Running means gathered during training belong to weights that have since moved, and blocks of vacuum can leave them far
off; so the statistics are measured anew, for the final weights, before a network is used. Measured in each tomogram
that is scored, they also take up what differs from the one trained on: defocus, thickness, noise.
"""

import copy
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tomopicker.data.crops import pad_to, random_crops
from tomopicker.engine.precision import autocast
from tomopicker.types import Volume, VoxelMask

ADAPT_BATCHES, ADAPT_BATCH = 8, 24


def adapt_batchnorm(
    network: nn.Module,
    volume: Volume,
    size: int,
    device: torch.device,
    precision: str,
    mask: VoxelMask | None = None,
) -> nn.Module:
    """Give a copy of a network whose batch normalisation has the statistics of one volume.

    Adaptive batch normalisation (Li et al., Pattern Recognition 80, 2018).

    Parameters
    ----------
    network : Module
        On any device; left as it is.
    volume : Volume
        Working volume that will be scored, (z, y, x).
    size : int
        Edge of the patches to measure in: that of training.
    device : torch.device
        Of the copy.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic.
    mask : VoxelMask, optional
        Where the specimen is: patches lie in it, at least in part.
    """
    fitted = copy.deepcopy(network).to(device)
    update_batchnorm(fitted, _anywhere(volume, size, mask), device, precision)
    return fitted


def fuse_conv_bn(network: nn.Module) -> nn.Module:
    """Give a copy that scores alike, its convolutions scaled and shifted by the batch normalisation that follows them.

    Normalising is a multiplication and an addition a channel once the statistics are fixed; done to the weights, it
    costs nothing at a voxel.

    Parameters
    ----------
    network : Module
        In evaluation mode; left as it is.
    """
    copied = copy.deepcopy(network)
    for row in [module for module in copied.modules() if isinstance(module, nn.Sequential)]:
        for index, (convolution, norm) in enumerate(pairwise(list(row))):
            if isinstance(convolution, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
                row[index], row[index + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return copied


def _anywhere(volume: Volume, size: int, mask: VoxelMask | None) -> Iterator[Tensor]:
    edges = (size, size, size)
    inside = None if mask is None else pad_to(mask, edges, 0)
    cubes = random_crops(pad_to(volume, edges, 0), size, ADAPT_BATCHES * ADAPT_BATCH, mask=inside)
    while batch := list(islice(cubes, ADAPT_BATCH)):
        yield torch.from_numpy(np.stack(batch)[:, None])


def update_batchnorm(network: nn.Module, batches: Iterable[Tensor], device: torch.device, precision: str) -> None:
    """Replace the running statistics by plain means over some batches, drawn as in training.

    Parameters
    ----------
    network : Module
        Its statistics change; its weights do not.
    batches : iterable of tensors, shape (batch, 1, z, y, x)
        At least one.
    device, precision
        As in training.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm3d)]
    memory = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    network.train()
    for dropout in (layer for layer in network.modules() if isinstance(layer, nn.Dropout3d)):
        dropout.eval()
    with torch.no_grad(), autocast(precision, device):
        for batch in batches:
            network(batch.to(device).contiguous(memory_format=torch.channels_last_3d))
    for layer, value in zip(layers, memory, strict=True):
        layer.momentum = value
    network.eval()
