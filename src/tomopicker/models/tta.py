"""Test-time augmentation: a network's scores averaged over half-turns of its input."""

from collections.abc import Iterator
from functools import reduce

import torch
from torch import nn

from tomopicker.models.resunet import Patches

HALF_TURNS = ((3, 4), (2, 4), (2, 3))
"""Axes that are flipped by half a turn about z, y and x."""


def half_turned_logits(network: nn.Module, patches: Patches) -> Iterator[Patches]:
    """Yield the logits of unchanged patches, then those after each half-turn, turned back."""
    yield network(patches).float()  # In half precision, rounding would cancel the gain of averaging.
    for axes in HALF_TURNS:
        yield torch.flip(network(torch.flip(patches, axes)).float(), axes)


class TestTimeAugmentation(nn.Module):
    """Averages the logits of a volume and of its half-turns about each axis, turned back.

    Half-turns preserve handedness and the missing wedge, so all four inputs are equally valid, and the network's random
    errors average out. It takes four times as long.

    Parameters
    ----------
    network : Module
        The network that scores voxels; edges must be multiples of its `divisor`.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.divisor = int(getattr(network, "divisor", 1))
        self.heads = int(getattr(network, "heads", 1))

    def forward(self, patches: Patches) -> Patches:
        """Return the mean logit of every voxel, shape (batch, 1, z, y, x)."""
        total: Patches = reduce(torch.add, half_turned_logits(self.network, patches))
        return total / (1 + len(HALF_TURNS))
