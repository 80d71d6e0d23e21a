"""Batch normalisation that fits the network it is used with.

Running means gathered during training belong to weights that have since moved, and blocks of vacuum can leave them far
off; so the statistics are measured anew, for the final weights, before a network is used.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tomopicker.engine.precision import arithmetic


def refit_batchnorm(network: nn.Module, batches: Iterable[Tensor], device: torch.device, precision: str) -> None:
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
    with torch.no_grad(), arithmetic(precision, device):
        for batch in batches:
            network(batch.to(device).contiguous(memory_format=torch.channels_last_3d))
    for layer, value in zip(layers, memory, strict=True):
        layer.momentum = value
    network.eval()
