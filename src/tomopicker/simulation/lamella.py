"""The lamella as a body: two parallel plane faces, unless tilted or uneven from milling."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from tomopicker.types import Shape, Volume

ICE_DENSITY = 1.6
"""Vitreous water in excess of vacuum, in units of protein in excess of water: inner potentials of 3.5 V and 2.2 V."""

_CURTAIN_ANGSTROM = 350.0
"""Typical width of a furrow that the ion beam cuts."""

Region = tuple[slice, slice, slice]
"""Part of a volume by its starts and stops, (z, y, x)."""

Face = Float32[np.ndarray, "y x"]
"""z of a face in voxels at each (y, x)."""


@dataclass(frozen=True, eq=False)
class Lamella:
    """Extent of a lamella along z, in a volume of a shape (z, y, x), in voxels.

    z of its middle at the centre of the field and half its thickness; slopes are the rise of the middle in z per voxel
    along y and x; furrows are the depth removed from the lower and the upper face by milling, negative for ridges.
    """

    middle_voxels: float
    half_voxels: float
    slope_y: float
    slope_x: float
    shape: Shape
    furrows: tuple[Face, Face] | None = None

    def middle(self, y: "float | np.ndarray", x: "float | np.ndarray") -> "float | np.ndarray":
        """Z of the middle in voxels at (y, x) in voxels."""
        _, n_y, n_x = self.shape
        return self.middle_voxels + self.slope_y * (y - (n_y - 1) / 2) + self.slope_x * (x - (n_x - 1) / 2)

    def inside(self, region: Region) -> Volume:
        """1 inside, 0 in vacuum, with an edge one voxel wide, in a region (z, y, x)."""
        return self._between(region, *(self.furrows or (None, None)))

    def ridges(self, region: Region) -> Volume | None:
        """Ice that curtaining adds to a lamella with plane faces; None without curtains."""
        if self.furrows is None:
            return None
        return np.asarray(np.float32(ICE_DENSITY) * (self.inside(region) - self._between(region, None, None)))

    def coating(self, region: Region, grain: Face) -> Volume:
        """A layer of grains, about a voxel thick, on the upper face in a region (z, y, x)."""
        z, y, x = (np.arange(part.start, part.stop, dtype=np.float32) for part in region)
        face = np.asarray(self.middle(y[:, None], x[None, :]) + self.half_voxels, dtype=np.float32)
        if self.furrows is not None:
            face -= self.furrows[1][region[1:]]
        layer = np.exp(-0.5 * (z[:, None, None] - face) ** 2)
        return np.asarray(grain[region[1:]] * layer, dtype=np.float32)

    def filled(self) -> slice:
        """The sections that the lamella reaches."""
        _, n_y, n_x = self.shape
        corners = [float(self.middle(y, x)) for y in (0, n_y - 1) for x in (0, n_x - 1)]
        deepest = max((float(-face.min()) for face in self.furrows or ()), default=0.0)
        reach = self.half_voxels + max(deepest, 0.0) + 3.0
        low, high = min(corners) - reach, max(corners) + reach
        return slice(max(int(low), 0), max(min(int(high) + 1, self.shape[0]), 1))

    def _between(self, region: Region, lower: Face | None, upper: Face | None) -> Volume:
        z, y, x = (np.arange(part.start, part.stop, dtype=np.float32) for part in region)
        middle = np.asarray(self.middle(y[:, None], x[None, :]), dtype=np.float32)
        here = region[1:]
        above = z[:, None, None] - (middle - self.half_voxels + (0.0 if lower is None else lower[here]))
        below = (middle + self.half_voxels - (0.0 if upper is None else upper[here])) - z[:, None, None]
        return np.asarray(np.clip(np.minimum(above, below) + 0.5, 0.0, 1.0), dtype=np.float32)


def furrow_faces(
    shape: Shape, voxel_size_angstrom: float, depth_angstrom: float, rng: np.random.Generator
) -> tuple[Face, Face]:
    """Draw the curtains of both faces, lower and upper, in voxels: furrows along the ion beam.

    `depth_angstrom` is their standard deviation.
    """
    _, n_y, n_x = shape
    direction = np.deg2rad(rng.uniform(-15.0, 15.0))  # Lamellae are put into the microscope with the beam near y or x.
    across = np.arange(n_x)[None, :] * np.cos(direction) + np.arange(n_y)[:, None] * np.sin(direction)
    across = across - across.min()
    faces = []
    for _ in range(2):
        line = ndimage.gaussian_filter1d(
            rng.normal(size=int(across.max()) + 64), max(_CURTAIN_ANGSTROM / voxel_size_angstrom / 2.5, 0.5)
        )
        line *= depth_angstrom / voxel_size_angstrom / max(float(line.std()), 1e-6)
        faces.append(np.interp(across.ravel(), np.arange(len(line)), line).reshape(across.shape).astype(np.float32))
    return faces[0], faces[1]
