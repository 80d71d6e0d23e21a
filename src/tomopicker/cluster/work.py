"""What is mapped over tomograms: the job, its items, and the outcomes and events that come of them."""

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from tomopicker.errors import TomoPickerError, failure_line
from tomopicker.pipeline.callbacks import Callback, WarningRecorder

_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE}
_FULL = {errno.ENOSPC, errno.EDQUOT}
FINAL = ("done", "skipped", "failed", "left")
"""Kinds of events that end a tomogram."""


@dataclass(frozen=True)
class Item:
    """One tomogram to be processed.

    Parameters
    ----------
    name : str
        Of the tomogram; unique among the items.
    size : int
        Bytes, or anything that grows with the work: the largest come first.
    argument : Any
        What the job needs to know of it; small, as it is sent to a worker.
    """

    name: str
    size: int
    argument: Any = None


@dataclass(frozen=True)
class Event:
    """An event of a run; logs, progress bars, records and scripts all read these.

    Parameters
    ----------
    kind : str
        ``started``, ``done``, ``skipped``, ``failed`` (it would fail again), ``retried`` (its worker died), ``left``
        (several did) of a tomogram; ``workers`` (their number changed) and ``note`` of the run.
    tomogram : str
        Its name; empty if the event is the run's.
    line : str
        In words.
    warnings : tuple of str
    worker : str
        Which one has it; empty in one process.
    seconds : float
        That a tomogram took.
    finished, total : int
        Tomograms that are finished, and all.
    workers : int
        That are running.
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
    """Do nothing with an event."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one tomogram.

    Parameters
    ----------
    line : str
        In words, naming the tomogram or its file.
    seconds : float
        That it took.
    elsewhere : bool
        Of one that failed: the machine is to blame, so that another may do it.
    """

    status: Literal["done", "skipped", "failed"]
    line: str
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    elsewhere: bool = False

    def event(self, name: str, worker: str = "", finished: int = 0, total: int = 0) -> Event:
        """Make the event of a tomogram of this name."""
        return Event(self.status, name, self.line, self.warnings, worker, self.seconds, finished, total)


@runtime_checkable
class Work(Protocol):
    """A job that is mapped over tomograms; a small value that is sent to the workers.

    It writes its results to `folder`, each file whole, so that processing a tomogram twice does no harm.
    """

    @property
    def folder(self) -> Path:
        """Where results go."""

    def prepare(self) -> Any:
        """Load what all tomograms need; done once in each process."""

    def run(self, prepared: Any, item: Item, callback: Callback) -> Outcome:
        """Process one tomogram; its own errors are an outcome, an exception is the machine's.

        Warnings go to the callback, which keeps them for the outcome.
        """

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate the bytes that a worker needs for the largest tomogram, opening that one alone."""

    def give_up(self, item: Item, reason: str) -> None:
        """Record that a tomogram is left, because workers died over it."""


def failed(error: Exception, file: Path) -> Outcome:
    """Make the outcome of a tomogram that failed, so that the others go on; a full disk is raised again."""
    if is_disk_full(error):
        raise error
    return Outcome("failed", failure_line(error, file), elsewhere=is_of_the_machine(error))


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error, or what caused it, is the machine's or its disk's and not the tomogram's."""
    return _errno(error) in _MACHINE


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a full disk."""
    return _errno(error) in _FULL


def _errno(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__cause__
    return None


def run_one(work: Work, prepared: object, item: Item, callback: Callback) -> Outcome:
    """Process one tomogram, time it, and collect its warnings.

    Raises `TomoPickerError` if the disk is full, with the remedy.
    """
    started, noted = time.monotonic(), WarningRecorder(callback)
    try:
        outcome = work.run(prepared, item, noted)
    except Exception as error:
        if is_disk_full(error):
            remedy = "free some and repeat the command"
            raise TomoPickerError(f"{work.folder}: no room left on its disk, or in your quota; {remedy}") from error
        raise
    return replace(outcome, warnings=noted.warnings, seconds=time.monotonic() - started)
