"""Masks in files: where the specimen is."""

from pathlib import Path

import numpy as np

from tomopicker.formats.volumes.open import open_tomogram
from tomopicker.types import VoxelMask

SLAB_BYTES = 32 * 2**20


def read_mask(path: Path) -> VoxelMask:
    """Read a mask, slab by slab: True where the volume is not 0."""
    volume = open_tomogram(path, voxel_size=1.0)  # Masks often state none, and none is needed.
    mask = np.empty(volume.shape, dtype=bool)
    for block in volume.blocks(SLAB_BYTES):
        mask[block] = volume.part(*block) != 0
    return mask
