"""The encoder-decoder of section 3.3: blocks and max pooling down, transposed convolutions up, concatenated skips."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tomopicker.errors import UsageError
from tomopicker.models.blocks import BLOCKS

Patches = Float[Tensor, "batch 1 z y x"]


def _halving(outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)
    )


class ResUNet(nn.Module):
    """A 3D U-Net whose blocks may be residual or MultiRes.

    Parameters
    ----------
    block : {"resunet", "unet", "multires"}
        The block at every level.
    channels : sequence of int
        Channels of each level; n levels have n - 1 poolings, so edges must be multiples of 2^(n-1).
    dropout : float
        Probability after every block; 0 for none.
    stride : {1, 2}
        With 2, a strided convolution in front halves every edge and a transposed one behind doubles it again: nothing
        is computed at full resolution, so a step costs a fraction, and the channels can be more.
    """

    def __init__(
        self,
        block: str = "resunet",
        channels: Sequence[int] = (32, 64, 128, 256),
        dropout: float = 0.0,
        stride: int = 1,
    ):
        super().__init__()
        if block not in BLOCKS:
            raise UsageError(f"there is no block '{block}'; use one of {', '.join(BLOCKS)}")

        def stage(inputs: int, outputs: int) -> nn.Module:
            made = BLOCKS[block](inputs, outputs)
            return nn.Sequential(made, nn.Dropout3d(dropout)) if dropout else made

        widths = list(channels)
        self.stride = stride
        self.divisor = stride * 2 ** (len(widths) - 1)
        self.stem = _halving(widths[0]) if stride == 2 else nn.Identity()
        first = widths[0] if stride == 2 else 1
        self.encoder = nn.ModuleList([stage(i, o) for i, o in zip([first, *widths], widths, strict=False)])
        self.pool = nn.MaxPool3d(2)
        upward = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.level_channels = [widths[-1], *widths[-2::-1]]  # Of what `levels` gives.
        self.up = nn.ModuleList([nn.ConvTranspose3d(below, here, 2, stride=2) for below, here in upward])
        self.decoder = nn.ModuleList([stage(2 * here, here) for _, here in upward])
        self.head: nn.Module = (
            nn.ConvTranspose3d(widths[0], 1, 4, stride=2, padding=1) if stride == 2 else nn.Conv3d(widths[0], 1, 1)
        )

    def forward(self, patches: Patches) -> Patches:
        """Return a logit for every voxel.

        Parameters
        ----------
        patches : tensor, shape (batch, 1, z, y, x)
            Edges must be multiples of `divisor`.

        Returns
        -------
        tensor, shape (batch, 1, z, y, x)
        """
        return self.head(self.features(patches))  # type: ignore[no-any-return]

    def features(self, patches: Patches) -> Float[Tensor, "batch channels _ _ _"]:
        """Return what the head sees: the first level's channels, at 1/`stride` of the patches' resolution."""
        return self.levels(patches)[-1]

    def levels(self, patches: Patches) -> list[Float[Tensor, "batch _ _ _ _"]]:
        """Return the output of the deepest level and of each decoder stage; the resolution doubles at each stage.

        The last has 1/`stride` of the patches' resolution.
        """
        skips: list[Tensor] = []
        features: Tensor = self.stem(patches)
        for level, stage in enumerate(self.encoder):
            features = stage(self.pool(features) if level else features)
            skips.append(features)
        outputs = [features]
        for up, stage, skip in zip(self.up, self.decoder, skips[-2::-1], strict=True):
            outputs.append(stage(torch.cat([up(outputs[-1]), skip], dim=1)))
        return outputs

    @property
    def reach(self) -> int:
        """How many voxels away, at most, an input voxel can change a score: the halo that makes tiling exact."""
        reach = 0
        depth = len(self.encoder)
        convolutions = 3 if any("MultiRes" in type(m).__name__ for m in self.modules()) else 2
        for level in range(depth):
            # Going down and up a level shifts what a voxel sees by at most the stride of that level.
            reach += (2 if level < depth - 1 else 1) * convolutions * 2**level + (2**level if level else 0)
        # Stem and head, 4 wide with a stride of 2, each reach 2 voxels further.
        return reach if self.stride == 1 else 2 * reach + 4
