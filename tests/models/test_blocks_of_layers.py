"""The blocks of section 3.3: two convolutions, where the residual joins, MultiRes widths."""

import pytest
import torch
from torch import nn

from tomopicker.errors import UsageError
from tomopicker.models.blocks import BLOCKS, MultiResBlock, ResUNetBlock, UNetBlock


def silence(convolution):
    """Make a convolution with normalisation and ReLU give 0."""
    norm = next(layer for layer in convolution.modules() if isinstance(layer, nn.BatchNorm3d))
    nn.init.zeros_(norm.weight)
    nn.init.zeros_(norm.bias)


def convolutions(block):
    return [layer for layer in block.modules() if isinstance(layer, nn.Conv3d)]


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 8), (16, 8), (5, 7)])
def test_shape(name, inputs, outputs):
    block = BLOCKS[name](inputs, outputs)
    assert block(torch.randn(2, inputs, 4, 6, 8)).shape == (2, outputs, 4, 6, 8)


def test_residual_joins_the_first_convolutions_output():
    block = ResUNetBlock(3, 6).eval()
    silence(block.second)
    features = torch.randn(1, 3, 4, 4, 4)
    first = block.first(features)
    assert first.abs().sum() > 0
    assert torch.equal(block(features), first)


def test_unet_block_has_no_residual():
    block = UNetBlock(3, 6).eval()
    silence(block.second)
    assert not block(torch.randn(1, 3, 4, 4, 4)).any()


@pytest.mark.parametrize("name", ["unet", "resunet"])
def test_two_convolutions_of_three(name):
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions(BLOCKS[name](3, 6))] == [
        (3, 6, (3, 3, 3)),
        (6, 6, (3, 3, 3)),
    ]


@pytest.mark.parametrize(
    ("outputs", "widths"), [(32, (5, 10, 17)), (64, (10, 21, 33)), (12, (2, 4, 6)), (3, (1, 1, 1))]
)
def test_multires_widths(outputs, widths):
    made = [c.out_channels for c in convolutions(MultiResBlock(4, outputs)) if c.kernel_size == (3, 3, 3)]
    assert tuple(made) == widths
    assert sum(widths) == outputs


def test_multires_outputs_are_concatenated():
    """Without the second and third convolution, only the first's channels hear the input; the shortcut is silenced."""
    block = MultiResBlock(4, 12).eval()
    silence(block.second)
    silence(block.third)
    silence(block.shortcut)
    out = block(torch.randn(1, 4, 4, 4, 4))
    assert out[:, :2].any()
    assert not out[:, 2:].any()


@pytest.mark.parametrize("outputs", [1, 2])
def test_too_narrow_for_multires_is_refused(outputs):
    with pytest.raises(UsageError, match="MultiRes"):
        MultiResBlock(4, outputs)
