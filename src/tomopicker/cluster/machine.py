"""Sharing this machine out among workers: one for each GPU, or as many as cores and memory allow."""

import os
from dataclasses import dataclass

from tomopicker.cluster.memory import CUDA_BYTES, GIGABYTE, in_gigabytes
from tomopicker.cluster.worker import THREADS
from tomopicker.errors import UsageError
from tomopicker.wording import number_of

SPARED = 0.9
"""Of the memory that is free: the rest is for the driver and whatever else runs."""


@dataclass(frozen=True)
class Share:
    """What one worker gets, as environment variables."""

    environment: dict[str, str]


@dataclass(frozen=True)
class Shares:
    """What all workers get, and words that say so."""

    each: list[Share]
    words: str


def share_out(workers: int | None, cores: int | None, memory: int, tomograms: int) -> Shares:
    """Share this machine out.

    Parameters
    ----------
    workers : int or None
        How many are asked for.
    cores : int or None
        Of each, if it is asked for.
    memory : int
        Bytes that one needs.
    tomograms : int
        So many workers at most.

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
    each = [Share({THREADS: str(threads)} | _gpu_of(i, gpus)) for i in range(count)]
    on = f"{number_of(len(gpus), 'GPU')}, " if gpus else ""
    return Shares(
        each,
        f"{number_of(count, 'worker')} on this machine ({on}{number_of(threads, 'thread')} and about "
        f"{in_gigabytes(memory)} of memory each; {free / GIGABYTE:.0f} GB are free)",
    )


def _gpu_of(worker: int, gpus: list[str]) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": gpus[worker % len(gpus)]} if gpus else {}


def _gpus() -> list[str]:
    """Name the GPUs that this process may use, as a worker's environment does."""
    import torch  # noqa: PLC0415  (slow to import)

    count = torch.cuda.device_count()
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible[:count] if len(visible) >= count else [str(i) for i in range(count)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_memory() -> int:
    """Give the bytes that are free on this machine; 0 if it does not say."""
    import psutil  # noqa: PLC0415  (of an extra)

    return int(psutil.virtual_memory().available)
