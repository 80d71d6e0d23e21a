"""A network whose last layer is a linear discriminant that is solved anew for every tomogram."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tomopicker.models.resunet import Patches, ResUNet

Scores = Float[Tensor, "batch heads _ _ _"]
POINTS = ("clicks", "rejected")
SHRINKAGE = 0.03
"""Of the covariance of features towards a multiple of the identity, for weights that were trained without one."""


class DiscriminantNetwork(nn.Module):
    """Scores voxels by linear maps of the decoder's last two levels, an output for each kind of particle.

    The features at clicks and negatives are part of it, and the shrinkage, as buffers; the linear maps are of one
    tomogram, and are set by `solve` once that tomogram's statistics are known. They are not saved.

    Parameters
    ----------
    body : ResUNet
        Its head is dropped.
    """

    clicks: Float[Tensor, "clicks channels"]
    rejected: Float[Tensor, "rejected channels"]
    shrinkage: Float[Tensor, ""]
    weights: Float[Tensor, "heads channels"]
    bias: Float[Tensor, " heads"]

    def __init__(self, body: ResUNet):
        super().__init__()
        self.body = body
        self.body.head = nn.Identity()
        self.divisor, self.stride, self.reach = body.divisor, body.stride, body.reach
        channels = body.level_channels[-2] + body.level_channels[-1]
        for name in POINTS:
            self.register_buffer(name, torch.empty(0, channels, dtype=torch.float64))
        self.register_buffer("shrinkage", torch.tensor(SHRINKAGE, dtype=torch.float64))
        self.register_buffer("weights", torch.zeros(1, channels), persistent=False)
        self.register_buffer("bias", torch.zeros(1), persistent=False)

    @property
    def heads(self) -> int:
        """The number of outputs."""
        return len(self.bias)

    def forward(self, patches: Patches) -> Scores:
        """Return the scores of every voxel, shape (batch, heads, z, y, x); edges must be multiples of `divisor`."""
        return _scores(self.body, patches, self.weights) + self.bias[:, None, None, None]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Take as many clicks and negatives as the file has."""
        for name in POINTS:
            found = state_dict.get(prefix + name)
            here = getattr(self, name)
            if found is not None and found.ndim == 2 and found.shape[1] == here.shape[1]:
                setattr(self, name, here.new_empty(found.shape))
        super()._load_from_state_dict(state_dict, prefix, *others)


def _scores(body: ResUNet, patches: Patches, weights: Float[Tensor, "heads channels"]) -> Scores:
    coarse, fine = body.levels(patches)[-2:]
    split = coarse.shape[1]
    # Interpolation is linear, so it may as well come after the sum over channels.
    scores = _enlarged(_weighed(coarse, weights[:, :split]), 2) + _weighed(fine, weights[:, split:])
    return _enlarged(scores, body.stride)


def _weighed(features: Float[Tensor, "batch channels _ _ _"], weights: Float[Tensor, "heads channels"]) -> Scores:
    return functional.conv3d(features.float(), weights[:, :, None, None, None].float())


def _enlarged(scores: Scores, factor: int) -> Scores:
    scores = scores.float()
    if factor == 1:
        return scores
    return functional.interpolate(scores, scale_factor=factor, mode="trilinear", align_corners=False)
