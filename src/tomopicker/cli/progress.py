"""Progress and messages: a bar on a terminal, otherwise a plain line every 15 s. Warnings go to stderr, once each.

Ctrl-C ends a command with one line: how to continue.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tomopicker.cluster.work import FINAL, Event, OnEvent
from tomopicker.errors import TomoPickerError
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from tomopicker.training.loop import Report

PLAIN_SECONDS = 15.0
"""Interval between two progress lines of a job in a log."""
LOG_WIDTH = 120
OF_THE_RUN = {"retried", "note", "workers"}
"""Events that are printed even if a bar shows the progress of the tomograms."""


class Interrupted(TomoPickerError):
    """The user stopped the command; the exit code follows shell conventions."""

    exit_code = 130


class Reporter:
    """A `tomopicker.pipeline.callbacks.Callback` that prints; use it as a context.

    Attributes
    ----------
    advice : callable, optional
        Returns advice on how to continue, printed after Ctrl-C.
    """

    def __init__(self) -> None:
        self.advice: Callable[[], str] | None = None
        self.console = Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = max(self.console.width, LOG_WIDTH)  # Tables in a log are not truncated.
        self._warned: set[str] = set()
        self._progress: Progress | None = None
        self._plain: dict[str, float] = {}

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_bar()
        if isinstance(error, KeyboardInterrupt) and self.advice is not None:
            raise Interrupted(f"stopped; {self.advice()}") from error

    def log(self, text: str = "") -> None:
        """Print a line."""
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Print a warning to stderr, once."""
        if text not in self._warned:
            self._warned.add(text)
            self._to_stderr(f"tomopicker: warning: {text}")

    def note(self, text: str) -> None:
        """Print an inferred value, once; not a warning."""
        if text not in self._warned:
            self._warned.add(text)
            self.log(f"Note: {text}.")

    def table(self, rows: Iterable[tuple[str, str]]) -> None:
        """Print rows of a name and a description."""
        table = Table.grid(padding=(0, 3))
        for row in rows:
            table.add_row(*row)
        self.console.print(table, markup=False)

    def failed(self, error: Exception | str) -> None:
        """Print the error of one of several inputs to stderr; the command continues."""
        self._to_stderr(f"tomopicker: error: {' '.join(str(error).split())}")

    @contextmanager
    def showing_warnings(self, *notes: type[Warning]) -> Iterator[None]:
        """Print warnings raised in a block; inferred values and the categories `notes` are printed as notes."""
        from tomopicker.io.classes import MixedClassesWarning
        from tomopicker.io.read import InferredUnitWarning

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:
            if issubclass(warning.category, (InferredUnitWarning, *notes)):
                self.note(str(warning.message))
            elif issubclass(warning.category, MixedClassesWarning):
                self.warn(f"{warning.message}; --class chooses")
            elif issubclass(warning.category, UserWarning):
                self.warn(str(warning.message))

    def on_train(self, job: str, report: "Report") -> None:
        """Show the progress of a training."""
        title = "training" if job == "train" else f"training ({job})"
        self.step(title, f"loss {report.risk:.4f}", report.step, report.steps)

    def on_score(self, tomogram: str, done: int, total: int) -> None:
        """Show how many tiles of a tomogram are scored."""
        self.step(tomogram, "tiles", done, total)

    def step(self, title: str, what: str, done: int, total: int) -> None:
        """Show the progress of a step."""
        if not self.console.is_terminal:
            now = time.monotonic()
            if now - self._plain.setdefault(title, now) >= PLAIN_SECONDS:
                self._plain[title] = now
                self.console.print(f"{title}: {done} of {total}, {what}", markup=False)
                sys.stdout.flush()
            return
        if self._progress is None:
            columns = (
                TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[what]}"), TimeRemainingColumn(),
            )  # fmt: skip
            self._progress = Progress(*columns, console=self.console, transient=True, redirect_stderr=False)
            self._progress.add_task(title, total=total, what=what)
            self._progress.start()
        (task,) = self._progress.tasks
        if task.description != title:
            self._progress.reset(task.id, description=title)  # Its speed is another's.
        self._progress.update(task.id, completed=done, total=total, what=what)

    def print_events(self, *, on_workers: bool, noun: str = "tomogram") -> OnEvent:
        """Return a callback that prints the events of a run.

        Parameters
        ----------
        on_workers : bool
            Show overall progress: on a terminal a bar instead of a line for each tomogram, in a log a line every 15 s.
        noun : str
            Name of the items that are counted.
        """
        lines = not (on_workers and self.console.is_terminal)

        def show(event: Event) -> None:
            ends = lines and event.kind in FINAL
            if ends:
                self.end_bar()
            if event.kind in {"failed", "left"}:
                self.failed(event.line)
            elif event.line and (ends or event.kind in OF_THE_RUN):
                self.log(event.line)
            for warning in event.warnings:
                self.warn(warning)
            if on_workers and event.total:
                self.step("all", f"{noun}s, {number_of(event.workers, 'worker')}", event.finished, event.total)

        return show

    def end_bar(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _to_stderr(self, line: str) -> None:
        if sys.stderr.isatty() and self._progress is not None:
            self.console.print(line, markup=False)  # The bar is on the same screen: print above it.
        else:
            print(line, file=sys.stderr, flush=True)
