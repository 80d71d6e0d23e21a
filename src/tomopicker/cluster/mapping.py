"""The one function that maps a job over tomograms: in this process, or on workers that an engine starts."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.cluster.events import Event, OnEvent, unheard
from tomopicker.cluster.work import Item, Outcome, Work, is_disk_full
from tomopicker.errors import TomoPickerError
from tomopicker.pipeline.callbacks import Callback, NullCallback

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings

DEATHS = 3
"""Of workers at one tomogram, after which it is left."""


def map_tomograms(
    work: Work,
    items: Sequence[Item],
    cluster: "ClusterSettings | None" = None,
    on_event: OnEvent = unheard,
    callback: Callback | None = None,
) -> dict[str, str]:
    """Do a job for each tomogram, the largest first on several workers; what fails is told and left behind.

    Parameters
    ----------
    work : Work
        The job.
    items : sequence of Item
        The tomograms.
    cluster : ClusterSettings, optional
        Which workers; one after another in this process if left out.
    on_event : callable
        Hears each `Event`, in the thread that called this.
    callback : Callback, optional
        Receives the progress of a tomogram, in one process.

    Returns
    -------
    dict of str to str
        Why each tomogram that failed did, by name.

    Raises
    ------
    TomoPickerError
        If it makes no sense to go on: a full disk, a worker of another version, no workers.
    """
    if cluster is None:
        return _in_this_process(work, items, on_event, callback or NullCallback())
    from tomopicker.cluster.driver import run_on_workers  # noqa: PLC0415  (dask is an extra, and slow to import)

    return run_on_workers(work, items, cluster, on_event)


def _in_this_process(work: Work, items: Sequence[Item], on_event: OnEvent, callback: Callback) -> dict[str, str]:
    failures: dict[str, str] = {}
    prepared = work.prepare()
    for finished, item in enumerate(items, start=1):
        on_event(Event("started", item.name, f"{item.name}: started", finished=finished - 1, total=len(items)))
        outcome = run_one(work, prepared, item, callback)
        if outcome.status == "failed":
            failures[item.name] = outcome.line
        on_event(event_of(outcome, item.name, finished=finished, total=len(items)))
    return failures


def run_one(work: Work, prepared: object, item: Item, callback: Callback) -> Outcome:
    """Do one tomogram, and time it.

    Raises
    ------
    TomoPickerError
        If the disk is full, in a line that says what to do.
    """
    started = time.monotonic()
    try:
        outcome = work.run(prepared, item, callback)
    except Exception as error:
        if is_disk_full(error):
            raise TomoPickerError(disk_full(work.folder)) from error
        raise
    return replace(outcome, seconds=time.monotonic() - started)


def disk_full(folder: Path) -> str:
    """Say that there is no room on a folder's disk."""
    return f"{folder}: no room left on its disk, or in your quota; free some and repeat the command"


def event_of(
    outcome: Outcome, name: str, *, worker: str = "", finished: int = 0, total: int = 0, workers: int = 1
) -> Event:
    """Tell what became of a tomogram."""
    return Event(
        outcome.status, name, outcome.line, outcome.warnings, worker, outcome.seconds, finished, total, workers
    )
