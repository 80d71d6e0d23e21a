"""Features of a volume's specimen, one row a feature voxel, and what is linear in them: scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from tomopicker.types import Indices, Positions, Shape, Volume, VoxelMask

PART = 2**17
"""Rows that are made float32 at a time."""

GridMask = Bool[np.ndarray, "gz gy gx"]
Rows = Float[Tensor, "rows channels"]
Weights = Float64[np.ndarray, " channels"]
FeaturesAt = Float64[np.ndarray, "n channels"]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Features of a volume, where it holds specimen.

    Feature voxel i is centred at (i + 1/2)·stride - 1/2 voxels of the volume.

    Parameters
    ----------
    rows : Tensor, shape (rows, channels)
        Half precision, in memory; in the order of the True voxels of `where`.
    where : array of bool
        Of the feature grid, (z, y, x).
    shape : Shape
        Of the volume, (z, y, x).
    stride : int
        Edge of a feature voxel, in voxels of the volume.
    """

    rows: Rows
    where: GridMask
    shape: Shape
    stride: int

    def scores(self, weights: Weights, bias: float) -> Volume:
        """Give f·w + b at every voxel of the volume, interpolated linearly; the lowest score where there are no rows.

        Parameters
        ----------
        weights : array, shape (channels,)
        bias : float

        Returns
        -------
        array, shape (z, y, x), float32
        """
        w = torch.from_numpy(weights.astype(np.float32))
        if not len(self.rows):
            return np.full(self.shape, bias, dtype=np.float32)
        return self.volume_of(torch.cat([part @ w for part in self.parts()]) + bias)

    def volume_of(self, values: Float[Tensor, " rows"]) -> Volume:
        """Give a value of each row at every voxel of the volume, interpolated as scores are."""
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
        """Give the rows as float32, a part after the other."""
        for start in range(0, len(self.rows), PART):
            yield self.rows[start : start + PART].float()

    def at(self, positions_voxels: Positions) -> FeaturesAt:
        """Give the mean feature within one feature voxel of each position, or that of the nearest row.

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
        nearest = np.asarray(self._tree.query(centres)[1])
        for index, near in enumerate(self.near(centres, 1.0)):
            found[index] = self.rows[near or [int(nearest[index])]].double().mean(dim=0).numpy()
        return found

    def covers(self, positions_voxels: Positions) -> np.ndarray:
        """Say whether there are features at each position, (x, y, z) in voxels."""
        distances, _ = self._tree.query((positions_voxels[:, ::-1] + 0.5) / self.stride - 0.5)
        return np.asarray(distances <= 1.0)

    def near(self, centres: Float64[np.ndarray, "n 3"], distance: float) -> list[list[int]]:
        """Give the rows within a distance of each centre, both in feature voxels, (z, y, x), in order."""
        return [sorted(found) for found in self._tree.query_ball_point(centres, distance)]

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.voxels, balanced_tree=False)

    @cached_property
    def voxels(self) -> Indices:
        """The feature voxel (z, y, x) of each row."""
        found: Int64[np.ndarray, "n 3"] = np.argwhere(self.where)
        return found


def blocks_of(volume_mask: VoxelMask, stride: int, shape: Shape) -> GridMask:
    """Give a mask on a feature grid: True where any of the voxels that a feature voxel stands for is True.

    Parameters
    ----------
    volume_mask : VoxelMask
        (z, y, x).
    stride : int
        Edge of a feature voxel.
    shape : Shape
        Of the grid.
    """
    missing = [(0, edge * stride - have) for edge, have in zip(shape, volume_mask.shape, strict=True)]
    z, y, x = shape
    filled = np.pad(volume_mask, missing)
    return np.asarray(filled.reshape(z, stride, y, stride, x, stride).any(axis=(1, 3, 5)))
