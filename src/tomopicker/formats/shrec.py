"""SHREC's particle lists, read only: ``class x y z`` and three angles, voxels, 0 at the centre of the first.

The class is a PDB code; the angles are kept as columns and not turned: SHREC's years differ in what they mean.
"""

import re
from pathlib import Path

from tomopicker.formats.delimited import read_columns
from tomopicker.geometry import PickTable

_NUMBER = rb"[ \t]+-?\d+(?:\.\d*)?"
_ROW = re.compile(rb"\s*[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*(?:" + _NUMBER + rb"){6}[ \t\r]*(?:\n|$)")
_HEADER = ("class", "x", "y", "z", "angle_1", "angle_2", "angle_3")


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its first line: a word and six numbers."""
    return path.suffix.lower() == ".txt" and _ROW.match(head) is not None


def read(path: Path) -> PickTable:
    """Read a list.

    Raises
    ------
    TomoPickerError
        If a line has another number of columns, or a position is no number.
    """
    return read_columns(path, {len(_HEADER): _HEADER})
