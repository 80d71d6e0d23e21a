"""The published network: levels, channels, skips, dropout, size; and how far a voxel reaches."""

import pytest
import torch
from torch import nn

from tomopicker.errors import UsageError
from tomopicker.models.resunet import ResUNet

PAPER = (32, 64, 128, 256)


def seen(modules, network, patches):
    """Output shapes of modules, in the order they run."""
    shapes = []
    hooks = [m.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape))) for m in modules]
    with torch.no_grad():
        network(patches)
    for hook in hooks:
        hook.remove()
    return shapes


def of_type(network, kind):
    return [layer for layer in network.modules() if isinstance(layer, kind)]


def test_channels_and_levels_of_the_paper():
    """1 to 32, 64, 128, 256 channels through three poolings, and back: each level half as wide."""
    network, patches = ResUNet().eval(), torch.zeros(1, 1, 16, 16, 24)
    encoder = seen(network.encoder, network, patches)
    assert encoder == [
        (1, 32, 16, 16, 24),
        (1, 64, 8, 8, 12),
        (1, 128, 4, 4, 6),
        (1, 256, 2, 2, 3),
    ]
    assert len(seen(of_type(network, nn.MaxPool3d), network, patches)) == 3
    decoder = seen(network.decoder, network, patches)
    assert decoder == encoder[2::-1]
    up = of_type(network, nn.ConvTranspose3d)
    assert [(u.in_channels, u.out_channels, u.kernel_size, u.stride) for u in up] == [
        (256, 128, (2, 2, 2), (2, 2, 2)),
        (128, 64, (2, 2, 2), (2, 2, 2)),
        (64, 32, (2, 2, 2), (2, 2, 2)),
    ]
    assert (network.head.in_channels, network.head.out_channels, network.head.kernel_size) == (32, 1, (1, 1, 1))


def test_skips_are_concatenated():
    network = ResUNet(channels=(4, 8, 16))
    first = [of_type(stage, nn.Conv3d)[0].in_channels for stage in network.decoder]
    assert first == [8 + 8, 4 + 4]


def test_skips_carry_the_encoder():
    """With the way up silenced, a voxel is still heard at the finest level."""
    network = ResUNet(channels=(4, 8)).eval()
    for up in network.up:
        nn.init.zeros_(up.weight)
        nn.init.zeros_(up.bias)
    patches = torch.randn(1, 1, 8, 8, 8)
    assert network(patches).std() > 0


def test_parameters_of_the_paper():
    """A convolution of i to o channels with its normalisation has 27·i·o + 2·o weights; a block has two."""

    def block(i, o):
        return 27 * i * o + 2 * o + 27 * o * o + 2 * o

    encoder = block(1, 32) + block(32, 64) + block(64, 128) + block(128, 256)
    decoder = block(256, 128) + block(128, 64) + block(64, 32)
    up = (8 * 256 * 128 + 128) + (8 * 128 * 64 + 64) + (8 * 64 * 32 + 32)
    total = sum(p.numel() for p in ResUNet().parameters())
    assert total == encoder + decoder + up + 33
    assert total == 5_601_121


@pytest.mark.parametrize("block", ["resunet", "unet", "multires"])
@pytest.mark.parametrize("channels", [(4, 8), (4, 6, 8)])
def test_a_logit_for_every_voxel(block, channels):
    network = ResUNet(block, channels)
    assert network.divisor == 2 ** (len(channels) - 1)
    patches = torch.randn(2, 1, 8, 12, 16)
    logits = network(patches)
    assert logits.shape == patches.shape
    assert logits.min() < 0 or logits.max() > 1  # not squashed


def test_residual_and_plain_networks_differ_in_nothing_but_the_sum():
    plain, residual = ResUNet("unet", (4, 8)).eval(), ResUNet("resunet", (4, 8)).eval()
    residual.load_state_dict(plain.state_dict())
    patches = torch.randn(1, 1, 8, 8, 8)
    assert not torch.allclose(plain(patches), residual(patches))


def test_dropout_is_optional():
    patches = torch.randn(1, 1, 8, 8, 8)
    without, with_it = ResUNet(channels=(4, 8)), ResUNet(channels=(4, 8), dropout=0.5)
    assert not of_type(without, nn.Dropout3d)
    assert [layer.p for layer in of_type(with_it, nn.Dropout3d)] == [0.5] * 3
    assert torch.equal(without(patches), without(patches))
    assert not torch.equal(with_it(patches), with_it(patches))
    with_it.eval()
    assert torch.equal(with_it(patches), with_it(patches))


def test_unknown_block_is_refused():
    with pytest.raises(UsageError, match="transformer"):
        ResUNet("transformer", (4, 8))


def test_stride_halves_within_and_gives_every_voxel_a_logit():
    network, patches = ResUNet(channels=(4, 8), stride=2).eval(), torch.randn(1, 1, 8, 12, 16)
    assert seen(network.encoder, network, patches) == [(1, 4, 4, 6, 8), (1, 8, 2, 3, 4)]
    assert network.divisor == 4
    with torch.no_grad():
        logits = network(patches)
    assert logits.shape == patches.shape
    assert logits.unique().numel() > patches.numel() // 2  # not one value for each block of eight


def test_stride_costs_less():
    """Convolutions of the default's widths with stride 2 multiply less often than 16-32-64 without."""

    def products(network):
        total = 0

        def count(layer, inputs, output):
            nonlocal total
            grid = inputs[0] if isinstance(layer, nn.ConvTranspose3d) else output
            total += layer.weight.numel() * grid[0, 0].numel()

        for layer in network.modules():
            if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
                layer.register_forward_hook(count)
        with torch.no_grad():
            network.eval()(torch.zeros(1, 1, 24, 24, 24))
        return total

    assert products(ResUNet(channels=(32, 64, 96), stride=2)) < 0.7 * products(ResUNet(channels=(16, 32, 64)))
