"""`reach`: a voxel changes no score farther away, and some score nearly as far."""

import pytest
import torch

from tomopicker.models.resunet import ResUNet


def farthest(network, edge, place):
    """How far from a disturbed voxel scores change, along x in a thin volume."""
    thin = network.divisor
    patches = torch.randn(1, 1, thin, thin, edge, dtype=torch.float64)
    disturbed = patches.clone()
    disturbed[..., place] += 1e6
    with torch.no_grad():
        changed = (network(patches) != network(disturbed)).flatten(0, 3).any(dim=0)
    return int((changed.nonzero().flatten() - place).abs().max())


@pytest.mark.parametrize("block", ["resunet", "unet", "multires"])
@pytest.mark.parametrize("channels", [(4, 6), (4, 6, 8), (4, 4, 6, 8)])
@pytest.mark.parametrize("stride", [1, 2])
def test_reach(block, channels, stride):
    torch.manual_seed(0)
    network = ResUNet(block, channels, stride=stride).double().eval()
    for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d)):
        torch.nn.init.constant_(norm.bias, 0.5)  # so that ReLUs let through
    edge = 2 * (network.reach // network.divisor + 2) * network.divisor
    measured = max(farthest(network, edge, edge // 2 + shift) for shift in range(network.divisor))
    assert measured <= network.reach
    assert measured >= 0.8 * network.reach
