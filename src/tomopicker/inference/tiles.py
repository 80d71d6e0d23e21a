"""Inference: score a working volume tile by tile, each with a halo of context, in bounded memory (section 3.4)."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from tomopicker.models.precision import autocast
from tomopicker.preprocessing.crops import bounding_box, read_padded
from tomopicker.training.batchnorm import fuse_conv_bn
from tomopicker.types import Shape, Volume, VoxelMask

Progress = Callable[[int, int], None]
Region = tuple[slice, ...]
Tile = tuple[Region, Region]
"""The region to read, core and halo, and the core."""
Volumes = Float32[np.ndarray, "heads z y x"]


def tiles(shape: Shape, core: int, halo: int, divisor: int) -> Iterator[Tile]:
    """Divide a volume into cores: as even as the divisor allows, or, without a halo, the paper's blocks.

    Parameters
    ----------
    shape : Shape
        (z, y, x).
    core : int
        Maximum edge of a core.
    halo : int
        Voxels of context on each side.
    divisor : int
        Cores start and end at multiples of it, so that every tile pools the same voxels together.

    Yields
    ------
    read, core : tuple of slice
        The region to read, which may extend beyond the volume, and the core.
    """
    cores = []
    for edge in shape:
        count = -(-edge // core)
        step = -(-edge // (count * divisor)) * divisor if halo else core
        cores.append([slice(start, start + step) for start in range(0, edge, step)])
    for target in product(*cores):
        yield tuple(slice(part.start - halo, part.stop + halo) for part in target), target


def score_volumes(
    network: nn.Module,
    volume: Volume,
    *,
    core: int,
    halo: int,
    device: torch.device,
    precision: str = "auto",
    progress: Progress | None = None,
    mask: VoxelMask | None = None,
) -> Volumes:
    """Score every voxel of a working volume, or of the tiles that overlap a mask.

    Parameters
    ----------
    network : Module
        On any device; in evaluation mode afterwards. Its attribute ``heads`` is the number of outputs, 1 if missing.
    volume : Volume
        Working volume, (z, y, x).
    core, halo : int
        Edge of a tile's core, and the context around it; a halo of 0 is the paper's non-overlapping inference.
    device : torch.device
        Where to compute.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic.
    progress : callable, optional
        Called with the number of finished tiles and of all.
    mask : VoxelMask, optional
        Of the volume's shape. Tiles without a True voxel are skipped, and get the lowest score of the others.

    Returns
    -------
    array, shape (heads, z, y, x), float32
        Logits; those of each head are contiguous.
    """
    network = fuse_conv_bn(network.eval()).to(device)
    scores = np.full((int(getattr(network, "heads", 1)), *volume.shape), -np.inf, dtype=np.float32)
    divisor = int(getattr(network, "divisor", 1))
    jobs = list(tiles(volume.shape, core, halo, divisor) if mask is None else tiles_in(mask, core, halo, divisor))
    with torch.inference_mode(), autocast(precision, device):
        for done, (region, target) in enumerate(jobs):
            patch = torch.from_numpy(np.ascontiguousarray(read_padded(volume, region))).to(device)
            tile = network(patch[None, None].contiguous(memory_format=torch.channels_last_3d))[0]
            kept = tuple(
                slice(halo, halo + min(t.stop, edge) - t.start) for t, edge in zip(target, volume.shape, strict=True)
            )
            scores[(slice(None), *target)] = tile[(slice(None), *kept)].float().cpu().numpy()
            if progress:
                progress(done + 1, len(jobs))
    if mask is not None:
        for head in scores:
            # Not -inf, which smoothing would spread.
            lowest = min((float(head[target].min()) for _, target in jobs), default=0.0)
            np.maximum(head, np.float32(lowest), out=head)
    return scores


def tiles_in(mask: VoxelMask, core: int, halo: int, divisor: int) -> Iterator[Tile]:
    """Divide the box around a mask into tiles, as in `tiles`, without those that have no True voxel."""
    if not mask.any():
        return
    # Without a halo the blocks are those of the whole volume.
    box = bounding_box(mask, multiple=divisor if halo else core)
    z, y, x = (part.stop - part.start for part in box)
    for tile in tiles((z, y, x), core, halo, divisor):
        read, target = (
            tuple(
                slice(part.start + edge.start, part.stop + edge.start) for part, edge in zip(region, box, strict=True)
            )
            for region in tile
        )
        if mask[target].any():
            yield read, target
