"""The function that runs in a worker: one tomogram at a time, reported to the driver by messages.

The job is sent as bytes, so that a worker of another version can report its version instead of failing to unpack it.
"""

import os
import pickle
import platform
import signal
import socket
import sys
import time
from dataclasses import asdict
from functools import cache
from typing import Any

from tomopicker import __version__
from tomopicker.cluster.work import is_disk_full, is_of_machine, run_one
from tomopicker.errors import TomoPickerError
from tomopicker.pipeline.callbacks import NullCallback

VERSION = f"tomopicker {__version__}, Python {platform.python_version()}"
THREADS = "OMP_NUM_THREADS"
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_MMAP_THRESHOLD_": "33554432"}
"""glibc's own upper limits. Dask's 65536 makes it give freed memory back and fetch it again for each layer of the
network, which doubles the time; it must be in the environment before the process starts."""
SEND_SECONDS = 0.02
"""Time for a message to leave this process, which may die right after."""


def dask_setup(worker: Any) -> None:
    """Ignore Ctrl-C in a local worker, as the driver ends the run; called by Dask in workers that preload this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_in_worker(version: str, folder: str, topic: str, work: bytes, item: bytes, name: str, attempt: int) -> None:
    """Process one tomogram, and send `started`, then one of `outcome`, `version`, `stop` or `machine`.

    Parameters
    ----------
    version : str
        Version of the driver.
    folder : str
        Folder of the results, which must exist here too.
    topic : str
        Topic of the messages.
    work, item : bytes
        Job and item, pickled.
    name : str
        Name of the tomogram.
    attempt : int
        From 1.
    """
    from distributed import get_worker  # noqa: PLC0415  (of an extra)

    address = f"{socket.gethostname()}:{os.getpid()}"

    def send(kind: str, **more: Any) -> None:
        get_worker().log_event(topic, {"kind": kind, "name": name, "attempt": attempt, "where": address, **more})

    send("started")
    time.sleep(SEND_SECONDS)
    if version != VERSION:
        send("version", line=VERSION)
        return
    if not os.path.isdir(folder):  # noqa: PTH112  (a disk that does not answer is no folder)
        send("machine", line=f"{folder} is not there")
        return
    try:
        job, prepared = _prepared(work)
        send("outcome", outcome=asdict(run_one(job, prepared, pickle.loads(item), NullCallback())))
    except Exception as error:
        # An error of the settings and a full disk end the run; other errors are due to this machine.
        is_final = isinstance(error, TomoPickerError) and (is_disk_full(error) or not is_of_machine(error))
        text = " ".join(f"{error}".split()) or type(error).__name__
        send("stop" if is_final else "machine", line=text)


@cache
def _prepared(work: bytes) -> tuple[Any, Any]:
    """Unpack and prepare the job, once in each process."""
    job = pickle.loads(work)
    # If torch is imported later, it reads the variable itself.
    if (torch := sys.modules.get("torch")) and (threads := os.environ.get(THREADS, "")).isdigit():
        torch.set_num_threads(max(1, int(threads)))
    return job, job.prepare()
