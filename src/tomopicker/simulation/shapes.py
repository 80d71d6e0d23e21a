"""Procedural densities of large complexes on a fine grid, from ellipsoids, cylinders and smooth noise.

They reproduce size, symmetry and cavities, enough to be distinguished, or confused, in a tomogram.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from tomopicker.types import Volume

FINE_VOXEL_ANGSTROM = 6.0
"""Voxel size of the shapes."""

_EDGE_ANGSTROM = 6.0
"""Width of the soft edge of every surface."""

Field = Float[np.ndarray, "z y x"]


def ribosome() -> Volume:
    """Draw two unequal lobes with a rough surface, a cleft between them and a tunnel, about 280 Å across."""
    z, y, x = _grid(360.0)
    rough = _roughness(z.shape, seed=1, scale_angstrom=28.0) * 7.0
    large = _ellipsoid(z + 30.0, y, x, (80.0, 116.0, 108.0)) + rough
    stalk = _ellipsoid(z + 15.0, y - 106.0, x + 34.0, (20.0, 32.0, 22.0)) + rough
    protuberance = _ellipsoid(z - 4.0, y + 20.0, x + 98.0, (24.0, 22.0, 30.0)) + rough
    small = _ellipsoid(z - 80.0, y + 8.0, x, (40.0, 92.0, 64.0)) + rough
    beak = _ellipsoid(z - 84.0, y + 84.0, x - 30.0, (20.0, 32.0, 20.0)) + rough
    inside = _union(large, stalk, protuberance, small, beak)
    # The space between the subunits, open on one side, and the exit tunnel lower the density inside.
    cleft = _ellipsoid(z - 38.0, y - 6.0, x - 40.0, (15.0, 86.0, 72.0))
    tunnel = _ellipsoid(z + 38.0, y, x, (104.0, 12.0, 12.0))
    texture = 1.0 + 0.3 * _roughness(z.shape, seed=2, scale_angstrom=16.0)
    return _solid(_without(inside, _union(cleft, tunnel))) * np.clip(texture, 0.1, None).astype(np.float32)


def single_lobe() -> Volume:
    """Draw the ribosome's large lobe alone: a rounded cap about 240 Å across with a flat, hollow face."""
    z, y, x = _grid(330.0)
    rough = _roughness(z.shape, seed=3, scale_angstrom=28.0) * 7.0
    body = _ellipsoid(z + 10.0, y, x, (76.0, 110.0, 102.0)) + rough
    stalk = _ellipsoid(z - 2.0, y - 94.0, x + 34.0, (20.0, 32.0, 22.0)) + rough
    face = _ellipsoid(z - 60.0, y, x - 10.0, (42.0, 100.0, 76.0))
    texture = 1.0 + 0.3 * _roughness(z.shape, seed=4, scale_angstrom=16.0)
    return _solid(_without(_union(body, stalk), face)) * np.clip(texture, 0.1, None).astype(np.float32)


def barrel() -> Volume:
    """Draw a hollow barrel of four rings, 150 Å long and 115 Å wide (20S-like)."""
    z, y, x = _grid(230.0)
    return _solid(_tube(z, y, x, half_length=75.0, outer=57.0, inner=20.0) - 3.0 * np.cos(2 * np.pi * z / 38.0))


def capped_barrel() -> Volume:
    """Draw the barrel with two asymmetric caps, 450 Å long and about 150 Å wide (26S-like)."""
    z, y, x = _grid(520.0)
    rough = _roughness(z.shape, seed=5, scale_angstrom=26.0) * 7.0
    tube = _tube(z, y, x, half_length=75.0, outer=57.0, inner=20.0)
    caps = [
        _union(
            _ellipsoid(side * z - 118.0, y, x, (46.0, 62.0, 62.0)) + rough,
            _ellipsoid(side * z - 178.0, y - side * 26.0, x + 18.0, (50.0, 62.0, 48.0)) + rough,
        )
        for side in (1.0, -1.0)
    ]
    pore = _ellipsoid(z, y, x, (170.0, 16.0, 16.0))
    return _solid(_without(_union(tube, *caps), pore))


def dome_shell() -> Volume:
    """Draw a hollow shell of two domes on an equatorial wheel, 260 Å high (fatty-acid-synthase-like)."""
    z, y, x = _grid(330.0)
    rough = _roughness(z.shape, seed=6, scale_angstrom=24.0) * 6.0
    outer = _ellipsoid(z, y, x, (130.0, 112.0, 112.0)) + rough
    inner = _ellipsoid(z, y, x, (100.0, 84.0, 84.0)) + rough
    wheel = _tube(z, y, x, half_length=20.0, outer=118.0, inner=30.0)
    spokes = np.maximum(np.abs(z) - 14.0, 12.0 * (np.cos(3.0 * np.arctan2(y, x)) < 0.6) - 6.0)
    spokes = np.maximum(spokes, np.hypot(y, x) - 100.0)
    windows = 14.0 * (np.cos(6.0 * np.arctan2(y, x)) - 0.55) * (np.abs(z) > 24.0) * (np.abs(z) < 86.0)
    return _solid(_union(_without(outer, inner) + np.clip(windows, 0.0, None), wheel, spokes))


