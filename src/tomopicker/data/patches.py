"""Patches of working volumes for training: the paper's blocks, and two streams around clicks and anywhere.

Both samplers give the same batch for the same seed and step, so that a resumed run goes on as if it had not stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from tomopicker.data.augment import augment
from tomopicker.data.cubes import padded
from tomopicker.data.labels import IGNORED, POSITIVE, UNLABELLED
from tomopicker.data.wedge import transmission, turned
from tomopicker.errors import UsageError
from tomopicker.types import LabelMask, Positions, Volume


@dataclass(frozen=True)
class LabelledVolume:
    """One tomogram to learn from.

    Parameters
    ----------
    volume : Volume
        Working volume, (z, y, x).
    labels : LabelMask
        Of the same shape.
    positions : Positions
        (x, y, z) of the clicks, in working voxels.
    """

    volume: Volume
    labels: LabelMask
    positions: Positions


@dataclass(frozen=True)
class Batch:
    """Patches and which of their voxels count as positive and as unlabelled; the others count as nothing."""

    inputs: Float32[np.ndarray, "batch 1 z y x"]
    positive: Bool[np.ndarray, "batch z y x"]
    unlabelled: Bool[np.ndarray, "batch z y x"]


class Blocks:
    """Non-overlapping s³ blocks in a new random order every epoch (section 3.1).

    Volumes are padded with their mean (0) to whole blocks; the padding is ignored in the labels.

    Parameters
    ----------
    data : sequence of LabelledVolume
        Cut into blocks.
    size, batch : int
        Edge of a block, and blocks a step.
    seed : int
        Of the order.
    only_positive : bool
        Keep only the blocks that hold a positive voxel, as for validation.
    """

    def __init__(
        self, data: Sequence[LabelledVolume], size: int, batch: int, seed: int, *, only_positive: bool = False
    ):
        self.size, self.batch_size, self.seed = size, batch, seed
        self.volumes: list[tuple[Volume, LabelMask]] = []
        self.corners: list[tuple[int, int, int, int]] = []
        for index, item in enumerate(data):
            whole = [-(-edge // size) * size for edge in item.volume.shape]
            labels = padded(item.labels, whole, IGNORED)
            self.volumes.append((padded(item.volume, whole, 0), labels))
            for z, y, x in np.ndindex(*(edge // size for edge in whole)):
                corner = (index, z * size, y * size, x * size)
                if not only_positive or bool((self._cut(labels, corner) == POSITIVE).any()):
                    self.corners.append(corner)
        if not self.corners:
            raise UsageError("no block of the validation tomogram holds a pick; give picks that lie in it")

    @property
    def batches_per_epoch(self) -> int:
        """Steps until every block was seen once."""
        return -(-len(self.corners) // self.batch_size)

    def _cut(self, array: np.ndarray, corner: tuple[int, int, int, int]) -> np.ndarray:
        _, z, y, x = corner
        return array[z : z + self.size, y : y + self.size, x : x + self.size]

    def batch(self, step: int) -> Batch:
        """Give the batch of one step; steps count on through the epochs."""
        epoch, within = divmod(step, self.batches_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.corners))
        chosen = [self.corners[i] for i in order[within * self.batch_size : (within + 1) * self.batch_size]]
        inputs = np.stack([self._cut(self.volumes[corner[0]][0], corner) for corner in chosen])
        labels = np.stack([self._cut(self.volumes[corner[0]][1], corner) for corner in chosen])
        return Batch(inputs[:, None], labels == POSITIVE, labels == UNLABELLED)


class TwoStreams:
    """Half of each batch around clicks, half anywhere (DESIGN section 3).

    Positive voxels count in both halves, unlabelled ones only in the uniform half, so that their mean is over the
    tomogram and not over the surroundings of clicks.

    Parameters
    ----------
    data : sequence of LabelledVolume
        At least one click among them.
    size, batch : int
        Edge of a patch in working voxels, and patches a step.
    seed : int
        Of every draw.
    augmented : bool
        Whether to flip, turn about z and disturb patches.
    turned : float
        Share of the patches, of both halves alike, that are turned freely before; without `augmented`, none.
    """

    def __init__(
        self,
        data: Sequence[LabelledVolume],
        size: int,
        batch: int,
        seed: int,
        *,
        augmented: bool = True,
        turned: float = 0.0,
    ):
        self.size, self.batch_size, self.seed, self.augmented = size, batch, seed, augmented
        edges = (size, size, size)
        self.volumes = [(padded(d.volume, edges, 0), padded(d.labels, edges, IGNORED)) for d in data]
        self.clicks = [(index, click[::-1]) for index, d in enumerate(data) for click in d.positions]
        voxels = np.array([d.volume.size for d in data], dtype=np.float64)
        self.share = voxels / voxels.sum()
        self.turned = turned if augmented else 0.0
        self.passed = [transmission(volume, size) for volume, _ in self.volumes] if self.turned else []

    def batch(self, step: int) -> Batch:
        """Give the batch of one step."""
        rng = np.random.default_rng([self.seed, step])
        half = self.batch_size // 2
        order = np.random.default_rng([self.seed, step * half // max(1, len(self.clicks))]).permutation(
            len(self.clicks)
        )
        cuts = [self._around(self.clicks[order[(step * half + i) % len(self.clicks)]], rng) for i in range(half)]
        cuts += [self._anywhere(rng) for _ in range(self.batch_size - half)]
        if self.augmented:
            cuts = [augment(volume, labels, rng) for volume, labels in cuts]
        inputs, labels = (np.stack(part) for part in zip(*cuts, strict=True))
        unlabelled = labels == UNLABELLED
        unlabelled[:half] = False
        return Batch(np.ascontiguousarray(inputs[:, None], dtype=np.float32), labels == POSITIVE, unlabelled)

    def _cut(self, index: int, corner: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        volume, labels = self.volumes[index]
        corner = np.clip(corner, 0, np.array(volume.shape) - self.size)
        if self.turned and rng.random() < self.turned:
            return turned(volume, labels, corner, self.passed[index], rng)
        z, y, x = corner
        box = (slice(z, z + self.size), slice(y, y + self.size), slice(x, x + self.size))
        return volume[box], labels[box]

    def _around(self, click: tuple[int, np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        index, centre = click
        # A quarter of the edge of play keeps the whole target inside and its surroundings varied.
        play = rng.integers(-self.size // 4, self.size // 4 + 1, 3)
        return self._cut(index, np.round(centre).astype(int) - self.size // 2 + play, rng)

    def _anywhere(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        index = int(rng.choice(len(self.volumes), p=self.share))
        room = np.array(self.volumes[index][0].shape) - self.size
        return self._cut(index, rng.integers(0, room + 1), rng)
