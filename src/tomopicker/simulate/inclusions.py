"""Dense things without a shape of their own: granules in the lamella, gold beads, ice that settled on its faces."""

import numpy as np
from scipy import ndimage

from tomopicker.simulate.lamella import ICE_DENSITY, Lamella
from tomopicker.types import Volume

GOLD_DENSITY = 12.0
"""Inner potential of gold in excess of water, in units of protein in excess of water: 26 V against 2.2 V."""

_GRANULE_CONTRAST = (0.25, 0.5)

ZYXTuple = tuple[float, float, float]


def add_granule(canvas: Volume, centre: ZYXTuple, radius_voxels: float, rng: np.random.Generator) -> None:
    """Add a dense, uneven granule to a canvas (z, y, x) in place, at a centre (z, y, x) in voxels."""
    part = _around(canvas, centre, 1.6 * radius_voxels)
    if part is None:
        return
    axes = radius_voxels * rng.uniform(0.7, 1.2, size=3)
    inside = _soft_ellipsoid(part, centre, axes, softness=radius_voxels / 8.0)
    grain = ndimage.gaussian_filter(rng.normal(size=inside.shape), 1.2)
    grain = 1.0 + 0.5 * grain / max(float(grain.std()), 1e-6)
    canvas[part] += (rng.uniform(*_GRANULE_CONTRAST) * inside * np.clip(grain, 0.0, None)).astype(np.float32)


def add_gold_bead(canvas: Volume, centre: ZYXTuple, radius_voxels: float) -> None:
    """Add a ball of gold to a canvas (z, y, x) in place, at a centre (z, y, x) in voxels."""
    part = _around(canvas, centre, radius_voxels + 3.0)
    if part is not None:
        inside = _soft_ellipsoid(part, centre, np.full(3, radius_voxels), softness=0.3)
        # A bead smaller than a voxel is thinned by the soft edge; its mass is that of the ball.
        inside *= 4.0 / 3.0 * np.pi * radius_voxels**3 / max(float(inside.sum()), 1e-6)
        canvas[part] += (GOLD_DENSITY * inside).astype(np.float32)


def add_ice(canvas: Volume, centre: ZYXTuple, radius_voxels: float, lamella: Lamella, rng: np.random.Generator) -> None:
    """Lay a lump of ice on a lamella: a few merged ellipsoids about a centre (z, y, x) in voxels, less what is inside.

    The canvas (z, y, x) is changed in place.
    """
    part = _around(canvas, centre, 2.2 * radius_voxels)
    if part is None:
        return
    lump = np.zeros(canvas[part].shape)
    for _ in range(4):
        z, y, x = np.asarray(centre) + rng.normal(0.0, 0.4 * radius_voxels, size=3)
        axes = radius_voxels * rng.uniform(0.5, 1.0, size=3)
        np.maximum(lump, _soft_ellipsoid(part, (z, y, x), axes, softness=0.5), out=lump)
    canvas[part] += (ICE_DENSITY * lump * (1.0 - lamella.inside(part))).astype(np.float32)


def _around(canvas: Volume, centre: ZYXTuple, reach: float) -> tuple[slice, slice, slice] | None:
    """The part of a canvas within `reach` of a centre; None if there is none."""
    low = [max(int(c - np.ceil(reach)), 0) for c in centre]
    high = [min(int(c + np.ceil(reach)) + 1, n) for c, n in zip(centre, canvas.shape, strict=True)]
    if any(b <= a for a, b in zip(low, high, strict=True)):
        return None
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _soft_ellipsoid(
    part: tuple[slice, slice, slice], centre: ZYXTuple, axes: np.ndarray, softness: float
) -> np.ndarray:
    """1 inside, 0 outside, over a part of a canvas; the edge is about `softness` voxels wide."""
    lines = [np.arange(p.start, p.stop) - c for p, c in zip(part, centre, strict=True)]
    grid = np.meshgrid(*lines, indexing="ij")
    scaled = np.sqrt(sum((axis / length) ** 2 for axis, length in zip(grid, axes, strict=True)))
    away = (scaled - 1.0) * float(np.mean(axes)) / softness
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(away, -30.0, 30.0))))
