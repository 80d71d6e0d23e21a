"""What runs in a worker: one tomogram at a time, told to the driver by messages; no result stays here.

The work travels as bytes, so that a worker of another version says that it is one instead of failing to unpack it.
"""

import os
import pickle
import platform
import socket
import sys
import time
from functools import cache
from typing import Any

from tomopicker import __version__

VERSION = f"tomopicker {__version__}, Python {platform.python_version()}"
THREADS = "OMP_NUM_THREADS"
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_MMAP_THRESHOLD_": "33554432"}
"""glibc's own upper limits. Dask's 65536 makes it give freed memory back and fetch it again for each layer of the
network, which doubles the time; it must be in the environment before the process starts."""
SENT_SECONDS = 0.02
"""Until a message has left this process, which may then die."""


def run_in_worker(version: str, folder: str, topic: str, work: bytes, item: bytes, name: str, attempt: int) -> None:
    """Do one tomogram in a worker, and tell the driver: `started`, then one of `outcome`, `version`, `stop`, `machine`.

    Parameters
    ----------
    version : str
        Of the driver.
    folder : str
        Where results go: it must be here as well.
    topic : str
        Of the messages.
    work, item : bytes
        Pickled.
    name : str
        Of the tomogram.
    attempt : int
        Which one it is, from 1.
    """
    from distributed import get_worker  # noqa: PLC0415  (of an extra)

    here = f"{socket.gethostname()}:{os.getpid()}"

    def tell(kind: str, **more: Any) -> None:
        get_worker().log_event(topic, {"kind": kind, "name": name, "attempt": attempt, "where": here, **more})

    tell("started")
    time.sleep(SENT_SECONDS)
    if version != VERSION:
        tell("version", line=VERSION)
        return
    if not os.path.isdir(folder):  # noqa: PTH112  (a disk that does not answer is no folder)
        tell("machine", line=f"{folder} is not there")
        return
    try:
        tell("outcome", **_run(work, item))
    except Exception as error:
        text = " ".join(f"{error}".split()) or type(error).__name__
        tell(_verdict(error), line=text)


def _verdict(error: Exception) -> str:
    """Say whether an error ends the run (the settings, a full disk) or is this machine's."""
    from tomopicker.cluster.work import is_disk_full, is_of_the_machine  # noqa: PLC0415  (torch is slow to import)
    from tomopicker.errors import TomoPickerError  # noqa: PLC0415

    ends = isinstance(error, TomoPickerError) and (is_disk_full(error) or not is_of_the_machine(error))
    return "stop" if ends else "machine"


def _run(work: bytes, item: bytes) -> dict[str, Any]:
    from tomopicker.cluster.mapping import run_one  # noqa: PLC0415
    from tomopicker.pipeline.callbacks import NullCallback  # noqa: PLC0415

    job, prepared = _prepared(work)
    outcome = run_one(job, prepared, pickle.loads(item), NullCallback())
    return {
        "status": outcome.status,
        "line": outcome.line,
        "warnings": list(outcome.warnings),
        "seconds": outcome.seconds,
        "elsewhere": outcome.elsewhere,
    }


@cache
def _prepared(work: bytes) -> tuple[Any, Any]:
    """Unpack the work and load what it needs, once in each process."""
    job = pickle.loads(work)
    # A torch that is imported later reads the variable by itself.
    if (torch := sys.modules.get("torch")) and (threads := os.environ.get(THREADS, "")).isdigit():
        torch.set_num_threads(max(1, int(threads)))
    return job, job.prepare()
