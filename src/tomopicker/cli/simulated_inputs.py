"""What `simulate` is asked for, read and checked: the shape, settings by name, a layout of positions."""

from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.types import Positions, Shape

SMALLEST, CENTRED = 16, "centre"


def parse_shape(text: str) -> "Shape":
    """Read X,Y,Z as the shape (z, y, x).

    Raises
    ------
    UsageError
        If it is not three whole numbers, or one is too small to hold a lamella.
    """
    try:
        x, y, z = (int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--shape {text}: give three whole numbers of voxels, X,Y,Z, such as 320,320,112") from error
    if min(x, y, z) < SMALLEST:
        raise UsageError(f"--shape {text}: each size must be at least {SMALLEST} voxels")
    return z, y, x


def changes_from(texts: list[str], flags: "dict[str, object]") -> "dict[str, object]":
    """Join what --set says and what flags of their own say."""
    changes = {name: value for name, value in flags.items() if value is not None}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: give NAME=VALUE, such as scene.n_gold_beads=10")
        if name in changes:
            raise UsageError(f"--set {text}: is given twice")
        changes[name] = value
    return changes


def read_layout(path: Path, shape: "Shape", offset: str | None) -> tuple["Positions", int]:
    """Read positions and keep those that lie in the volume.

    Parameters
    ----------
    path : Path
        Any list of positions in voxels.
    shape : Shape
        Of the volume, (z, y, x).
    offset : str or None
        The corner of the volume in the layout: ``X,Y,Z`` in voxels, or ``centre`` for the middle of the positions to
        lie in the middle of the volume. None: the corner is at 0,0,0.

    Returns
    -------
    layout : Positions, (n, 3)
        (x, y, z) in voxels of the volume.
    n_read : int
        How many the file has.

    Raises
    ------
    UsageError
        If the file does not count voxels, the offset cannot be read, or no position lies in the volume.
    """
    from tomopicker import formats
    from tomopicker.geometry import Unit, is_outside

    table = formats.read_table(path)
    if table.unit is not Unit.VOXEL:
        raise UsageError(f"{path}: counts {table.unit.value}; give a text file of x,y,z in voxels")
    moved: Positions = table.coordinates - _corner(table.coordinates, shape, offset)
    inside: Positions = moved[~is_outside(moved, shape)]
    if not len(inside):
        low, high = (",".join(f"{c:.0f}" for c in edge) for edge in (moved.min(axis=0), moved.max(axis=0)))
        raise UsageError(
            f"{path}: no position lies in a tomogram of --shape {','.join(map(str, shape[::-1]))}: they go from {low} "
            f"to {high}; give --positions-offset {CENTRED}, or X,Y,Z of the corner"
        )
    return inside, len(table)


def _corner(positions: "Positions", shape: "Shape", offset: str | None) -> "Positions":
    """Give the volume's corner in the layout, (1, 3) as (x, y, z) in voxels."""
    import numpy as np

    if offset is None:
        return np.zeros((1, 3))
    if offset == CENTRED:
        middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
        # Whole voxels, so that the layout's own places between voxels are kept.
        corner: Positions = np.rint(middle - (np.array(shape[::-1]) - 1) / 2)[None]
        return corner
    try:
        x, y, z = (float(part) for part in offset.split(","))
    except ValueError as error:
        raise UsageError(
            f"--positions-offset {offset}: give X,Y,Z in voxels, such as 200,150,100, or {CENTRED}"
        ) from error
    return np.array([[x, y, z]])
