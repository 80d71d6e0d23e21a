"""Inference: score a working volume tile by tile, each with a halo of context, in bounded memory (section 3.4)."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from tomopicker.data.crops import bounding_box
from tomopicker.engine.batchnorm import fuse_conv_bn
from tomopicker.engine.precision import autocast
from tomopicker.types import Piece, Shape, Volume, VoxelMask

Progress = Callable[[int, int], None]


def tiles(shape: Shape, core: int, halo: int, divisor: int) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Cut a volume into cores that cover it once: as even as the divisor allows, or without a halo the paper's blocks.

    Parameters
    ----------
    shape : Shape
        (z, y, x).
    core : int
        Largest edge of a core.
    halo : int
        Voxels of context on each side.
    divisor : int
        Cores start and end at multiples of it, so that every tile pools the same voxels together.

    Yields
    ------
    read, core : tuple of slice
        The region to read, in coordinates that may reach beyond the volume, and the core.
    """
    starts = []
    for edge in shape:
        pieces = -(-edge // core)
        step = -(-edge // (pieces * divisor)) * divisor if halo else core
        starts.append([(start, start + step) for start in range(0, edge, step)])
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                yield tuple(slice(a - halo, b + halo) for a, b in (z, y, x)), tuple(slice(a, b) for a, b in (z, y, x))


def read_padded(volume: Volume, region: tuple[slice, ...]) -> Piece:
    """Read a region that may reach beyond the volume: 0, the mean, there.

    A mirrored volume would make whole particles of those that its border cuts.
    """
    inside = tuple(slice(max(0, r.start), min(edge, r.stop)) for r, edge in zip(region, volume.shape, strict=True))
    missing = [(i.start - r.start, r.stop - i.stop) for r, i in zip(region, inside, strict=True)]
    piece = volume[inside]
    if not any(before or after for before, after in missing):
        return piece
    return np.pad(piece, missing)


def score_volume(
    network: nn.Module,
    volume: Volume,
    *,
    core: int,
    halo: int,
    device: torch.device,
    precision: str = "auto",
    progress: Progress | None = None,
    mask: VoxelMask | None = None,
) -> Volume:
    """Score every voxel of a working volume, or those of the tiles that reach into a mask.

    Parameters
    ----------
    network : Module
        On any device; in evaluation mode afterwards.
    volume : Volume
        Working volume, (z, y, x).
    core, halo : int
        Edge of a tile's core, and the context around it; a halo of 0 is the paper's non-overlapping inference.
    device : torch.device
        Where to compute.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic.
    progress : callable, optional
        Called with the tiles done and their number.
    mask : VoxelMask, optional
        Of the volume's shape. What lies in no tile with a True voxel is not computed, and gets the least of all scores.

    Returns
    -------
    Volume
        Logits, of the shape of `volume`.
    """
    network = fuse_conv_bn(network.eval()).to(device)
    scores = np.full(volume.shape, -np.inf, dtype=np.float32)
    divisor = int(getattr(network, "divisor", 1))
    jobs = list(tiles(volume.shape, core, halo, divisor) if mask is None else _tiles_in(mask, core, halo, divisor))
    with torch.inference_mode(), autocast(precision, device):
        for done, (region, target) in enumerate(jobs):
            patch = torch.from_numpy(np.ascontiguousarray(read_padded(volume, region))).to(device)
            tile = network(patch[None, None].contiguous(memory_format=torch.channels_last_3d))[0, 0]
            kept = tuple(
                slice(halo, halo + min(t.stop, edge) - t.start) for t, edge in zip(target, volume.shape, strict=True)
            )
            scores[target] = tile[kept].float().cpu().numpy()
            if progress:
                progress(done + 1, len(jobs))
    if mask is not None:
        # Not -inf: smoothing would carry it in.
        lowest = min((float(scores[target].min()) for _, target in jobs), default=0.0)
        np.maximum(scores, np.float32(lowest), out=scores)
    return scores


def _tiles_in(
    mask: VoxelMask, core: int, halo: int, divisor: int
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Cut the box around a mask into tiles, and leave out those it does not reach into."""
    if not mask.any():
        return
    # Without a halo the blocks stay where they are in the whole volume.
    box = bounding_box(mask, multiple=divisor if halo else core)
    z, y, x = (part.stop - part.start for part in box)
    for tile in tiles((z, y, x), core, halo, divisor):
        read, target = (
            tuple(slice(part.start + at.start, part.stop + at.start) for part, at in zip(region, box, strict=True))
            for region in tile
        )
        if mask[target].any():
            yield read, target
