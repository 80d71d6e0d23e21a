"""The state of a run, read from its folder by any machine that sees the disk."""

import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.output.layout import FAILED, LOG, RECORD, RUN, read_entries
from tomopicker.output.lock import holder
from tomopicker.output.summary import summarise
from tomopicker.wording import number_of

MAX_LISTED = 20
"""Maximum number of running and of failed tomograms listed."""


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
