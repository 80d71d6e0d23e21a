"""Loaded into each local worker: Ctrl-C reaches the whole process group, and the driver alone ends the run."""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Ignore the signal; Dask calls this in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
