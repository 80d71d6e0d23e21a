"""Coordinates of PyTom's picker, read only: ``x y z`` in voxels after comments that name the tomogram."""

import re
from dataclasses import replace
from pathlib import Path

from tomopicker.formats.columns import names
from tomopicker.formats.coords import read as read_coords
from tomopicker.formats.textfile import read_text
from tomopicker.geometry import PickTable

_NAME = re.compile(r"^#\s*TOMONAME[ \t]+(\S.*?)\s*$", re.MULTILINE)


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its comment."""
    return head.lstrip().startswith(b"#") and b"TOMONAME" in head[:4096]


def read(path: Path) -> PickTable:
    """Read positions, and the tomogram's name from the comment.

    Raises
    ------
    TomoPickerError
        If a line is no position.
    """
    table = read_coords(path)
    found = _NAME.search(read_text(path))
    return table if found is None else replace(table, tomograms=names([found.group(1)] * len(table)))
