"""Batch normalisation for inference: statistics updated, adapted to a tomogram, and fused into convolutions.

Running means lag behind the weights during training and are distorted by patches of vacuum, so the statistics are
measured again with the final weights. Measuring them in each scored tomogram compensates differences from the training
tomogram in defocus, thickness and noise.
"""

import copy
from collections.abc import Iterable
from itertools import islice, pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tomopicker.models.precision import autocast
from tomopicker.preprocessing.crops import pad_to, random_crops
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
    """Return a copy of a network with its batch normalisation statistics measured in one volume.

    Adaptive batch normalisation (Li et al., Pattern Recognition 80, 2018).

    Parameters
    ----------
    network : Module
        On any device; not modified.
    volume : Volume
        Working volume to score, (z, y, x).
    size : int
        Edge of the patches, as in training.
    device : torch.device
        Device of the copy.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic.
    mask : VoxelMask, optional
        Specimen mask; patches overlap it.
    """
    edges = (size, size, size)
    inside = None if mask is None else pad_to(mask, edges, 0)
    crops = random_crops(pad_to(volume, edges, 0), size, ADAPT_BATCHES * ADAPT_BATCH, mask=inside)
    batches = iter(lambda: list(islice(crops, ADAPT_BATCH)), [])
    network = copy.deepcopy(network).to(device)
    update_batchnorm(network, (torch.from_numpy(np.stack(b)[:, None]) for b in batches), device, precision)
    return network


def fuse_conv_bn(network: nn.Module) -> nn.Module:
    """Return an equivalent copy with each batch normalisation folded into the weights of the preceding convolution.

    With fixed statistics, batch normalisation only scales and shifts channels, which then needs no computation.

    Parameters
    ----------
    network : Module
        In evaluation mode; not modified.
    """
    copied = copy.deepcopy(network)
    for row in [module for module in copied.modules() if isinstance(module, nn.Sequential)]:
        for index, (convolution, norm) in enumerate(pairwise(list(row))):
            if isinstance(convolution, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
                row[index], row[index + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return copied


def update_batchnorm(network: nn.Module, batches: Iterable[Tensor], device: torch.device, precision: str) -> None:
    """Replace the running statistics by means over batches, without dropout.

    Parameters
    ----------
    network : Module
        Its statistics change; its weights do not. In evaluation mode afterwards.
    batches : iterable of tensors, shape (batch, 1, z, y, x)
        At least one voxel.
    device, precision
        As in training.
    """
    inputs = (batch.to(device).contiguous(memory_format=torch.channels_last_3d) for batch in batches)
    dropouts = [(layer, layer.p) for layer in network.modules() if isinstance(layer, nn.Dropout3d)]
    for layer, _ in dropouts:
        layer.p = 0.0  # `update_bn` puts all layers in training mode.
    with autocast(precision, device):
        torch.optim.swa_utils.update_bn(inputs, network)
    for layer, probability in dropouts:
        layer.p = probability
    network.eval()
