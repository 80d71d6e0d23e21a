"""Membranes of two leaflets: wide, wavy sheets, single or in pairs as around a cisterna, and small round vesicles."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage

from tomopicker.types import Shape, Volume

_LEAFLET_OFFSET_ANGSTROM = 19.0
"""Half the distance between the two layers of head groups."""
_LEAFLET_SIGMA_ANGSTROM = 7.0
_LEAFLET_DENSITY = 0.7
_TAILS_SIGMA_ANGSTROM = 9.0
_TAILS_DENSITY = -0.3
"""Fatty chains scatter less than the solvent."""
_HALF_WIDTH_ANGSTROM = 30.0
"""Nothing of the cytosol is nearer to a membrane's middle."""
_CLEAR_ANGSTROM = 90.0
"""A bounding box reaches this far beyond its surface: where density, and the waves of a sheet, have come to an end."""
_LUMEN_ANGSTROM = (110.0, 260.0)
"""Width of the space between the two membranes of a pair."""
_APART_ANGSTROM = 120.0
"""Smallest distance of two sheets, each."""
_TRIES = 20
_WAVE_ANGSTROM = 50.0
_WAVE_LENGTH_ANGSTROM = 600.0

ZYX = Float64[np.ndarray, "3"]
Waves = Float32[np.ndarray, "coarse_z coarse_y coarse_x"]


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed surface: an ellipsoid with waves; centre and semi-axes (z, y, x) in Å.

    With a lumen above zero there are two membranes this far apart (Å). The waves are the displacement of the surface in
    Å, on a coarse grid (z, y, x) over the whole volume.
    """

    middle: ZYX
    axes: ZYX
    lumen_angstrom: float = 0.0
    waves: Waves | None = None


@dataclass(frozen=True, eq=False)
class Membranes:
    """All membranes of a volume of a shape (z, y, x) and a voxel size in Å."""

    shape: Shape
    voxel_size_angstrom: float
    surfaces: tuple[Surface, ...]

    def distance(self, region: tuple[slice, slice, slice]) -> Volume:
        """Unsigned distance in Å to the middle of the nearest membrane, to first order, in a region (z, y, x).

        Infinity where no membrane is near.
        """
        nearest = np.full([part.stop - part.start for part in region], np.inf, dtype=np.float32)
        for surface in self.surfaces:
            piece = self._overlap(surface, region)
            if piece is not None:
                inside = tuple(slice(p.start - r.start, p.stop - r.start) for p, r in zip(piece, region, strict=True))
                part = nearest[inside]
                np.minimum(part, self._distance_to(surface, piece), out=part)
        return nearest

    def distance_at(self, centre: Float64[np.ndarray, "3"]) -> float:
        """Distance in Å from the voxel nearest to a point (x, y, z) in voxels."""
        z, y, x = (int(np.clip(round(c), 0, n - 1)) for c, n in zip(centre[::-1], self.shape, strict=True))
        return float(self.distance((slice(z, z + 1), slice(y, y + 1), slice(x, x + 1)))[0, 0, 0])

    def _overlap(self, surface: Surface, region: tuple[slice, slice, slice]) -> tuple[slice, slice, slice] | None:
        """The part of a region that a surface can reach; the whole for a sheet with waves."""
        if surface.waves is not None:
            return region
        reach = (surface.axes + surface.lumen_angstrom / 2 + _CLEAR_ANGSTROM) / self.voxel_size_angstrom
        middle = surface.middle / self.voxel_size_angstrom
        low = [max(int(m - r), part.start) for m, r, part in zip(middle, reach, region, strict=True)]
        high = [min(int(m + r) + 2, part.stop) for m, r, part in zip(middle, reach, region, strict=True)]
        if any(b <= a for a, b in zip(low, high, strict=True)):
            return None
        return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])

    def _distance_to(self, surface: Surface, region: tuple[slice, slice, slice]) -> Volume:
        z, y, x = (
            ((np.arange(part.start, part.stop) * self.voxel_size_angstrom - middle) / axis).astype(np.float32)
            for part, middle, axis in zip(region, surface.middle, surface.axes, strict=True)
        )
        scaled = np.sqrt((z**2)[:, None, None] + (y**2)[:, None] + x**2)
        # Distance to the surface to first order: the value over the length of its gradient.
        steep = [(line / np.float32(axis)) ** 2 for line, axis in zip((z, y, x), surface.axes, strict=True)]
        slope = np.sqrt(steep[0][:, None, None] + steep[1][:, None] + steep[2])
        np.maximum(slope, 1e-6, out=slope)
        distance = (scaled - 1.0) * scaled
        distance /= slope
        if surface.waves is not None:
            distance += self._waves(surface.waves, region)
        np.abs(distance, out=distance)
        if surface.lumen_angstrom:
            distance -= np.float32(surface.lumen_angstrom / 2)
            np.abs(distance, out=distance)
        return np.asarray(distance, dtype=np.float32)

    def _waves(self, coarse: Waves, region: tuple[slice, slice, slice]) -> Volume:
        weights = [_spline(few, many)[part] for few, many, part in zip(coarse.shape, self.shape, region, strict=True)]
        across = weights[1] @ coarse @ weights[2].T
        return np.asarray(np.tensordot(weights[0], across, axes=1), dtype=np.float32)


def draw_sheets(
    shape: Shape, voxel_size_angstrom: float, n: int, paired: float, rng: np.random.Generator
) -> tuple[Surface, ...]:
    """Draw n closed, wavy surfaces, most of them higher than the volume, so that they cross it as sheets.

    A share `paired` of them has two membranes, as around a cisterna or a nucleus. None meets another; there are fewer
    where there is no room.
    """
    surfaces: tuple[Surface, ...] = ()
    for _ in range(n):
        for _ in range(_TRIES):
            sheet = _draw_sheet(shape, voxel_size_angstrom, paired, rng)
            if not _meet(shape, voxel_size_angstrom, surfaces, sheet):
                surfaces += (sheet,)
                break
    return surfaces


def _draw_sheet(shape: Shape, voxel_size_angstrom: float, paired: float, rng: np.random.Generator) -> Surface:
    extent = np.array(shape) * voxel_size_angstrom
    lateral = min(extent[1], extent[2])
    axes = np.array([rng.uniform(0.6, 2.5) * extent[0], *(rng.uniform(0.15, 0.38, size=2) * lateral)])
    middle = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.0, 1.0), rng.uniform(0.0, 1.0)]) * extent
    coarse = tuple(int(np.ceil(size * voxel_size_angstrom / _WAVE_LENGTH_ANGSTROM)) + 3 for size in shape)
    waves = rng.normal(0.0, _WAVE_ANGSTROM, size=coarse).astype(np.float32)
    lumen = float(rng.uniform(*_LUMEN_ANGSTROM)) if rng.random() < paired else 0.0
    return Surface(middle, axes, lumen, waves)


def _meet(shape: Shape, voxel_size_angstrom: float, surfaces: tuple[Surface, ...], other: Surface) -> bool:
    """Test whether a surface comes near any of several, halfway up the volume."""
    middle = (slice(shape[0] // 2, shape[0] // 2 + 1), slice(0, shape[1]), slice(0, shape[2]))
    near = [
        Membranes(shape, voxel_size_angstrom, some).distance(middle) < _APART_ANGSTROM for some in (surfaces, (other,))
    ]
    return bool((near[0] & near[1]).any())


def vesicles_at(
    vesicles: Sequence[tuple[Float64[np.ndarray, "3"], float]], voxel_size_angstrom: float
) -> tuple[Surface, ...]:
    """Round vesicles, each by its centre (x, y, z) in voxels and its radius in Å."""
    return tuple(Surface(centre[::-1] * voxel_size_angstrom, np.full(3, radius)) for centre, radius in vesicles)


def membrane_density(distance_angstrom: Volume, voxel_size_angstrom: float) -> tuple[Volume, Volume]:
    """Density of a membrane at a distance from its middle, blurred to the voxel size, and the free space outside it.

    The density, in excess of the solvent, has two layers of head groups and is negative between them; the room is 0 in
    the membrane and 1 away from it.
    """
    density, room = np.zeros_like(distance_angstrom), np.ones_like(distance_angstrom)
    near = distance_angstrom < _HALF_WIDTH_ANGSTROM + 3.0 * voxel_size_angstrom
    distance = distance_angstrom[near]
    total = np.zeros_like(distance)
    for offset, sigma, height in (
        (_LEAFLET_OFFSET_ANGSTROM, _LEAFLET_SIGMA_ANGSTROM, _LEAFLET_DENSITY),
        (-_LEAFLET_OFFSET_ANGSTROM, _LEAFLET_SIGMA_ANGSTROM, _LEAFLET_DENSITY),
        (0.0, _TAILS_SIGMA_ANGSTROM, _TAILS_DENSITY),
    ):
        blurred = float(np.hypot(sigma, 0.4 * voxel_size_angstrom))
        total += height * sigma / blurred * np.exp(-0.5 * ((distance - offset) / blurred) ** 2)
    density[near] = total
    room[near] = np.clip((distance - _HALF_WIDTH_ANGSTROM) / voxel_size_angstrom + 0.5, 0.0, 1.0)
    return density, room


@cache
def _spline(few: int, many: int) -> Float64[np.ndarray, "many few"]:
    """Weights that take values on a coarse grid to a fine one by cubic splines."""
    return np.asarray(ndimage.zoom(np.eye(few), (many / few, 1), order=3, mode="reflect", grid_mode=True))
