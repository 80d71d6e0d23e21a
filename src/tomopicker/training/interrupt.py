"""Deferred SIGINT and SIGTERM: a step is completed first, so that checkpoints lie between steps."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and the signal that schedulers such as SLURM send before preemption."""


@contextmanager
def defer_signals() -> Iterator[Callable[[], bool]]:
    """Defer SIGINT and SIGTERM during a block, then pass the first one to its previous handler.

    Repeated signals do not interrupt the block. Ignored signals stay ignored (``nohup``). Outside the main thread,
    where Python delivers no signals, nothing changes.

    Yields
    ------
    callable
        Returns True once a signal has arrived; the block should then save its work and end.
    """
    received: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        received.append(number)

    def has_come() -> bool:
        return bool(received)

    if threading.current_thread() is not threading.main_thread():
        yield has_come
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    held = {number: handler for number, handler in before.items() if handler not in {signal.SIG_IGN, None}}
    for number in held:
        signal.signal(number, hold)
    try:
        yield has_come
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def ignore_signals(_: int) -> None:
    """Ignore SIGINT and SIGTERM in a worker process: the process that started it decides when to stop."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
