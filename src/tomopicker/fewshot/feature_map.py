"""Features of a volume's specimen, one row per feature voxel, and scores that are linear in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn import functional

from tomopicker.types import Indices, Positions, Shape, Volume, VoxelMask

PART = 2**17
"""Number of rows converted to float32 at a time."""
REACH = 2.5
"""Radius of Gaussian means, in standard deviations."""

GridMask = Bool[np.ndarray, "gz gy gx"]
Rows = Float[Tensor, "rows channels"]
Weights = Float64[np.ndarray, " channels"]
FeaturesAt = Float64[np.ndarray, "n channels"]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Features of a volume within the specimen.

    Feature voxel i is centred at (i + 1/2)·stride - 1/2 voxels of the volume.

    Parameters
    ----------
    rows : Tensor, shape (rows, channels)
        Half precision, in the order of the True voxels of `where`.
    where : array of bool
        Mask on the feature grid, (z, y, x).
    shape : Shape
        Shape of the volume, (z, y, x).
    stride : int
        Edge of a feature voxel, in voxels of the volume.
    """

    rows: Rows
    where: GridMask
    shape: Shape
    stride: int

    def scores(self, weights: Weights, bias: float) -> Volume:
        """Return f·w + b at every voxel, interpolated linearly; the lowest score where there are no features.

        Parameters
        ----------
        weights : array, shape (channels,)
        bias : float

        Returns
        -------
        array, shape (z, y, x), float32
        """
        if not len(self.rows):
            return np.full(self.shape, bias, dtype=np.float32)
        return self.volume_of(self.row_scores(weights, bias))

    def row_scores(self, weights: Weights, bias: float) -> Float[Tensor, " rows"]:
        """Return f·w + b of each row."""
        w = torch.from_numpy(weights.astype(np.float32))
        return torch.cat([self.rows.new_empty(0, dtype=torch.float32), *(part @ w for part in self.parts())]) + bias

    def volume_of(self, values: Float[Tensor, " rows"]) -> Volume:
        """Interpolate one value per row to every voxel of the volume, as scores are."""
        grid = torch.full(self.where.shape, float(values.min()))
        grid[torch.from_numpy(self.where)] = values
        if self.stride > 1:
            grid = functional.interpolate(
                grid[None, None], scale_factor=self.stride, mode="trilinear", align_corners=False
            )[0, 0]
        z, y, x = self.shape
        scores: Volume = grid[:z, :y, :x].contiguous().numpy()
        return scores

    def parts(self) -> Iterator[Float[Tensor, "part channels"]]:
        """Yield the rows as float32, in parts."""
        for start in range(0, len(self.rows), PART):
            yield self.rows[start : start + PART].float()

    def rows_in(self, mask: VoxelMask | None) -> Bool[np.ndarray, " rows"] | None:
        """Return which rows lie in a mask of the volume, (z, y, x); None (all rows) without a mask or such rows."""
        if mask is None:
            return None
        z, y, x = self.where.shape
        inside: Bool[np.ndarray, " rows"] = blocks_of(mask, self.stride, (z, y, x))[self.where]
        return inside if inside.any() else None

    def at(self, positions_voxels: Positions) -> FeaturesAt:
        """Return the mean feature within one feature voxel of each position, or the nearest feature.

        Parameters
        ----------
        positions_voxels : Positions
            (x, y, z) in voxels of the volume.

        Returns
        -------
        array, shape (n, channels)
        """
        centres = (positions_voxels[:, ::-1] + 0.5) / self.stride - 0.5
        found = np.empty((len(centres), self.rows.shape[1]))
        for index, near in enumerate(self.near(centres, 1.0)):
            found[index] = self.rows[near or [self._nearest(centres[index])]].double().mean(dim=0).numpy()
        return found

    def in_voxels(self, positions: Positions) -> Positions:
        """Convert positions in feature voxels, (x, y, z), to voxels of the volume."""
        return np.asarray((positions + 0.5) * self.stride - 0.5)

    def smoothed_at(self, positions_voxels: Positions, smoothing: float) -> FeaturesAt:
        """Return Gaussian means of features, whose scores approximate those of the smoothed score volume.

        Parameters
        ----------
        positions_voxels : Positions
            (x, y, z) in voxels of the volume.
        smoothing : float
            Standard deviation of the Gaussian over the score volume, voxels; linear interpolation adds its own.

        Returns
        -------
        array, shape (n, channels)
        """
        interpolation = 1 / 6 if self.stride > 1 else 0.0  # Mean variance of linear interpolation, in voxels of a grid.
        sd = float(np.sqrt((smoothing / self.stride) ** 2 + interpolation))
        if not sd:
            return self.at(positions_voxels)
        centres = (positions_voxels[:, ::-1] + 0.5) / self.stride - 0.5
        found = np.empty((len(centres), self.rows.shape[1]))
        for index, near in enumerate(self.near(centres, REACH * sd)):
            if not near:
                found[index] = self.at(positions_voxels[index : index + 1])[0]
                continue
            squares = ((self.voxels(near) - centres[index]) ** 2).sum(axis=1)
            weights = np.exp(-squares / (2 * sd**2))
            found[index] = weights @ self.rows[near].double().numpy() / weights.sum()
        return found

    def covers(self, positions_voxels: Positions) -> np.ndarray:
        """Return True for each position, (x, y, z) in voxels, with features."""
        centres = (positions_voxels[:, ::-1] + 0.5) / self.stride - 0.5
        return np.array([bool(near) for near in self.near(centres, 1.0)], dtype=bool)

    def near(self, centres: Float64[np.ndarray, "n 3"], distance: float) -> list[list[int]]:
        """Return the rows, in order, within a distance of each centre; both in feature voxels, (z, y, x)."""
        reach = int(np.ceil(distance))
        cube = np.mgrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1].reshape(3, -1).T
        found = []
        for centre in centres:
            voxels = np.rint(centre).astype(np.int64) + cube
            voxels = voxels[((voxels >= 0) & (voxels < self.where.shape)).all(axis=1)]
            voxels = voxels[((voxels - centre) ** 2).sum(axis=1) <= distance**2]
            voxels = voxels[self.where[tuple(voxels.T)]]
            found.append(np.searchsorted(self._flat, np.ravel_multi_index(tuple(voxels.T), self.where.shape)).tolist())
        return found

    def voxels(self, rows: list[int]) -> Indices:
        """Return the feature voxels, (z, y, x), of rows."""
        found: Int64[np.ndarray, "n 3"] = np.stack(np.unravel_index(self._flat[rows], self.where.shape), axis=1)
        return found

    def _nearest(self, centre: Float64[np.ndarray, " 3"]) -> int:
        """Return the row nearest to a centre outside the specimen, searching part by part; such positions are rare."""
        nearest, least = 0, np.inf
        for start in range(0, len(self._flat), PART):
            voxels = np.stack(np.unravel_index(self._flat[start : start + PART], self.where.shape), axis=1)
            squares = ((voxels - centre) ** 2).sum(axis=1)
            if squares.min() < least:
                nearest, least = start + int(squares.argmin()), float(squares.min())
        return nearest

    @cached_property
    def _flat(self) -> Int64[np.ndarray, " rows"]:
        """Index of each row's voxel in the flattened grid; a search tree would need ten times the memory."""
        return np.flatnonzero(self.where)


def blocks_of(volume_mask: VoxelMask, stride: int, shape: Shape) -> GridMask:
    """Reduce a mask to the feature grid: True where any voxel of a feature voxel is True.

    Parameters
    ----------
    volume_mask : VoxelMask
        (z, y, x).
    stride : int
        Edge of a feature voxel.
    shape : Shape
        Shape of the grid.
    """
    missing = [(0, edge * stride - have) for edge, have in zip(shape, volume_mask.shape, strict=True)]
    z, y, x = shape
    filled = np.pad(volume_mask, missing)
    return np.asarray(filled.reshape(z, stride, y, stride, x, stride).any(axis=(1, 3, 5)))
