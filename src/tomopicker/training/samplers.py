"""Patch samplers for training: the paper's grid of blocks, and patches balanced between clicks and the whole specimen.

Each batch depends only on the seed and the step, so that runs can be resumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from tomopicker.config import Patches
from tomopicker.errors import UsageError
from tomopicker.preprocessing.crops import cube, pad_to, read_padded, sample_crop_corner
from tomopicker.training.augmentation import augment, random_rotate_with_wedge, wedge_amplitude
from tomopicker.training.labels import IGNORED, NEGATIVE, POSITIVE, UNLABELLED, LabelledVolume

Patch = tuple[np.ndarray, np.ndarray]
"""Patch and labels."""
Place = tuple[int, np.ndarray]
"""Index of a tomogram, and position (z, y, x) in it."""
VALIDATION_BATCHES = 8
"""Number of validation batches of patches around clicks; on a grid, all blocks are used."""


@dataclass(frozen=True)
class Batch:
    """Patches and masks of their positive, unlabelled and known background voxels; all other voxels are ignored."""

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
        Volumes to divide into blocks.
    size, batch : int
        Edge of a block, and blocks per step.
    seed : int
        Seed of the order.
    only_positive : bool
        Use only blocks with a positive voxel, as for validation.

    Raises
    ------
    UsageError
        If no block contains a positive voxel.
    """

    def __init__(
        self, data: Sequence[LabelledVolume], size: int, batch: int, seed: int, *, only_positive: bool = False
    ):
        self.data, self.size, self.batch_size, self.seed = data, size, batch, seed
        blocks = [
            (index, np.array(corner) * size)
            for index, item in enumerate(data)
            for corner in np.ndindex(*(-(-edge // size) for edge in item.volume.shape))
        ]
        self.blocks = [block for block in blocks if not only_positive or (self._read(block)[1] == POSITIVE).any()]
        if not self.blocks:
            raise UsageError("no block of the validation tomogram holds a pick; give picks that lie in it")

    @property
    def batches_per_epoch(self) -> int:
        """Number of steps in which every block is seen once."""
        return -(-len(self.blocks) // self.batch_size)

    def batch(self, step: int) -> Batch:
        """Return the batch of a step; steps are counted through all epochs."""
        epoch, within = divmod(step, self.batches_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.blocks))
        chosen = order[within * self.batch_size : (within + 1) * self.batch_size]
        inputs, labels = (np.stack(part) for part in zip(*(self._read(self.blocks[i]) for i in chosen), strict=True))
        return Batch(inputs[:, None], labels == POSITIVE, labels == UNLABELLED, labels == NEGATIVE)

    def _read(self, block: Place) -> Patch:
        """Read a block, padded beyond the volume; a padded copy of the volume would double the memory."""
        item, region = self.data[block[0]], cube(block[1], self.size)
        return read_padded(item.volume, region), read_padded(item.labels, region, IGNORED)


class BalancedPatchSampler:
    """Half of each batch around clicks, half anywhere in the specimen.

    Positive voxels count in both halves, unlabelled voxels only in the uniform half, so that their mean is over the
    specimen rather than the surroundings of clicks. With negatives, a fraction of the uniform half is cut around them
    instead, where unlabelled voxels do not count either.

    Parameters
    ----------
    data : sequence of LabelledVolume
        With at least one click.
    size, batch : int
        Edge of a patch in working voxels, and patches per step.
    seed : int
        Seed of all random numbers.
    augmented : bool
        Flip, turn about z and disturb patches.
    rotation_prob : float
        Fraction of the patches in both halves that are first rotated freely; 0 without `augmented`.
    negative_fraction : float
        Fraction of the patches not around clicks that are cut around negatives, if there are any: at least one patch
        per step, leaving at least one to the uniform half.
    """

    def __init__(
        self,
        data: Sequence[LabelledVolume],
        size: int,
        batch: int,
        seed: int,
        *,
        augmented: bool = True,
        rotation_prob: float = 0.0,
        negative_fraction: float = 0.0,
    ):
        self.size, self.batch_size, self.seed, self.augmented = size, batch, seed, augmented
        edges = (size, size, size)
        self.volumes = [(pad_to(d.volume, edges, 0), pad_to(d.labels, edges, IGNORED)) for d in data]
        self.masks = [None if d.mask is None else pad_to(d.mask, edges, 0) for d in data]
        self.clicks = [(index, click[::-1]) for index, d in enumerate(data) for click in d.positions]
        self.rejected = [(index, place[::-1]) for index, d in enumerate(data) for place in d.rejected]
        others = batch - batch // 2
        self.around_rejected = 0
        if self.rejected and negative_fraction:
            self.around_rejected = min(max(1, round(negative_fraction * others)), others - 1)
        voxels = np.array([d.volume.size if d.mask is None else d.mask.sum() for d in data], dtype=np.float64)
        self.volume_weights = voxels / voxels.sum()
        self.rotation_prob = rotation_prob if augmented else 0.0
        self.amplitudes = [wedge_amplitude(v, size) for v, _ in self.volumes] if self.rotation_prob else []

    def batch(self, step: int) -> Batch:
        """Return the batch of one step."""
        rng = np.random.default_rng([self.seed, step])
        half = self.batch_size // 2
        near = half + self.around_rejected
        patches = self._around_each(self.clicks, half, step, rng)
        patches += self._around_each(self.rejected, self.around_rejected, step, rng)
        patches += [self._anywhere(rng) for _ in range(self.batch_size - near)]
        if self.augmented:
            patches = [augment(volume, labels, rng) for volume, labels in patches]
        inputs, labels = (np.stack(part) for part in zip(*patches, strict=True))
        unlabelled = labels == UNLABELLED
        unlabelled[:near] = False
        contiguous = np.ascontiguousarray(inputs[:, None], dtype=np.float32)
        return Batch(contiguous, labels == POSITIVE, unlabelled, labels == NEGATIVE)

    def _around_each(self, places: list[Place], count: int, step: int, rng: np.random.Generator) -> list[Patch]:
        """Read patches around the next positions, using each equally often."""
        if not count:
            return []
        order = np.random.default_rng([self.seed, step * count // max(1, len(places))]).permutation(len(places))
        return [self._around(places[order[(step * count + i) % len(places)]], rng) for i in range(count)]

    def _around(self, place: Place, rng: np.random.Generator) -> Patch:
        index, centre = place
        # Jitter by a quarter of the edge keeps the whole target inside and its surroundings varied.
        jitter = rng.integers(-self.size // 4, self.size // 4 + 1, 3)
        return self._read(index, np.round(centre).astype(int) - self.size // 2 + jitter, rng)

    def _anywhere(self, rng: np.random.Generator) -> Patch:
        index = int(rng.choice(len(self.volumes), p=self.volume_weights))
        mask, room = self.masks[index], np.array(self.volumes[index][0].shape) - self.size
        corner = rng.integers(0, room + 1) if mask is None else sample_crop_corner(mask, self.size, rng)
        return self._read(index, corner, rng)

    def _read(self, index: int, corner: np.ndarray, rng: np.random.Generator) -> Patch:
        volume, labels = self.volumes[index]
        corner = np.clip(corner, 0, np.array(volume.shape) - self.size)
        if self.rotation_prob and rng.random() < self.rotation_prob:
            return random_rotate_with_wedge(volume, labels, corner, self.amplitudes[index], rng)
        region = cube(corner, self.size)
        return volume[region], labels[region]


PatchSampler = GridPatchSampler | BalancedPatchSampler


def training_sampler(data: Sequence[LabelledVolume], cfg: Patches, seed: int) -> PatchSampler:
    """Build the sampler that the settings specify."""
    if cfg.sampling == "blocks":
        return GridPatchSampler(data, cfg.size, cfg.batch, seed)
    return BalancedPatchSampler(
        data,
        cfg.size,
        cfg.batch,
        seed,
        augmented=cfg.augment,
        rotation_prob=cfg.rotation_prob,
        negative_fraction=cfg.negative_fraction,
    )


def validation_batches(data: Sequence[LabelledVolume], cfg: Patches, seed: int) -> list[Batch]:
    """Draw the validation batches, without augmentation: all blocks with a positive voxel, or patches around clicks."""
    if not data:
        return []
    if cfg.sampling == "blocks":
        grid = GridPatchSampler(data, cfg.size, cfg.batch, seed, only_positive=True)
        return [grid.batch(step) for step in range(grid.batches_per_epoch)]
    balanced = BalancedPatchSampler(data, cfg.size, cfg.batch, seed, augmented=False)
    return [balanced.batch(step) for step in range(VALIDATION_BATCHES)]
