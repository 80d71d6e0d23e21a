"""Convolution blocks of the classifier (section 3.3): plain, residual and MultiRes."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tomopicker.errors import UsageError

Features = Float[Tensor, "batch _ z y x"]


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm3d(outputs),
        nn.ReLU(inplace=True),
    )


class UNetBlock(nn.Module):
    """Two 3×3×3 convolutions, each with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = _convolution(inputs, outputs)
        self.second = _convolution(outputs, outputs)

    def forward(self, features: Features) -> Features:
        return self.second(self.first(features))  # type: ignore[no-any-return]


class ResUNetBlock(UNetBlock):
    """A UNet block with a residual connection from the first convolution, as the input has other channels."""

    def forward(self, features: Features) -> Features:
        first = self.first(features)
        return first + self.second(first)  # type: ignore[no-any-return]


class MultiResBlock(nn.Module):
    """MultiRes block (Ibtehaz and Rahman, Neural Networks 121, 2020), in 3D.

    Three successive 3×3×3 convolutions of about 1/6, 1/3 and 1/2 of the channels; their outputs are concatenated, and a
    1×1×1 convolution of the input is added. The widths sum to `outputs`; in the publication to 1.67 times its U-Net's.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        if outputs < 3:
            raise UsageError(f"a MultiRes block needs at least 3 channels, not {outputs}; raise network.channels")
        small, middle = max(1, outputs // 6), max(1, outputs // 3)
        large = outputs - small - middle
        self.first = _convolution(inputs, small)
        self.second = _convolution(small, middle)
        self.third = _convolution(middle, large)
        self.shortcut = nn.Sequential(nn.Conv3d(inputs, outputs, 1, bias=False), nn.BatchNorm3d(outputs))
        self.normalise = nn.BatchNorm3d(outputs)

    def forward(self, features: Features) -> Features:
        first = self.first(features)
        second = self.second(first)
        concatenated = self.normalise(torch.cat([first, second, self.third(second)], dim=1))
        return torch.relu(concatenated + self.shortcut(features))


BLOCKS: dict[str, Callable[[int, int], nn.Module]] = {
    "unet": UNetBlock,
    "resunet": ResUNetBlock,
    "multires": MultiResBlock,
}