def double_ring() -> Volume:
    """Draw two stacked rings of eight subunits, closed at the ends, 165 Å high and 155 Å wide (TRiC-like)."""
    z, y, x = _grid(240.0)
    outer = _ellipsoid(z, y, x, (92.0, 82.0, 82.0)) - 4.0 * np.cos(8.0 * np.arctan2(y, x))
    chambers = _union(*(_ellipsoid(z - side * 36.0, y, x, (32.0, 42.0, 42.0)) for side in (1.0, -1.0)))
    waist = _without(_tube(z, y, x, half_length=5.0, outer=100.0, inner=34.0), _ellipsoid(z, y, x, (40.0, 64.0, 64.0)))
    return _solid(_without(outer, _union(chambers, waist)))


def blob(seed: int, radius_angstrom: float) -> Volume:
    """Draw a few merged ellipsoids within about `radius_angstrom` of a centre: an unnamed complex of the cytosol."""
    rng = np.random.default_rng(seed)
    z, y, x = _grid(5.0 * radius_angstrom)
    lumps = []
    for _ in range(4):
        offset = rng.normal(0.0, 0.45 * radius_angstrom, size=3)
        axes = radius_angstrom * rng.uniform(0.45, 0.75, size=3)
        lumps.append(_ellipsoid(z - offset[0], y - offset[1], x - offset[2], (axes[0], axes[1], axes[2])))
    return _solid(_union(*lumps))


def _grid(width_angstrom: float) -> tuple[Field, Field, Field]:
    half = int(np.ceil(width_angstrom / 2.0 / FINE_VOXEL_ANGSTROM))
    axis = np.arange(-half, half + 1, dtype=np.float64) * FINE_VOXEL_ANGSTROM
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return z, y, x


def _ellipsoid(z: Field, y: Field, x: Field, axes: tuple[float, float, float]) -> Field:
    """Return the approximate signed distance to the surface in Å, negative inside."""
    scaled = np.sqrt((z / axes[0]) ** 2 + (y / axes[1]) ** 2 + (x / axes[2]) ** 2)
    return np.asarray((scaled - 1.0) * min(axes))


def _tube(z: Field, y: Field, x: Field, *, half_length: float, outer: float, inner: float) -> Field:
    radius = np.hypot(y, x)
    return np.asarray(np.maximum(np.maximum(radius - outer, inner - radius), np.abs(z) - half_length))


def _union(*distances: Field) -> Field:
    return np.asarray(np.minimum.reduce(distances))


def _without(distance: Field, hole: Field) -> Field:
    return np.asarray(np.maximum(distance, -hole))


def _solid(distance: Field) -> Volume:
    """Convert a signed distance to a density: 1 inside, 0 outside, with a soft edge."""
    return (1.0 / (1.0 + np.exp(np.clip(distance / (_EDGE_ANGSTROM / 2.0), -40.0, 40.0)))).astype(np.float32)


def _roughness(shape: tuple[int, ...], seed: int, scale_angstrom: float) -> Field:
    """Return smooth noise of unit standard deviation; a fixed seed gives a molecule one surface."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, scale_angstrom / 2.0 / FINE_VOXEL_ANGSTROM)
    return np.asarray(smooth / smooth.std())


BUILTIN_SHAPES: dict[str, tuple[Callable[[], Volume], float, float]] = {
    "ribosome": (ribosome, 3.2, 1.1),
    "large_subunit": (single_lobe, 1.6, 1.1),
    "proteasome_26s": (capped_barrel, 2.5, 1.0),
    "proteasome_20s": (barrel, 0.7, 1.0),
    "fatty_acid_synthase": (dome_shell, 2.6, 1.0),
    "chaperonin": (double_ring, 0.95, 1.0),
    "complex_600kda": (lambda: blob(11, 74.0), 0.6, 1.0),
    "complex_400kda": (lambda: blob(12, 63.0), 0.4, 1.0),
    "complex_250kda": (lambda: blob(13, 50.0), 0.25, 1.0),
    "complex_120kda": (lambda: blob(14, 36.0), 0.12, 1.0),
}
"""Name to drawing function, mass in MDa, and contrast per mass relative to protein (higher for RNA)."""
