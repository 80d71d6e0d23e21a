"""Memory that a worker needs, estimated before it starts, and the share of this machine that each worker gets.

Measured on a CPU, for voxels of 13.48 Å and working voxels of 26.96 Å: 0.53 to 0.72 GiB for 112×320×320 voxels, 1.66 to
1.85 GiB for 500×928×960: 23 bytes per working voxel.
"""

import math
import os
from dataclasses import replace
from pathlib import Path

from tomopicker.cluster.worker import THREADS
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.io import open_tomogram
from tomopicker.output.pick_folder import PickFolder
from tomopicker.tomogram import Tomogram
from tomopicker.wording import number_of

BASE_BYTES = 700 * 2**20
"""Python, torch, a model and the tiles being scored."""
CUDA_BYTES = 2 * 2**30
"""Host memory of CUDA's libraries, as usual for torch; not measured here."""
BYTES_PER_WORKING_VOXEL = 24.0
"""Working volume, scores, the decoy and its Fourier transform, smoothing for peaks."""
BYTES_PER_VOXEL = 1.0
"""A mask of the tomogram as stored."""
SAFETY_FACTOR = 1.3
GIGABYTE = 2**30
USABLE_FRACTION = 0.9
"""Fraction of the free memory for workers; the rest is for the driver and other programs."""


def memory_to_pick(largest: Path, folder: PickFolder) -> int:
    """Estimate the bytes for picking from the header of the largest tomogram; `BASE_BYTES` if it cannot be read."""
    working = float(folder.job["model"]["voxel_size_angstrom"])
    try:
        tomogram = open_tomogram(largest, options=replace(folder.settings.reading, target_voxel_size=working))
    except (TomoPickerError, OSError):
        return BASE_BYTES
    return bytes_for(tomogram, working)


def bytes_for(tomogram: Tomogram, working_voxel_size: float, extra: float = 0.0, extra_per_voxel: float = 0.0) -> int:
    """Estimate the bytes for a tomogram at a working voxel size (Å), and extra ones in total and per working voxel."""
    voxels = math.prod(tomogram.shape)
    working_voxels = voxels * (tomogram.voxel_size / working_voxel_size) ** 3
    for_working = (BYTES_PER_WORKING_VOXEL + extra_per_voxel) * working_voxels
    return round(SAFETY_FACTOR * (BASE_BYTES + extra + for_working + BYTES_PER_VOXEL * voxels))


def in_gigabytes(memory: int) -> str:
    """Format a number of bytes."""
    return f"{memory / GIGABYTE:.1f} GB"


def share_out(workers: int | None, cores: int | None, memory: int, tomograms: int) -> tuple[list[dict[str, str]], str]:
    """Share this machine among workers: one for each GPU, or as many as cores and memory allow.

    Parameters
    ----------
    workers, cores : int or None
        Requested number of workers, and of cores of each.
    memory : int
        Bytes that one needs.
    tomograms : int
        Maximum number of workers.

    Returns
    -------
    variables : list of dict
        Environment variables of each worker.
    description : str
        Description.

    Raises
    ------
    UsageError
        If memory does not suffice for the requested workers.
    """
    gpus, all_cores, free = _gpus(), _cores(), _free_memory()
    memory += CUDA_BYTES if gpus else 0
    fitting = max(1, int(USABLE_FRACTION * free // memory)) if free else all_cores
    if workers is not None and workers > fitting:
        raise UsageError(
            f"--workers {workers}: each needs about {in_gigabytes(memory)} for the largest tomogram, and "
            f"{in_gigabytes(free)} are free; give --workers {fitting}"
        )
    default = len(gpus) if gpus else max(1, all_cores // (cores or 1))
    count = min(workers or min(default, fitting), tomograms)
    threads = cores or max(1, all_cores // count)
    variables = [
        {THREADS: str(threads)} | ({"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {}) for i in range(count)
    ]
    on = f"{number_of(len(gpus), 'GPU')}, " if gpus else ""
    return variables, (
        f"{number_of(count, 'worker')} on this machine ({on}{number_of(threads, 'thread')} and about "
        f"{in_gigabytes(memory)} of memory each; {free / GIGABYTE:.0f} GB are free)"
    )


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as in ``CUDA_VISIBLE_DEVICES``."""
    import torch  # noqa: PLC0415  (slow to import)

    count = torch.cuda.device_count()
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible[:count] if len(visible) >= count else [str(i) for i in range(count)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_memory() -> int:
    """Return the free bytes on this machine."""
    import psutil  # noqa: PLC0415  (of an extra)

    return int(psutil.virtual_memory().available)
