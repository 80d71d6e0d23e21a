"""Membranes of two leaflets: undulating sheets, single or paired as in a cisterna, and round vesicles."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage

from tomopicker.simulation.lamella import Region
from tomopicker.types import Shape, Volume

_LEAFLET_OFFSET_ANGSTROM = 19.0
"""Half the distance between the two layers of head groups."""
_LEAFLET_SIGMA_ANGSTROM = 7.0
_LEAFLET_DENSITY = 0.7
_TAILS_SIGMA_ANGSTROM = 9.0
_TAILS_DENSITY = -0.3
"""Lipid tails scatter less than the solvent."""
_HALF_WIDTH_ANGSTROM = 30.0
"""The cytosol begins at this distance from a membrane's mid-surface."""
_MARGIN_ANGSTROM = 90.0
"""Margin of a surface's bounding box, beyond which it has no density."""
_LUMEN_ANGSTROM = (110.0, 260.0)
"""Distance between the two membranes of a pair."""
_CLEARANCE_ANGSTROM = 120.0
"""Two sheets must not both be this close to any point."""
_MAX_ATTEMPTS = 20
_WAVE_SD_ANGSTROM = 50.0
_WAVELENGTH_ANGSTROM = 600.0

ZYX = Float64[np.ndarray, "3"]
Waves = Float32[np.ndarray, "coarse_z coarse_y coarse_x"]


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed surface: an ellipsoid, possibly undulating; centre and semi-axes (z, y, x) in Å.

    With a lumen above zero there are two membranes this far apart (Å). The waves displace the surface, in Å, on a
    coarse grid (z, y, x) over the whole volume.
    """

    centre: ZYX
    axes: ZYX
    lumen_angstrom: float = 0.0
    waves: Waves | None = None


@dataclass(frozen=True, eq=False)
class Membranes:
    """All membranes of a volume with a shape (z, y, x) and a voxel size in Å."""

    shape: Shape
    voxel_size_angstrom: float
    surfaces: tuple[Surface, ...]

    def distance(self, region: Region) -> Volume:
        """Return the unsigned distance in Å to the nearest membrane's mid-surface, to first order, in a region.

        Infinity where no membrane is near.
        """
        nearest = np.full([part.stop - part.start for part in region], np.inf, dtype=np.float32)
        for surface in self.surfaces:
            near = self._neighbourhood(surface, region)
            part = nearest[tuple(slice(n.start - r.start, n.stop - r.start) for n, r in zip(near, region, strict=True))]
            np.minimum(part, self._distance_to(surface, near), out=part)
        return nearest

    def distance_at(self, centre: Float64[np.ndarray, "3"]) -> float:
        """Return the distance in Å from the voxel nearest to a point (x, y, z) in voxels."""
        z, y, x = (int(np.clip(round(c), 0, n - 1)) for c, n in zip(centre[::-1], self.shape, strict=True))
        return float(self.distance((slice(z, z + 1), slice(y, y + 1), slice(x, x + 1)))[0, 0, 0])

    def _neighbourhood(self, surface: Surface, region: Region) -> Region:
        """Return the part of a region, possibly empty, that a surface can reach; the whole for a sheet with waves."""
        if surface.waves is not None:
            return region
        half = (surface.axes + surface.lumen_angstrom / 2 + _MARGIN_ANGSTROM) / self.voxel_size_angstrom
        centre = surface.centre / self.voxel_size_angstrom
        low, high = (centre - half).astype(int), (centre + half).astype(int) + 2
        z, y, x = (
            slice(int(np.clip(a, part.start, part.stop)), int(np.clip(b, part.start, part.stop)))
            for a, b, part in zip(low, high, region, strict=True)
        )
        return z, y, x

    def _distance_to(self, surface: Surface, region: Region) -> Volume:
        z, y, x = (
            ((np.arange(part.start, part.stop) * self.voxel_size_angstrom - centre) / axis).astype(np.float32)
            for part, centre, axis in zip(region, surface.centre, surface.axes, strict=True)
        )
        scaled = np.sqrt((z**2)[:, None, None] + (y**2)[:, None] + x**2)
        # To first order, the distance to a level set is the value over the length of its gradient.
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

    def _waves(self, coarse: Waves, region: Region) -> Volume:
        z, y, x = (
            _spline_weights(n_coarse, n)[part]
            for n_coarse, n, part in zip(coarse.shape, self.shape, region, strict=True)
        )
        return np.asarray(np.tensordot(z, y @ coarse @ x.T, axes=1), dtype=np.float32)


def draw_sheets(
    shape: Shape, voxel_size_angstrom: float, n: int, paired: float, rng: np.random.Generator
) -> tuple[Surface, ...]:
    """Draw up to `n` closed, undulating surfaces, most of them taller than the volume, so that they cross it as sheets.

    A fraction `paired` of them has two membranes, as around a cisterna or a nucleus. Sheets that would meet an earlier
    one are drawn again, and left out after a number of attempts.
    """
    surfaces: tuple[Surface, ...] = ()
    for _ in range(n):
        for _ in range(_MAX_ATTEMPTS):
            sheet = _draw_sheet(shape, voxel_size_angstrom, paired, rng)
            if not _touches(shape, voxel_size_angstrom, sheet, surfaces):
                surfaces += (sheet,)
                break
    return surfaces


def _draw_sheet(shape: Shape, voxel_size_angstrom: float, paired: float, rng: np.random.Generator) -> Surface:
    extent = np.array(shape) * voxel_size_angstrom
    lateral = min(extent[1], extent[2])
    axes = np.array([rng.uniform(0.6, 2.5) * extent[0], *(rng.uniform(0.15, 0.38, size=2) * lateral)])
    centre = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.0, 1.0), rng.uniform(0.0, 1.0)]) * extent
    coarse = tuple(int(np.ceil(size * voxel_size_angstrom / _WAVELENGTH_ANGSTROM)) + 3 for size in shape)
    waves = rng.normal(0.0, _WAVE_SD_ANGSTROM, size=coarse).astype(np.float32)
    lumen = float(rng.uniform(*_LUMEN_ANGSTROM)) if rng.random() < paired else 0.0
    return Surface(centre, axes, lumen, waves)


def _touches(shape: Shape, voxel_size_angstrom: float, sheet: Surface, others: tuple[Surface, ...]) -> bool:
    """Test whether a sheet comes near any of the others in the volume's central section."""
    section = (slice(shape[0] // 2, shape[0] // 2 + 1), slice(0, shape[1]), slice(0, shape[2]))
    near_sheet, near_others = (
        Membranes(shape, voxel_size_angstrom, surfaces).distance(section) < _CLEARANCE_ANGSTROM
        for surfaces in ((sheet,), others)
    )
    return bool((near_sheet & near_others).any())


def membrane_density(distance_angstrom: Volume, voxel_size_angstrom: float) -> tuple[Volume, Volume]:
    """Return the density at a distance from a membrane's mid-surface, and the fraction of free space there.

    The density, in excess of the solvent and blurred to the voxel size, has two layers of head groups and is negative
    between them; the free space is 0 in the membrane and 1 away from it.
    """
    density, free = np.zeros_like(distance_angstrom), np.ones_like(distance_angstrom)
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
    free[near] = np.clip((distance - _HALF_WIDTH_ANGSTROM) / voxel_size_angstrom + 0.5, 0.0, 1.0)
    return density, free


@cache
def _spline_weights(n_coarse: int, n_fine: int) -> Float64[np.ndarray, "fine coarse"]:
    """Return the matrix that interpolates a coarse grid to a fine one by cubic splines."""
    return np.asarray(ndimage.zoom(np.eye(n_coarse), (n_fine / n_coarse, 1), order=3, mode="reflect", grid_mode=True))
