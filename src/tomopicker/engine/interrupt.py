"""Ctrl-C between steps, never within one: a checkpoint then holds a whole number of them."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """Hold a Ctrl-C back until the block calls what it is given, which then raises `KeyboardInterrupt`.

    A second Ctrl-C is not held back. Outside the main thread, where Python delivers no signals, nothing changes.
    """
    asked = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def allow() -> None:
        if asked:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield allow
        return
    before = signal.signal(signal.SIGINT, hold)
    try:
        yield allow
    finally:
        signal.signal(signal.SIGINT, before)
