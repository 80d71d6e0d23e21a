"""Dynamo tables: 26 columns or more without a header, and the list of its tomograms by number.

A particle lies at columns 24-26 plus its shift, 4-6, in voxels of the tomogram it was picked in. The centre of the
first voxel is taken as (1, 1, 1), as in all of MATLAB; Dynamo's documentation does not state it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS, DYNAMO, columns_if_any, orientations
from tomopicker.io.columns import Rows, column_or_default
from tomopicker.io.particles import tomogram_index
from tomopicker.io.text import content_lines
from tomopicker.picks import Picks

INDEX_ORIGIN = (1.0, 1.0, 1.0)
MIN_COLUMNS, MAX_COLUMNS = 26, 1000
"""As many as reach the position, and more than any table has."""
SHIFT, ANGLES, SCORE, TOMOGRAM, CLASS_AT, POSITION = slice(3, 6), slice(6, 9), 9, 19, 21, slice(23, 26)
_USED = [*range(3, 10), TOMOGRAM, CLASS_AT, *range(23, 26)]
_DEFAULTS = {1: 1.0, 2: 1.0, 12: 1.0, 13: -60.0, 14: 60.0, 15: -60.0, 16: 60.0}
"""By index: to be aligned, averaged, and a wedge of ±60° (column 13: its type), as Dynamo fills new tables."""


def read(path: Path) -> PickTable:
    """Read a table; the tomograms' names from ``<stem>.doc``, or the only ``.doc`` in its folder, if there is one.

    Raises `TomoPickerError` if a line has fewer than 26 columns or another number of them, or one that is needed is no
    number.
    """
    table = [(label, line.split()) for label, line in content_lines(path)]
    rows = Rows(path, [label for label, _ in table])
    width = len(table[0][1]) if table else MIN_COLUMNS
    for row, fields in table:
        if not MIN_COLUMNS <= len(fields) <= MAX_COLUMNS or len(fields) != width:
            expected = min(max(width, MIN_COLUMNS), MAX_COLUMNS)
            raise TomoPickerError(
                f"{path}: {row} has {len(fields)} columns where {expected} are expected; correct the file"
            )
    columns = list(zip(*(fields for _, fields in table), strict=True)) or [()] * MIN_COLUMNS
    values = np.zeros((len(rows), MIN_COLUMNS))
    values[:, _USED] = rows.stack({f"column {i + 1}": columns[i] for i in _USED})
    coordinates = values[:, POSITION] + values[:, SHIFT]
    extra: dict[str, object] = dict(columns_if_any(rows.check_angles(values[:, ANGLES]), DYNAMO))
    extra[CLASS] = values[:, CLASS_AT]
    # Column 28 may hold complex numbers, so the others stay as they are written.
    extra |= {_column(i): list(columns[i]) for i in range(width) if i not in _USED}
    tomograms = tomogram_index.name_tomograms(values[:, TOMOGRAM], path)
    return rows.table(coordinates, Unit.VOXEL, tomograms, values[:, SCORE], extra, index_origin=INDEX_ORIGIN)


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a table with shifts of 0, and ``<stem>.doc`` next to it; clicks have the score 0."""
    n = len(picks)
    known = (str(name).removeprefix("dynamo_") for name in picks.extra.columns if str(name).startswith("dynamo_"))
    stated = [int(number) for number in known if number.isdigit()]
    table = np.full((n, min(max([35, *stated]), MAX_COLUMNS)), "0", dtype=object)
    table[:, 0] = [str(i + 1) for i in range(n)]
    for i, value in _DEFAULTS.items():
        table[:, i] = f"{value:g}"
    for number in stated:
        if number <= table.shape[1] and number - 1 not in _USED:
            table[:, number - 1] = ["".join(str(v).split()) or "0" for v in picks.extra[_column(number - 1)]]
    index = tomogram_index.number_tomograms(picks.tomogram_names, path)
    rotations = orientations(picks.extra)
    _fill(table, POSITION, to_file_units(picks, frames, Unit.VOXEL, index_origin=INDEX_ORIGIN))
    if rotations is not None:
        _fill(table, ANGLES, DYNAMO.angles(rotations))
    table[:, SCORE] = [f"{score:.7g}" for score in np.nan_to_num(picks.scores)]
    table[:, TOMOGRAM] = [str(index[name]) for name in picks.tomograms]
    table[:, CLASS_AT] = [f"{value:g}" for value in column_or_default(picks.extra, CLASS, n)]
    write_text(path, "".join(" ".join(row) + "\n" for row in table))


def _fill(table: np.ndarray, where: slice, values: np.ndarray) -> None:
    table[:, where] = [[f"{value:.4f}" for value in row] for row in values] or np.empty((0, 3), dtype=object)


def _column(i: int) -> str:
    return f"dynamo_{i + 1}"
