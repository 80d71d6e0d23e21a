"""What a run over many tomograms tells, one event at a time; logs, bars, records and scripts all read these."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["started", "done", "skipped", "failed", "retried", "left", "workers", "note"]
FINAL: tuple[Kind, ...] = ("done", "skipped", "failed", "left")
"""Kinds after which nothing more comes of a tomogram."""


@dataclass(frozen=True)
class Event:
    """Something happened.

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
        Who works at it; empty in one process.
    seconds : float
        A tomogram took.
    finished, total : int
        Tomograms that nothing more comes of, and all.
    workers : int
        That are there.
    """

    kind: Kind
    tomogram: str
    line: str
    warnings: tuple[str, ...] = ()
    worker: str = ""
    seconds: float = 0.0
    finished: int = 0
    total: int = 0
    workers: int = 1


OnEvent = Callable[[Event], None]


def unheard(event: Event) -> None:
    """Do nothing with an event."""


def both(first: OnEvent, second: OnEvent) -> OnEvent:
    """Let two hear each event."""

    def hear(event: Event) -> None:
        first(event)
        second(event)

    return hear
