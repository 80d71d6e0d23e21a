"""The shape of a lamella: two parallel planes, possibly tilted, or uneven from milling."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from tomopicker.types import Shape, Volume

ICE_DENSITY = 1.6
"""Vitreous water in excess of vacuum, in units of protein in excess of water: inner potentials of 3.5 V and 2.2 V."""

_CURTAIN_ANGSTROM = 350.0
"""Typical width of a furrow cut by the ion beam."""

Region = tuple[slice, slice, slice]
"""Part of a volume, (z, y, x), with integer bounds."""

Face = Float32[np.ndarray, "y x"]
"""z of a face in voxels at each (y, x)."""


@dataclass(frozen=True, eq=False)
class Lamella:
    """A lamella in a volume of a shape (z, y, x); lengths are in voxels.

    `middle_voxels` is z of the mid-plane at the centre of the field and `half_voxels` half the thickness; the slopes
    are the rise of the mid-plane per voxel along y and x; the furrows are the depth removed from the lower and the
    upper face by milling, negative for ridges.
    """

    middle_voxels: float
    half_voxels: float
    slope_y: float
    slope_x: float
    shape: Shape
    furrows: tuple[Face, Face] | None = None

    def middle(self, y: "float | np.ndarray", x: "float | np.ndarray") -> "float | np.ndarray":
        """Return z of the mid-plane at (y, x), all in voxels."""
        _, n_y, n_x = self.shape
        return self.middle_voxels + self.slope_y * (y - (n_y - 1) / 2) + self.slope_x * (x - (n_x - 1) / 2)

    def inside(self, region: Region) -> Volume:
        """Return 1 inside and 0 in vacuum, with an edge one voxel wide, in a region (z, y, x)."""
        z, middle = self._grid(region)
        lower, upper = (face[region[1:]] for face in self.furrows) if self.furrows else (0.0, 0.0)
        above = z - (middle - self.half_voxels + lower)
        below = (middle + self.half_voxels - upper) - z
        return np.asarray(np.clip(np.minimum(above, below) + 0.5, 0.0, 1.0), dtype=np.float32)

    def ridges(self, region: Region) -> Volume | None:
        """Return the ice that curtaining adds to a lamella with flat faces; None without curtaining."""
        if self.furrows is None:
            return None
        return np.asarray(np.float32(ICE_DENSITY) * (self.inside(region) - replace(self, furrows=None).inside(region)))

    def coating(self, region: Region, grain: Face) -> Volume:
        """Return a layer of grains, about a voxel thick, on the upper face in a region (z, y, x)."""
        z, middle = self._grid(region)
        face = np.asarray(middle + self.half_voxels, dtype=np.float32)
        if self.furrows is not None:
            face -= self.furrows[1][region[1:]]
        layer = np.exp(-0.5 * (z - face) ** 2)
        return np.asarray(grain[region[1:]] * layer, dtype=np.float32)

    def sections(self) -> slice:
        """Return the range of z that the lamella occupies."""
        _, n_y, n_x = self.shape
        corners = [float(self.middle(y, x)) for y in (0, n_y - 1) for x in (0, n_x - 1)]
        deepest = max((float(-face.min()) for face in self.furrows or ()), default=0.0)
        half = self.half_voxels + max(deepest, 0.0) + 3.0
        low, high = min(corners) - half, max(corners) + half
        return slice(max(int(low), 0), max(min(int(high) + 1, self.shape[0]), 1))

    def _grid(self, region: Region) -> tuple[Float32[np.ndarray, "z 1 1"], Face]:
        """Return z of a region, and z of the mid-plane at each (y, x)."""
        z, y, x = (np.arange(part.start, part.stop, dtype=np.float32) for part in region)
        return z[:, None, None], np.asarray(self.middle(y[:, None], x[None, :]), dtype=np.float32)


def furrow_faces(
    shape: Shape, voxel_size_angstrom: float, depth_angstrom: float, rng: np.random.Generator
) -> tuple[Face, Face]:
    """Draw the curtaining of the lower and the upper face, in voxels: furrows along the ion beam.

    `depth_angstrom` is the standard deviation of their depth.
    """
    _, n_y, n_x = shape
    direction = np.deg2rad(rng.uniform(-15.0, 15.0))  # Lamellae are mounted with the milling direction near x or y.
    across = np.arange(n_x)[None, :] * np.cos(direction) + np.arange(n_y)[:, None] * np.sin(direction)
    across -= across.min()
    faces = []
    for _ in range(2):
        line = ndimage.gaussian_filter1d(
            rng.normal(size=int(across.max()) + 64), max(_CURTAIN_ANGSTROM / voxel_size_angstrom / 2.5, 0.5)
        )
        line *= depth_angstrom / voxel_size_angstrom / max(float(line.std()), 1e-6)
        faces.append(np.interp(across.ravel(), np.arange(len(line)), line).reshape(across.shape).astype(np.float32))
    return faces[0], faces[1]
