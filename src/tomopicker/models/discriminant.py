"""A network whose last layer is a linear discriminant, solved for each tomogram."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tomopicker.models.resunet import Patches, ResUNet

Scores = Float[Tensor, "batch heads _ _ _"]
POINTS = ("clicks", "rejected")
SHRINKAGE = 0.03
"""Default shrinkage of the features' covariance towards a multiple of the identity, for weights trained without one."""


class DiscriminantNetwork(nn.Module):
    """Scores voxels by linear maps of the decoder's last two levels, one output per kind of particle.

    The features at clicks and negatives and the shrinkage are buffers. The linear maps belong to one tomogram; `solve`
    sets them from the statistics of that tomogram, and they are not saved.

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
        coarse, fine = self.body.levels(patches)[-2:]
        n = coarse.shape[1]
        # Interpolation is linear, so it is applied after the sum over channels.
        scores = _upsample(_weighted_sum(coarse, self.weights[:, :n]), 2) + _weighted_sum(fine, self.weights[:, n:])
        return _upsample(scores, self.body.stride) + self.bias[:, None, None, None]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Resize the buffers to the numbers of clicks and negatives in the file."""
        for name in POINTS:
            loaded, buffer = state_dict.get(prefix + name), getattr(self, name)
            if loaded is not None and loaded.ndim == 2 and loaded.shape[1] == buffer.shape[1]:
                setattr(self, name, buffer.new_empty(loaded.shape))
        super()._load_from_state_dict(state_dict, prefix, *others)


def _weighted_sum(features: Float[Tensor, "batch channels _ _ _"], weights: Float[Tensor, "heads channels"]) -> Scores:
    return functional.conv3d(features.float(), weights[:, :, None, None, None].float())


def _upsample(scores: Scores, factor: int) -> Scores:
    scores = scores.float()  # Autocast makes convolutions return half precision.
    if factor == 1:
        return scores
    return functional.interpolate(scores, scale_factor=factor, mode="trilinear", align_corners=False)
