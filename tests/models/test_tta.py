"""Scores averaged over half-turns."""

import torch
from torch import nn

from tomopicker.models import tta
from tomopicker.models.resunet import ResUNet


class Slope(nn.Module):
    """Score = input times the voxel's index along an axis: as far from symmetric as can be."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, patches):
        shape = [1] * 5
        shape[self.axis] = patches.shape[self.axis]
        return patches * torch.arange(patches.shape[self.axis], dtype=torch.float32).reshape(shape)


def test_a_slope_is_averaged_out():
    """Of four half-turns two reverse each axis: index i and n - 1 - i, twice each, mean (n - 1)/2."""
    patches = torch.randn(2, 1, 3, 4, 5)
    for axis, edge in ((2, 3), (3, 4), (4, 5)):
        torch.testing.assert_close(tta.TestTimeAugmentation(Slope(axis))(patches), patches * (edge - 1) / 2)


def test_a_turned_volume_gets_turned_scores():
    torch.manual_seed(0)
    network = tta.TestTimeAugmentation(ResUNet("resunet", (4, 8), 0.0, 2).eval())
    assert network.divisor == 4
    patches = torch.randn(1, 1, 8, 12, 8)
    with torch.inference_mode():
        scores = network(patches)
        for axes in ((3, 4), (2, 4), (2, 3)):
            torch.testing.assert_close(network(patches.flip(axes)), scores.flip(axes), atol=1e-5, rtol=1e-4)
        assert not torch.allclose(network(patches.flip(2)), scores.flip(2), atol=1e-3)  # A mirror is another matter.
