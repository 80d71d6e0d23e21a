"""Memory that a worker needs, estimated before it starts, and the share of this machine that each worker gets.

Measured on a CPU, with tomograms of 13.48 Å worked at in voxels of 26.96 Å: 0.53 to 0.72 GiB for 112×320×320 voxels,
1.66 to 1.85 GiB for 500×928×960: 23 bytes a working voxel.
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
"""Python, torch, a model and the tiles in work."""
CUDA_BYTES = 2 * 2**30
"""Host memory of CUDA's libraries in addition, as is usual for torch; not measured here."""
BYTES_PER_WORKING_VOXEL = 24.0
"""Working volume, scores, the decoy and its Fourier transform, smoothing for peaks."""
BYTES_PER_VOXEL = 1.0
"""Of the tomogram as stored: a mask."""
SPARE = 1.3
GIGABYTE = 2**30
SPARED = 0.9
"""Of the memory that is free: the rest is for the driver and whatever else runs."""


def memory_to_pick(largest: Path, folder: PickFolder) -> int:
    """Estimate the bytes that picking takes, from the largest tomogram's header; the base alone if it has none."""
    working = float(folder.job["model"]["voxel_size_angstrom"])
    try:
        tomogram = open_tomogram(largest, options=replace(folder.settings.reading, target_voxel_size=working))
    except (TomoPickerError, OSError):
        return BASE_BYTES
    return bytes_for(tomogram, working)


def bytes_for(tomogram: Tomogram, working_voxel_size: float, more: float = 0.0, more_per_voxel: float = 0.0) -> int:
    """Estimate the bytes for a tomogram worked at in voxels of a size (Å), and for more, in all or a working voxel."""
    voxels = math.prod(tomogram.shape)
    working_voxels = voxels * (tomogram.voxel_size / working_voxel_size) ** 3
    at_work = (BYTES_PER_WORKING_VOXEL + more_per_voxel) * working_voxels
    return round(SPARE * (BASE_BYTES + more + at_work + BYTES_PER_VOXEL * voxels))


def in_gigabytes(memory: int) -> str:
    """Write a number of bytes for a person."""
    return f"{memory / GIGABYTE:.1f} GB"


def share_out(workers: int | None, cores: int | None, memory: int, tomograms: int) -> tuple[list[dict[str, str]], str]:
    """Share this machine among workers: one for each GPU, or as many as cores and memory allow.

    Parameters
    ----------
    workers, cores : int or None
        How many workers, and cores of each, are asked for.
    memory : int
        Bytes that one needs.
    tomograms : int
        So many workers at most.

    Returns
    -------
    variables : list of dict
        The environment variables of each worker.
    words : str
        A description.

    Raises
    ------
    UsageError
        If more workers are asked for than memory allows.
    """
    gpus, all_cores, free = _gpus(), _cores(), _free_memory()
    memory += CUDA_BYTES if gpus else 0
    fitting = max(1, int(SPARED * free // memory)) if free else all_cores
    if workers is not None and workers > fitting:
        raise UsageError(
            f"--workers {workers}: each needs about {in_gigabytes(memory)} for the largest tomogram, and "
            f"{in_gigabytes(free)} are free; give --workers {fitting}"
        )
    most = len(gpus) if gpus else max(1, all_cores // (cores or 1))
    count = min(workers or min(most, fitting), tomograms)
    threads = cores or max(1, all_cores // count)
    each = [{THREADS: str(threads)} for _ in range(count)]
    for i, variables in enumerate(each if gpus else ()):
        variables["CUDA_VISIBLE_DEVICES"] = gpus[i % len(gpus)]
    on = f"{number_of(len(gpus), 'GPU')}, " if gpus else ""
    return each, (
        f"{number_of(count, 'worker')} on this machine ({on}{number_of(threads, 'thread')} and about "
        f"{in_gigabytes(memory)} of memory each; {free / GIGABYTE:.0f} GB are free)"
    )


def _gpus() -> list[str]:
    """Name the GPUs that this process may use, as a worker's environment does."""
    import torch  # noqa: PLC0415  (slow to import)

    count = torch.cuda.device_count()
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible[:count] if len(visible) >= count else [str(i) for i in range(count)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_memory() -> int:
    """Return the bytes that are free on this machine; 0 if that is not known."""
    import psutil  # noqa: PLC0415  (of an extra)

    return int(psutil.virtual_memory().available)
