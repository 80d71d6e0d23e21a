"""Ctrl-C ends a command with one line: how to continue."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tomopicker.errors import TomoPickerError


class Interrupted(TomoPickerError):
    """The user stopped the command; exit code as in shells."""

    exit_code = 130


@contextmanager
def interruptible(advice: Callable[[], str]) -> Iterator[None]:
    """End a block that is interrupted by Ctrl-C with one line: how to continue.

    Parameters
    ----------
    advice : callable
        Returns that line.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped; {advice()}") from error
