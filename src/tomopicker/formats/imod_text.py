"""What IMOD's ``model2point`` writes and ``point2model`` reads: ``[[object] contour] x y z`` in a model's coordinates.

They are half a voxel more in x and y than plain lists, from which nothing tells them; so this format is never guessed.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tomopicker.formats import coords
from tomopicker.formats.imod import FIRST_VOXEL
from tomopicker.geometry import Frame, PickTable
from tomopicker.picks import Picks


def recognises(path: Path, head: bytes) -> bool:
    """Never: it has to be named."""
    return False


def read(path: Path) -> PickTable:
    """Read points.

    Raises
    ------
    TomoPickerError
        If a line has another number of columns, or one that is no number.
    """
    return replace(coords.read(path), first_voxel=FIRST_VOXEL)


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write x, y and z for ``point2model``."""
    coords.write_points(picks, frames, path, first_voxel=FIRST_VOXEL)
