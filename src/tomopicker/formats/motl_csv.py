"""Motive lists as text: 20 numbers a line, with commas between them and no header."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.formats.columns import numbers
from tomopicker.formats.motl import WIDTH, as_motl, as_table
from tomopicker.formats.textfile import read_text
from tomopicker.geometry import Frame, PickTable
from tomopicker.picks import Picks


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by a first line of 20 numbers."""
    fields = head.partition(b"\n")[0].split(b",")
    try:
        return len(fields) == WIDTH and all(np.isfinite(float(field)) for field in fields)
    except ValueError:
        return False


def read(path: Path) -> PickTable:
    """Read a motive list; the tomograms' names from ``<stem>.doc`` if it is there.

    Raises
    ------
    TomoPickerError
        If a line has not 20 numbers.
    """
    source = str(path)
    numbered = [(f"line {i}", line) for i, line in enumerate(read_text(path).splitlines(), start=1) if line.strip()]
    rows = [row for row, _ in numbered]
    table = [line.split(",") for _, line in numbered]
    for fields, row in zip(table, rows, strict=True):
        if len(fields) != WIDTH:
            raise TomoPickerError(f"{source}: {row} has {len(fields)} columns, a motive list 20; mend the file")
    columns = zip(*table, strict=True) if table else [()] * WIDTH
    motl = np.stack([numbers(column, f"column {i + 1}", source, rows) for i, column in enumerate(columns)], axis=1)
    return as_table(motl, path, rows)


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a motive list, and ``<stem>.doc`` beside it."""
    motl = as_motl(picks, frames, path)
    write_text(path, "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in motl))
