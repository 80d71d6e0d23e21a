"""The progress of a run as files: a log with a line for each tomogram, and a record of the run."""

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from tomopicker.cluster.work import FINAL, Event, OnEvent, ignore_event
from tomopicker.files import write_text
from tomopicker.output.layout import LOG, RUN
from tomopicker.wording import number_of

WRITE_INTERVAL_SECONDS = 2.0
"""Interval between two writings of the record."""
MAX_FAILURES = 20
"""Maximum number of failures in the record; the log has them all."""


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


class Journal:
    """Writes ``pick.log`` and ``run.json`` during a run; a context manager.

    Parameters
    ----------
    total : int
        Number of tomograms.
    how : str
        Description of the workers.
    on_event : callable
        Called with each event after it is written.
    noun : str
        Name of what is counted.
    log : str
        Name of the log.
    """

    def __init__(
        self, folder: Path, total: int, how: str, on_event: OnEvent = ignore_event, noun: str = "tomogram",
        log: str = LOG,
    ) -> None:  # fmt: skip
        self._folder, self._total, self._how, self._noun = folder, total, how, noun
        self._on_event = on_event
        self._file = folder / log
        self._failures: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._running: dict[str, dict[str, Any]] = {}
        self._began, self._written = time.time(), 0.0
        self._worked = 0.0
        self._workers = 0
        self._state = "running"
        self.summary: Mapping[str, Any] = {}

    def __enter__(self) -> "Journal":
        # Earlier runs are kept: they may have the outcomes of tomograms.
        self._log = self._file.open("a", encoding="utf-8", buffering=1)
        self._line(
            f"run of {number_of(self._total, self._noun)}, {self._how}, process {os.getpid()} on {socket.gethostname()}"
        )
        self._write_record()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._running.clear()
        self._state = "finished" if kind is None else "stopped"
        self._line(self._state if error is None else f"stopped: {' '.join(str(error).split()) or kind}")
        self._log.close()
        self._write_record()

    def write(self, event: Event) -> None:
        """Write an event."""
        self._counts[event.kind] += 1
        self._workers = event.workers
        if event.kind == "started":
            self._running[event.tomogram] = {"worker": event.worker, "since": time.time()}
        elif event.tomogram:
            self._running.pop(event.tomogram, None)
        self._worked += event.seconds
        if event.kind in {"failed", "left"}:
            self._failures[event.tomogram] = event.line
        if event.kind not in {"started", "workers"}:
            where = f" [{event.worker}]" if event.worker else ""
            self._line(f"{event.kind}: {event.line}{where}")
            for warning in event.warnings:
                self._line(f"warning: {warning}")
        if time.time() - self._written > WRITE_INTERVAL_SECONDS:
            self._write_record()
        self._on_event(event)

    def _line(self, text: str) -> None:
        self._log.write(f"{_now()} {' '.join(text.split())}\n")

    def _write_record(self) -> None:
        self._written = time.time()
        finished = sum(self._counts[kind] for kind in FINAL)
        record: dict[str, Any] = {
            "state": self._state,
            "how": self._how,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "began": datetime.fromtimestamp(self._began, UTC).isoformat(timespec="seconds"),
            "seconds": round(time.time() - self._began, 1),
            "worked_seconds": round(self._worked, 1),
            "noun": self._noun,
            "log": self._file.name,
            "total": self._total,
            "finished": finished,
            **{kind: self._counts[kind] for kind in (*FINAL, "retried")},
            "workers": self._workers,
            "running": self._running,
            "failures": dict(islice(self._failures.items(), MAX_FAILURES)),
            "summary": dict(self.summary),
        }
        write_text(self._folder / RUN, json.dumps(record) + "\n")
