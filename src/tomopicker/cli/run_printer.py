"""Progress of many tomograms: a line each, or a bar where several workers pick."""

from typing import TYPE_CHECKING

from tomopicker.cluster.events import FINAL, Event
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter

OF_THE_RUN = {"retried", "note", "workers"}


class EventPrinter:
    """Print events of a run.

    Parameters
    ----------
    reporter : Reporter
    with_bar : bool
        Show overall progress: on a terminal a bar instead of a line for each tomogram, in a log a line every 15 s.
    noun : str
        What is counted.
    """

    def __init__(self, reporter: "Reporter", *, with_bar: bool, noun: str = "tomogram") -> None:
        self._reporter, self._noun, self._counts = reporter, noun, with_bar
        self._with_bar = with_bar and reporter.console.is_terminal

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if not self._with_bar and event.kind in FINAL:
            self._reporter.end_bar()
        if event.kind in {"failed", "left"}:
            self._reporter.failed(event.line)
        elif event.line and (event.kind in OF_THE_RUN or (event.kind in FINAL and not self._with_bar)):
            self._reporter.log(event.line)
        for warning in event.warnings:
            self._reporter.warn(warning)
        if self._counts and event.total:
            there = number_of(event.workers, "worker")
            self._reporter.step("all", f"{self._noun}s, {there}", event.finished, event.total)
