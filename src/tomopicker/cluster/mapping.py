"""The one function that does a job for each tomogram, in this process or on workers."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomopicker.cluster.work import Event, Item, OnEvent, Work, ignore_event, run_one
from tomopicker.pipeline.callbacks import Callback, NullCallback

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings


def map_tomograms(
    work: Work,
    items: Sequence[Item],
    cluster: "ClusterSettings | None" = None,
    on_event: OnEvent = ignore_event,
    callback: Callback | None = None,
) -> dict[str, str]:
    """Do a job for each tomogram, the largest first on several workers; one that fails does not stop the others.

    Parameters
    ----------
    work : Work
    items : sequence of Item
    cluster : ClusterSettings, optional
        The workers; one tomogram after another in this process if left out.
    on_event : callable
        Called with each `Event`, in the calling thread.
    callback : Callback, optional
        Receives the progress of a tomogram, in one process.

    Returns
    -------
    dict of str to str
        Error of each tomogram that failed.

    Raises
    ------
    TomoPickerError
        If the run cannot continue: a full disk, a worker of another version, no workers.
    """
    if cluster is not None:
        from tomopicker.cluster.driver import run_on_workers  # noqa: PLC0415  (dask is an extra, and slow to import)

        return run_on_workers(_with_absolute_paths(work), list(map(_with_absolute_paths, items)), cluster, on_event)
    failures: dict[str, str] = {}
    prepared = work.prepare()
    for finished, item in enumerate(items, start=1):
        on_event(Event("started", item.name, f"{item.name}: started", finished=finished - 1, total=len(items)))
        outcome = run_one(work, prepared, item, callback or NullCallback())
        if outcome.status == "failed":
            failures[item.name] = outcome.line
        on_event(outcome.event(item.name, finished=finished, total=len(items)))
    return failures


def _with_absolute_paths(value: Any) -> Any:
    """Make the paths in a job or an item absolute, as PBS starts workers in the user's home."""
    if isinstance(value, Path):
        return value.absolute()
    if is_dataclass(value) and not isinstance(value, type):
        before = {part.name: getattr(value, part.name) for part in fields(value)}
        after = {name: _with_absolute_paths(part) for name, part in before.items()}
        return replace(value, **{name: part for name, part in after.items() if part is not before[name]})
    return value
