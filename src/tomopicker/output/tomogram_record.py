"""The record of one tomogram in a folder of picks: a small file, written whole by the process that picked it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.output.layout import RECORDS

DONE, FAILED = "done", "failed"


def record_of(folder: Path, name: str) -> Path:
    """Give where the record of a tomogram is."""
    return folder / RECORDS / f"{name}.json"


def read_entry(folder: Path, name: str) -> dict[str, Any]:
    """Read the record of a tomogram; empty if there is none, or none that can be read, so that it is picked again."""
    try:
        entry = json.loads(record_of(folder, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def write_entry(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Write the record of a tomogram, whole or not at all."""
    write_text(record_of(folder, name), json.dumps(entry) + "\n", durable=True)


def remove_entry(folder: Path, name: str) -> None:
    """Remove the record of a tomogram, before its files are replaced: a process killed amid them has not done it.

    Raises
    ------
    TomoPickerError
        If it cannot be removed.
    """
    path = record_of(folder, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TomoPickerError(f"{path}: cannot be removed ({error.strerror}); choose another --output") from error


def recorded_names(folder: Path) -> list[str]:
    """List the tomograms that have a record, sorted."""
    return sorted(file.name.removesuffix(".json") for file in (folder / RECORDS).glob("[!.]*.json"))


def read_entries(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the name and record of each tomogram, sorted by name; one is held at a time."""
    for name in recorded_names(folder):
        if entry := read_entry(folder, name):
            yield name, entry
