"""Jobs that are done for each tomogram: the job, its items, outcomes and events."""

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from tomopicker.errors import TomoPickerError, failure_line
from tomopicker.pipeline.callbacks import Callback, WarningRecorder

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_MACHINE = _DISK_FULL | {errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE}
FINAL = ("done", "skipped", "failed", "left")
"""Kinds of events that end a tomogram."""


@dataclass(frozen=True)
class Item:
    """A tomogram to be processed.

    Parameters
    ----------
    name : str
        Name of the tomogram, unique among the items.
    size : int
        Bytes, or any number that grows with the work: the largest are processed first.
    argument : Any
        Input of the job; small, as it is sent to a worker.
    """

    name: str
    size: int
    argument: Any = None


@dataclass(frozen=True)
class Event:
    """An event of a run, for logs, progress bars, records and scripts.

    Parameters
    ----------
    kind : str
        Of a tomogram: ``started``, ``done``, ``skipped``, ``failed`` (would fail again), ``retried`` (a worker failed
        at it), ``left`` (several did). Of the run: ``workers`` (their number changed) and ``note``.
    tomogram : str
        Name of the tomogram; empty for an event of the run.
    line : str
        Description.
    warnings : tuple of str
    worker : str
        Worker of the tomogram; empty in one process.
    seconds : float
        Time that the tomogram took.
    finished, total : int
        Numbers of finished tomograms and of all.
    workers : int
        Number of running workers.
    """

    kind: Literal["started", "done", "skipped", "failed", "retried", "left", "workers", "note"]
    tomogram: str
    line: str
    warnings: tuple[str, ...] = ()
    worker: str = ""
    seconds: float = 0.0
    finished: int = 0
    total: int = 0
    workers: int = 1


OnEvent = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Ignore an event."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one tomogram.

    Parameters
    ----------
    line : str
        Description that names the tomogram or its file.
    seconds : float
        Time that it took.
    elsewhere : bool
        True after a failure due to the machine, so that another may succeed.
    """

    status: Literal["done", "skipped", "failed"]
    line: str
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    elsewhere: bool = False

    def event(self, name: str, worker: str = "", finished: int = 0, total: int = 0) -> Event:
        """Return the event of the tomogram."""
        return Event(self.status, name, self.line, self.warnings, worker, self.seconds, finished, total)


@runtime_checkable
class Work(Protocol):
    """A job that is done for each tomogram; a small value that is sent to the workers.

    It writes its results to `folder`, each file whole, so that processing a tomogram twice does no harm.
    """

    @property
    def folder(self) -> Path:
        """Folder of the results."""

    def prepare(self) -> Any:
        """Load what all tomograms need; called once in each process."""

    def run(self, prepared: Any, item: Item, callback: Callback) -> Outcome:
        """Process one tomogram; its own errors are an outcome, an exception is due to the machine.

        Warnings are sent to the callback, which keeps them for the outcome.
        """

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate the bytes that a worker needs for the largest tomogram, opening that one alone."""

    def give_up(self, item: Item, reason: str) -> None:
        """Record that a tomogram is given up, because several workers failed at it."""


def run_one(work: Work, prepared: object, item: Item, callback: Callback) -> Outcome:
    """Process one tomogram, time it, and collect its warnings.

    Raises `TomoPickerError` if the disk is full.
    """
    start, recorder = time.monotonic(), WarningRecorder(callback)
    try:
        outcome = work.run(prepared, item, recorder)
    except Exception as error:
        if is_disk_full(error):
            remedy = "free some and repeat the command"
            raise TomoPickerError(f"{work.folder}: no room left on its disk, or in your quota; {remedy}") from error
        raise
    return replace(outcome, warnings=recorder.warnings, seconds=time.monotonic() - start)


def failed_outcome(error: Exception, file: Path) -> Outcome:
    """Return the outcome of a tomogram that failed; raise the error again if the disk is full."""
    if is_disk_full(error):
        raise error
    return Outcome("failed", failure_line(error, file), elsewhere=is_of_machine(error))


def is_of_machine(error: BaseException) -> bool:
    """Return True if an error or its cause is due to the machine or its disk, and not to the tomogram."""
    return _errno(error) in _MACHINE


def is_disk_full(error: BaseException) -> bool:
    """Return True if an error or its cause is a full disk."""
    return _errno(error) in _DISK_FULL


def _errno(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__cause__
    return None
