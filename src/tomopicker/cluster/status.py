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

SHOWN = 20
"""Tomograms that are named of those that are running, or failed."""


def read_run(folder: Path) -> dict[str, Any]:
    """Read the record of the last run of a folder.

    Raises `TomoPickerError` if there is none, or its record cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one that 'tomopicker pick' writes to")
    try:
        record = json.loads((folder / RUN).read_text(encoding="utf-8"))
        return {**record, "total": int(record["total"]), "finished": int(record["finished"])}
    except FileNotFoundError as error:
        what = "no run is recorded in it" if (folder / RECORD).exists() else "no picks and no run in this folder"
        raise TomoPickerError(f"{folder}: {what}; give one that 'tomopicker pick' writes to") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TomoPickerError(f"{folder / RUN}: is damaged; remove it") from error


def status_lines(folder: Path) -> list[str]:
    """Describe the last run of a folder: done, running, failed and why, and when it should end.

    Raises `TomoPickerError` if there is none.
    """
    run = read_run(folder)
    who = holder(folder)
    picks = {name: str(entry["error"]) for name, entry in read_entries(folder) if entry.get("status") == FAILED}
    failures = picks or run.get("failures", {})
    lines = [_state(run, who), _numbers(run)]
    if who and run["state"] == "running":
        lines += _expected(run) + _at_work(run["running"])
    if failures:
        count = len(picks) or run["failed"] + run["left"]
        lines.append(f"Failed, in this run or before: {count}" if picks else f"Failed: {count}")
        lines += [f"  {error}" for error in list(failures.values())[:SHOWN]]
        lines += [f"  and {count - SHOWN} more, in {folder / run.get('log', LOG)}"] if count > SHOWN else []
    # Of the picks as they are: another threshold may have changed them since the run.
    return [*lines, *(summarise(read_entries(folder)).lines if run.get("summary") else [])]


def _state(run: Mapping[str, Any], who: str | None) -> str:
    began = datetime.fromisoformat(run["began"]).astimezone()
    length = _duration(run["seconds"])
    if who and run["state"] == "running":
        return f"Running, {run['how']}, by {who}, since {began:%Y-%m-%d %H:%M:%S}."
    if run["state"] == "running":
        return (
            f"Not running: process {run['process']} on {run['host']}, which began {began:%Y-%m-%d %H:%M:%S}, is no "
            "more; repeat its command to go on."
        )
    more = "" if run["state"] == "finished" else "; repeat the command to go on"
    return f"{run['state'].capitalize()} after {length}, {run['how']}; it began {began:%Y-%m-%d %H:%M:%S}{more}."


def _numbers(run: Mapping[str, Any]) -> str:
    bad, good = run["failed"] + run["left"], run["done"] + run["skipped"]
    again = f", {run['retried']} run again after a worker failed" if run["retried"] else ""
    return (
        f"{run['finished']} of {number_of(run['total'], run.get('noun', 'tomogram'))}: {good} done, {bad} failed, "
        f"{len(run['running'])} running{again}."
    )


def _expected(run: Mapping[str, Any]) -> list[str]:
    left = run["total"] - run["finished"]
    if not run["finished"] or not left:
        return []
    seconds = left * run["seconds"] / run["finished"]
    end = datetime.now().astimezone() + timedelta(seconds=seconds)
    there = number_of(run["workers"], "worker")
    return [f"At this rate, with {there}, it ends in {_duration(seconds)}, {end:%Y-%m-%d %H:%M}."]


def _at_work(running: Mapping[str, Any]) -> list[str]:
    now = time.time()
    shown = list(running.items())[:SHOWN]
    return [
        f"  {name}: for {_duration(max(now - each['since'], 0))}{' on ' + each['worker'] if each['worker'] else ''}"
        for name, each in shown
    ]


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
