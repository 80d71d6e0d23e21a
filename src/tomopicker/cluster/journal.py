"""The progress of a run as files: a log with a line for each tomogram, and the record read by ``status``."""

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from tomopicker.cluster.work import FINAL, Event, OnEvent, ignore_event
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.files import write_text
from tomopicker.output.layout import FAILED, LOG, RECORD, RUN, read_entries
from tomopicker.output.lock import holder
from tomopicker.output.summary import summarise
from tomopicker.wording import number_of

WRITE_INTERVAL_SECONDS = 2.0
"""Interval between two writings of the record."""
MAX_LISTED = 20
"""Maximum number of failures in the record, and of running and of failed tomograms listed; the log has them all."""


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
            "failures": dict(islice(self._failures.items(), MAX_LISTED)),
            "summary": dict(self.summary),
        }
        write_text(self._folder / RUN, json.dumps(record) + "\n")


def read_run(folder: Path) -> dict[str, Any]:
    """Read the record of the last run of a folder.

    Raises `TomoPickerError` if there is none, or it is damaged.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one that 'tomopicker pick' writes to")
    try:
        record = json.loads((folder / RUN).read_text(encoding="utf-8"))
        return {**record, "total": int(record["total"]), "finished": int(record["finished"])}
    except FileNotFoundError as error:
        problem = "no run is recorded in it" if (folder / RECORD).exists() else "no picks and no run in this folder"
        raise TomoPickerError(f"{folder}: {problem}; give one that 'tomopicker pick' writes to") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TomoPickerError(f"{folder / RUN}: is damaged; remove it") from error


def status_lines(folder: Path) -> list[str]:
    """Describe the last run of a folder: tomograms done, running and failed, and the expected end.

    Raises `TomoPickerError` if there is none.
    """
    run = read_run(folder)
    who = holder(folder)
    picks = {name: str(entry["error"]) for name, entry in read_entries(folder) if entry.get("status") == FAILED}
    failures = picks or run.get("failures", {})
    lines = [_state(run, who), _counts(run)]
    if who and run["state"] == "running":
        lines += _expected_end(run) + _running(run["running"])
    if failures:
        count = len(picks) or run["failed"] + run["left"]
        lines.append(f"Failed, in this run or before: {count}" if picks else f"Failed: {count}")
        lines += [f"  {error}" for error in list(failures.values())[:MAX_LISTED]]
        lines += [f"  and {count - MAX_LISTED} more, in {folder / run.get('log', LOG)}"] if count > MAX_LISTED else []
    # From the records: another threshold may have changed the picks since the run.
    return [*lines, *(summarise(read_entries(folder)).lines if run.get("summary") else [])]


def _state(run: Mapping[str, Any], who: str | None) -> str:
    start = f"{datetime.fromisoformat(run['began']).astimezone():%Y-%m-%d %H:%M:%S}"
    if who and run["state"] == "running":
        return f"Running, {run['how']}, by {who}, since {start}."
    if run["state"] == "running":
        return (
            f"Not running: process {run['process']} on {run['host']}, which began {start}, is no "
            "more; repeat its command to go on."
        )
    remedy = "" if run["state"] == "finished" else "; repeat the command to go on"
    duration = _duration(run["seconds"])
    return f"{run['state'].capitalize()} after {duration}, {run['how']}; it began {start}{remedy}."


def _counts(run: Mapping[str, Any]) -> str:
    n_failed, n_done = run["failed"] + run["left"], run["done"] + run["skipped"]
    retried = f", {run['retried']} run again after a worker failed" if run["retried"] else ""
    total = number_of(run["total"], run.get("noun", "tomogram"))
    counts = f"{n_done} done, {n_failed} failed, {len(run['running'])} running{retried}"
    return f"{run['finished']} of {total}: {counts}."


def _expected_end(run: Mapping[str, Any]) -> list[str]:
    n_remaining = run["total"] - run["finished"]
    if not run["finished"] or not n_remaining:
        return []
    seconds = n_remaining * run["seconds"] / run["finished"]
    end = datetime.now().astimezone() + timedelta(seconds=seconds)
    workers = number_of(run["workers"], "worker")
    return [f"At this rate, with {workers}, it ends in {_duration(seconds)}, {end:%Y-%m-%d %H:%M}."]


def _running(running: Mapping[str, Any]) -> list[str]:
    now = time.time()
    return [
        f"  {name}: for {_duration(max(now - own['since'], 0))}{' on ' + own['worker'] if own['worker'] else ''}"
        for name, own in list(running.items())[:MAX_LISTED]
    ]


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
