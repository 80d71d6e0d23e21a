"""Ctrl-C: one line that tells how to continue."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tomopicker.errors import TomoPickerError


class Interrupted(TomoPickerError):
    """The user stopped the command; exit code as shells have it."""

    exit_code = 130


@contextmanager
def interruptible(advice: Callable[[], str]) -> Iterator[None]:
    """Turn a Ctrl-C in the block into one line that tells how to continue.

    Parameters
    ----------
    advice : callable
        Gives the line when it is needed.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped; {advice()}") from error
