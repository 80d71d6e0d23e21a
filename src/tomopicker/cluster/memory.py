"""What a worker needs of memory, estimated before it starts.

Measured on a CPU, with tomograms of 13.48 Å worked at in voxels of 26.96 Å: 0.53 to 0.72 GiB for 112×320×320 voxels,
1.66 to 1.85 GiB for 500×928×960: 23 bytes a working voxel.
"""

import math
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.io import open_tomogram
from tomopicker.io.volumes.arrays import ReadOptions
from tomopicker.output.pick_folder import PickFolder

BASE_BYTES = 700 * 2**20
"""Python, torch, a model and the tiles in work."""
CUDA_BYTES = 2 * 2**30
"""What CUDA's libraries take of the host's memory besides, as is usual for torch; not measured here."""
BYTES_PER_WORKING_VOXEL = 24.0
"""Working volume, scores, the decoy and its Fourier transform, smoothing for peaks."""
BYTES_PER_VOXEL = 1.0
"""Of the tomogram as stored: a mask."""
SPARE = 1.3
GIGABYTE = 2**30


def memory_to_pick(largest: Path, folder: PickFolder) -> int:
    """Estimate the bytes that picking takes, from the largest tomogram's header; the base alone if it has none."""
    asked, working = folder.settings, float(folder.job["model"]["voxel_size_angstrom"])
    try:
        stored = ReadOptions(asked.dataset, asked.axes, target_voxel_size=working)
        tomogram = open_tomogram(largest, voxel_size=asked.voxel_size, options=stored)
    except (TomoPickerError, OSError):
        return BASE_BYTES
    voxels = math.prod(tomogram.shape)
    return bytes_for(voxels, voxels * (tomogram.voxel_size / working) ** 3)


def bytes_for(voxels: float, working_voxels: float, more: float = 0.0) -> int:
    """Estimate the bytes for a tomogram of so many voxels, worked at in so many, and for something more."""
    return round(SPARE * (BASE_BYTES + more + BYTES_PER_WORKING_VOXEL * working_voxels + BYTES_PER_VOXEL * voxels))


def in_gigabytes(memory: int) -> str:
    """Write a number of bytes for a person."""
    return f"{memory / GIGABYTE:.1f} GB"
