"""What is mapped over tomograms, and what becomes of each: values that travel between machines."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from tomopicker.pipeline.callbacks import Callback

Status = Literal["done", "skipped", "failed"]
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE}
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Item:
    """One tomogram to be worked at.

    Parameters
    ----------
    name : str
        Of the tomogram; no two items have one.
    size : int
        Bytes, or anything that grows with the work: the largest come first.
    argument : Any
        What the work needs to know of it; small, for it travels.
    """

    name: str
    size: int
    argument: Any = None


@dataclass(frozen=True)
class Outcome:
    """What became of one tomogram.

    Parameters
    ----------
    status : {"done", "skipped", "failed"}
    line : str
        That says so, and names the tomogram or its file.
    warnings : tuple of str
        What the user should look at.
    seconds : float
        It took.
    elsewhere : bool
        Of one that failed: the machine is to blame, so that another may do it.
    """

    status: Status
    line: str
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    elsewhere: bool = False


@runtime_checkable
class Work(Protocol):
    """A job that is mapped over tomograms; a small value that travels to the workers.

    It writes what it makes to `folder`, each file whole, so that doing a tomogram twice does no harm.
    """

    @property
    def folder(self) -> Path:
        """Where it goes."""

    def prepare(self) -> Any:
        """Load what all tomograms need; done once in each process."""

    def run(self, prepared: Any, item: Item, callback: Callback) -> Outcome:
        """Do one tomogram; what is wrong with it is an outcome, an exception is what is wrong with the machine."""

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate the bytes that a worker needs for the largest tomogram, before any is opened but that one."""

    def give_up(self, item: Item, reason: str) -> None:
        """Record that a tomogram is left, because workers died over it."""


def is_of_the_machine(error: BaseException) -> bool:
    """Say whether an error, or what caused it, is the machine's or its disk's and not the tomogram's."""
    return _errno(error) in _MACHINE


def is_disk_full(error: BaseException) -> bool:
    """Say whether an error, or what caused it, is a disk without room."""
    return _errno(error) in _FULL


def _errno(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__cause__
    return None
