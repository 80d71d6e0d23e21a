"""Features of a volume from the last two levels of a network's decoder, tile by tile, in bounded memory."""

from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import binary_dilation
from torch import Tensor
from torch.nn import functional

from tomopicker.fewshot.feature_map import FeatureMap, GridMask, blocks_of
from tomopicker.fewshot.row_memory import empty_rows
from tomopicker.inference.tiles import Progress, Tile, tiles_in
from tomopicker.models.precision import autocast
from tomopicker.models.resunet import ResUNet
from tomopicker.preprocessing.crops import read_padded
from tomopicker.training.batchnorm import fuse_conv_bn
from tomopicker.types import Volume, VoxelMask

MARGIN = 2
"""Margin (feature voxels) around a mask where features are computed too: peaks at its rim need neighbours."""


def feature_map(
    network: ResUNet,
    volume: Volume,
    *,
    tile: int,
    halo: int,
    device: torch.device,
    precision: str = "auto",
    mask: VoxelMask | None = None,
    progress: Progress | None = None,
    most_rows: int | None = None,
) -> FeatureMap:
    """Compute the features of a volume: the last two decoder levels concatenated, the coarser one interpolated.

    Parameters
    ----------
    network : ResUNet
        Network with the batch statistics of the volume.
    volume : Volume
        Working volume, (z, y, x).
    tile, halo : int
        Edge of a tile, and the context around it that is computed and discarded.
    device : torch.device
        Device for computing; features are kept in CPU memory (`tomopicker.fewshot.row_memory`).
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic.
    mask : VoxelMask, optional
        Specimen mask: features are computed inside and within `MARGIN` of it.
    progress : callable, optional
        Called with the number of finished tiles and of all tiles.
    most_rows : int, optional
        Process tiles in random order until this number of feature voxels is reached.
    """
    stride, divisor = network.stride, network.divisor
    size = [-(-edge // divisor) * divisor // stride for edge in volume.shape]
    grid = (size[0], size[1], size[2])
    where = np.ones(grid, dtype=bool)
    if mask is not None:
        where = binary_dilation(blocks_of(mask, stride, grid), iterations=MARGIN)
    jobs = list(tiles_in(where, tile // stride, halo // stride, divisor // stride))
    if most_rows is not None:
        jobs, where = _drawn(jobs, where, most_rows)
    index = np.cumsum(where, dtype=np.int64).reshape(grid) - 1
    prepared = cast(ResUNet, fuse_conv_bn(network.eval()).to(device))
    rows: Tensor | None = None
    with torch.inference_mode(), autocast(precision, device):
        for done, (region, core) in enumerate(jobs):
            read = tuple(slice(part.start * stride, part.stop * stride) for part in region)
            patch = torch.from_numpy(np.ascontiguousarray(read_padded(volume, read))).to(device)
            features = two_levels(prepared, patch[None, None].contiguous(memory_format=torch.channels_last_3d))
            inside = where[core]
            kept = tuple(slice(halo // stride, halo // stride + edge) for edge in inside.shape)
            # Channels are last in memory, so that whole rows are gathered.
            chosen = features[0].movedim(0, -1)[kept][torch.from_numpy(inside).to(device)].half().cpu()
            if rows is None:
                rows = empty_rows(int(where.sum()), chosen.shape[1])
            rows[torch.from_numpy(index[core][inside])] = chosen
            if progress:
                progress(done + 1, len(jobs))
    z, y, x = volume.shape
    return FeatureMap(torch.empty((0, 1)).half() if rows is None else rows, where, (z, y, x), stride)


def two_levels(network: ResUNet, patches: Float[Tensor, "batch 1 z y x"]) -> Float[Tensor, "batch channels _ _ _"]:
    """Concatenate the outputs of the last two levels, the coarser one interpolated linearly to the finer grid."""
    coarse, fine = network.levels(patches)[-2:]
    coarse = functional.interpolate(coarse.float(), scale_factor=2, mode="trilinear", align_corners=False)
    return torch.cat([coarse, fine.float()], dim=1)


def _drawn(jobs: list[Tile], where: GridMask, most_rows: int) -> tuple[list[Tile], GridMask]:
    """Draw tiles until they hold a number of feature voxels; return them and the mask of their features."""
    chosen, kept, rows = [], np.zeros_like(where), 0
    for index in np.random.default_rng(0).permutation(len(jobs)):
        core = jobs[index][1]
        kept[core] = where[core]
        chosen.append(jobs[index])
        rows += int(where[core].sum())
        if rows >= most_rows:
            break
    return chosen, kept
