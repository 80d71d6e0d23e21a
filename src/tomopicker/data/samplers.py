"""Patches of working volumes for training: the paper's blocks, and two streams around clicks and anywhere.

Both samplers give the same batch for the same seed and step, so that a resumed run goes on as if it had not stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32

from tomopicker.data.augment import augment
from tomopicker.data.crops import pad_to, sample_crop_corner
from tomopicker.data.labels import IGNORED, NEGATIVE, NO_POSITIONS, POSITIVE, UNLABELLED
from tomopicker.data.wedge import turned, wedge_amplitude
from tomopicker.errors import UsageError
from tomopicker.types import LabelMask, Negatives, Positions, Volume, VoxelMask


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
        (x, y, z) in working voxels of the clicks, and of what is learnt from like them.
    rejected : Negatives
        Likewise of picks that are known to be something else.
    mask : VoxelMask, optional
        Where the specimen is; everywhere if left out.
    name : str
        Of the tomogram, for messages.
    """

    volume: Volume
    labels: LabelMask
    positions: Positions
    rejected: Negatives = field(default_factory=lambda: NO_POSITIONS)
    mask: VoxelMask | None = None
    name: str = ""


@dataclass(frozen=True)
class Batch:
    """Patches and which of their voxels are positive, unlabelled and known background; the others count as nothing."""

    inputs: Float32[np.ndarray, "batch 1 z y x"]
    positive: Bool[np.ndarray, "batch z y x"]
    unlabelled: Bool[np.ndarray, "batch z y x"]
    negative: Bool[np.ndarray, "batch z y x"]


class GridPatchSampler:
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
            self.volumes.append((item.volume, item.labels))
            for z, y, x in np.ndindex(*(edge // size for edge in whole)):
                corner = (index, z * size, y * size, x * size)
                if not only_positive or bool((self._cut(item.labels, corner, IGNORED) == POSITIVE).any()):
                    self.corners.append(corner)
        if not self.corners:
            raise UsageError("no block of the validation tomogram holds a pick; give picks that lie in it")

    @property
    def batches_per_epoch(self) -> int:
        """Steps until every block was seen once."""
        return -(-len(self.corners) // self.batch_size)

    def _cut(self, array: np.ndarray, corner: tuple[int, int, int, int], beyond: int) -> np.ndarray:
        """Cut a block, padded where it reaches beyond the volume: a padded copy of the volume would be a second one."""
        _, z, y, x = corner
        return pad_to(array[z : z + self.size, y : y + self.size, x : x + self.size], (self.size,) * 3, beyond)

    def batch(self, step: int) -> Batch:
        """Give the batch of one step; steps count on through the epochs."""
        epoch, within = divmod(step, self.batches_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.corners))
        chosen = [self.corners[i] for i in order[within * self.batch_size : (within + 1) * self.batch_size]]
        inputs = np.stack([self._cut(self.volumes[corner[0]][0], corner, 0) for corner in chosen])
        labels = np.stack([self._cut(self.volumes[corner[0]][1], corner, IGNORED) for corner in chosen])
        return Batch(inputs[:, None], labels == POSITIVE, labels == UNLABELLED, labels == NEGATIVE)


class BalancedPatchSampler:
    """Half of each batch around clicks, half anywhere in the specimen (DESIGN section 3).

    Positive voxels count in both halves, unlabelled ones only in the uniform half, so that their mean is over the
    specimen and not over the surroundings of clicks. Where rejected picks are given, a share of the uniform half is cut
    around them instead; there, too, no unlabelled voxel counts.

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
    rejected : float
        Share of the patches not around clicks that are cut around rejected picks, if there are any: at least one patch
        a step, and one is left to the uniform half.
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
        rejected: float = 0.0,
    ):
        self.size, self.batch_size, self.seed, self.augmented = size, batch, seed, augmented
        edges = (size, size, size)
        self.volumes = [(pad_to(d.volume, edges, 0), pad_to(d.labels, edges, IGNORED)) for d in data]
        self.clicks = [(index, click[::-1]) for index, d in enumerate(data) for click in d.positions]
        self.rejected = [(index, place[::-1]) for index, d in enumerate(data) for place in d.rejected]
        others = batch - batch // 2
        self.around_rejected = min(max(1, round(rejected * others)), others - 1) if self.rejected and rejected else 0
        self.masks = [None if d.mask is None else pad_to(d.mask, edges, 0) for d in data]
        inside = [d.volume.size if d.mask is None else int(d.mask.sum()) for d in data]
        voxels = np.array(inside, dtype=np.float64)
        self.share = voxels / voxels.sum()
        self.turned = turned if augmented else 0.0
        self.passed = [wedge_amplitude(volume, size) for volume, _ in self.volumes] if self.turned else []

    def batch(self, step: int) -> Batch:
        """Give the batch of one step."""
        rng = np.random.default_rng([self.seed, step])
        half = self.batch_size // 2
        near = half + self.around_rejected
        cuts = self._around_each(self.clicks, half, step, rng)
        cuts += self._around_each(self.rejected, self.around_rejected, step, rng)
        cuts += [self._anywhere(rng) for _ in range(self.batch_size - near)]
        if self.augmented:
            cuts = [augment(volume, labels, rng) for volume, labels in cuts]
        inputs, labels = (np.stack(part) for part in zip(*cuts, strict=True))
        unlabelled = labels == UNLABELLED
        unlabelled[:near] = False
        patches = np.ascontiguousarray(inputs[:, None], dtype=np.float32)
        return Batch(patches, labels == POSITIVE, unlabelled, labels == NEGATIVE)

    def _around_each(
        self, places: list[tuple[int, np.ndarray]], count: int, step: int, rng: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Cut around the next few of the places, each as often as the others."""
        if not count:
            return []
        order = np.random.default_rng([self.seed, step * count // max(1, len(places))]).permutation(len(places))
        return [self._around(places[order[(step * count + i) % len(places)]], rng) for i in range(count)]

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
        mask, room = self.masks[index], np.array(self.volumes[index][0].shape) - self.size
        corner = rng.integers(0, room + 1) if mask is None else sample_crop_corner(mask, self.size, rng)
        return self._cut(index, corner, rng)
