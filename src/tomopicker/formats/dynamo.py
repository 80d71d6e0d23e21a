"""Dynamo tables: 26 columns or more without a header, and the list that says which number is which tomogram.

A particle lies at columns 24-26 plus its shift, 4-6, in voxels of the tomogram it was picked in. The centre of the
first voxel is taken as (1, 1, 1), as in all of MATLAB; Dynamo's pages do not say.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.formats import tomogram_index
from tomopicker.formats.angles import CLASS, checked, from_dynamo, orientations, relion_columns, to_dynamo
from tomopicker.formats.columns import carried, check_coordinates, numbers
from tomopicker.formats.textfile import read_text
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks

FIRST_VOXEL = (1.0, 1.0, 1.0)
NEEDED, MOST = 26, 1000
"""Columns: as many as reach the position, and more than any table has."""
SHIFT, ANGLES, SCORE, TOMOGRAM, CLASS_AT, POSITION = slice(3, 6), slice(6, 9), 9, 19, 21, slice(23, 26)
_USED = {*range(3, 10), TOMOGRAM, CLASS_AT, *range(23, 26)}
_DEFAULTS = {1: 1.0, 2: 1.0, 12: 1.0, 13: -60.0, 14: 60.0, 15: -60.0, 16: 60.0}
"""By index: to be aligned, averaged, and a wedge of ±60° (column 13 says which kind), as Dynamo fills new tables."""


def recognises(path: Path, head: bytes) -> bool:
    """Tell a table by its suffix: its content is but numbers."""
    return path.suffix.lower() == ".tbl"


def read(path: Path) -> PickTable:
    """Read a table; the tomograms' names from ``<stem>.doc``, or the only ``.doc`` beside it, if there is one.

    Raises
    ------
    TomoPickerError
        If a line has fewer than 26 columns or another number of them, or one that is needed is no number.
    """
    source = str(path)
    lines = [(number, line.split()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    table = [(f"line {number}", fields) for number, fields in lines if fields]
    rows = [row for row, _ in table]
    width = len(table[0][1]) if table else NEEDED
    for row, fields in table:
        if not NEEDED <= len(fields) <= MOST or len(fields) != width:
            expected = min(max(width, NEEDED), MOST)
            raise TomoPickerError(
                f"{source}: {row} has {len(fields)} columns where {expected} are expected; mend the file"
            )
    columns = list(zip(*(fields for _, fields in table), strict=True)) or [()] * NEEDED
    values = {i: numbers(columns[i], f"column {i + 1}", source, rows) for i in _USED}
    shifts, angles, at = (
        np.stack([values[i] for i in range(part.start, part.stop)], 1) for part in (SHIFT, ANGLES, POSITION)
    )
    check_coordinates(at + shifts, source, rows)
    extra: dict[str, object] = {}
    if angles.any():
        extra |= relion_columns(from_dynamo(checked(angles, source, rows)))
    extra[CLASS] = values[CLASS_AT]
    # Column 28 may hold complex numbers, so the others stay as they are written.
    extra |= {_column(i): list(columns[i]) for i in range(width) if i not in _USED}
    return PickTable(
        at + shifts,
        Unit.VOXEL,
        tomogram_index.named(values[TOMOGRAM], path),
        values[SCORE],
        extra=pd.DataFrame(extra),
        source=source,
        first_voxel=FIRST_VOXEL,
    )


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a table with shifts of 0, and ``<stem>.doc`` beside it; clicks have the score 0."""
    n = len(picks)
    known = [name for name in picks.extra.columns if str(name).startswith("dynamo_")]
    stated = [int(name[7:]) for name in map(str, known) if name[7:].isdigit()]
    table = np.full((n, min(max([35, *stated]), MOST)), "0", dtype=object)
    table[:, 0] = [str(i + 1) for i in range(n)]
    for i, value in _DEFAULTS.items():
        table[:, i] = f"{value:g}"
    for number in stated:
        if number <= table.shape[1] and number - 1 not in _USED:
            table[:, number - 1] = ["".join(str(v).split()) or "0" for v in picks.extra[_column(number - 1)]]
    index = tomogram_index.numbered(picks.tomogram_names, path) if n else {}
    rotations = orientations(picks.extra)
    _fill(table, POSITION, express(picks, frames, Unit.VOXEL, first_voxel=FIRST_VOXEL))
    if rotations is not None:
        _fill(table, ANGLES, to_dynamo(rotations))
    table[:, SCORE] = [f"{score:.7g}" for score in np.nan_to_num(picks.scores)]
    table[:, TOMOGRAM] = [str(index[name]) for name in picks.tomograms]
    table[:, CLASS_AT] = [f"{value:g}" for value in carried(picks.extra, CLASS, n)]
    write_text(path, "".join(" ".join(row) + "\n" for row in table))


def _fill(table: np.ndarray, where: slice, values: np.ndarray) -> None:
    for i, column in zip(range(where.start, where.stop), values.T, strict=True):
        table[:, i] = [f"{value:.4f}" for value in column]


def _column(i: int) -> str:
    return f"dynamo_{i + 1}"
