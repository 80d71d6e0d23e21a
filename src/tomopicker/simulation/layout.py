"""A layout: positions from a file at which the targets of a scene are placed."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from tomopicker import io
from tomopicker.errors import UsageError
from tomopicker.geometry import Unit, is_outside
from tomopicker.parsing import three_numbers
from tomopicker.types import Positions, Shape

CENTRED = "centre"


def read_layout(path: Path, shape: Shape, offset: str | None) -> tuple[Positions, int]:
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
    table = io.read_table(path)
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


def _corner(positions: Positions, shape: Shape, offset: str | None) -> Float64[np.ndarray, " 3"]:
    """Give the volume's corner in the layout, (x, y, z) in voxels."""
    if offset is None:
        return np.zeros(3)
    if offset == CENTRED:
        middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
        # Whole voxels, so that the layout's own places between voxels are kept.
        corner: Float64[np.ndarray, " 3"] = np.rint(middle - (np.array(shape[::-1]) - 1) / 2)
        return corner
    return np.array(three_numbers(offset, "--positions-offset", f"200,150,100 (voxels), or {CENTRED}"))
