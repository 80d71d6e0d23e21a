"""The encoder-decoder of section 3.3: blocks, max pooling, transposed convolutions and concatenated skips."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tomopicker.errors import UsageError
from tomopicker.models.blocks import BLOCKS

Patches = Float[Tensor, "batch 1 z y x"]


def _strided_stem(outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)
    )


class ResUNet(nn.Module):
    """A 3D U-Net with plain, residual or MultiRes blocks.

    Parameters
    ----------
    block : {"resunet", "unet", "multires"}
        The block at every level.
    channels : sequence of int
        Channels of each level; n levels have n - 1 poolings, so edges must be multiples of 2^(n-1).
    dropout : float
        Probability of dropout after every block.
    stride : {1, 2}
        With 2, a strided convolution first halves every edge and a transposed one finally doubles it: no block works at
        full resolution, which saves most of the time and allows more channels.
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
            convolutions = BLOCKS[block](inputs, outputs)
            return nn.Sequential(convolutions, nn.Dropout3d(dropout)) if dropout else convolutions

        widths = list(channels)
        self.stride = stride
        self.divisor = stride * 2 ** (len(widths) - 1)
        self.stem = _strided_stem(widths[0]) if stride == 2 else nn.Identity()
        first = widths[0] if stride == 2 else 1
        self.encoder = nn.ModuleList([stage(i, o) for i, o in zip([first, *widths], widths, strict=False)])
        self.pool = nn.MaxPool3d(2)
        upward = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.level_channels = widths[::-1]  # Channels of the outputs of `levels`.
        self.up = nn.ModuleList([nn.ConvTranspose3d(coarse, fine, 2, stride=2) for coarse, fine in upward])
        self.decoder = nn.ModuleList([stage(2 * fine, fine) for _, fine in upward])
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
        """Return the input of the head: the first level's channels, at 1/`stride` of the patches' resolution."""
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
        """Maximum distance, voxels, at which an input voxel changes a score: the halo that makes tiling exact."""
        reach = 0
        depth = len(self.encoder)
        convolutions = 3 if any("MultiRes" in type(m).__name__ for m in self.modules()) else 2
        for level in range(depth):
            # Pooling and upsampling shift a voxel's receptive field by at most the stride of that level.
            reach += (2 if level < depth - 1 else 1) * convolutions * 2**level + (2**level if level else 0)
        # Stem and head have kernels of 4 and a stride of 2: each adds 2 voxels.
        return reach if self.stride == 1 else 2 * reach + 4
