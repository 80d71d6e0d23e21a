"""Text columns: CSV and its relatives, with a header or without.

Convention: with a header, ``tomogram,x,y,z,score``, voxels of that tomogram, 0 at the centre of the first; a header
such as ``X [A]`` means Å. Without one, three columns are x, y, z; four only if they can mean one thing.
A unit that is not stated is taken as voxels; only the tables of the CZII challenge (``experiment``, ``particle_type``)
are known to be in Å.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.columns import IMAGES, SCORE_COLUMNS, TOMOGRAM_COLUMNS, Rows, infer_numeric
from tomopicker.io.text import read_text
from tomopicker.picks import Picks

DECIMALS = 4
"""Of a voxel: a tenth of the thousandth that a round trip must keep."""
_UNIT = re.compile(r"[\s_]*(?:\[([^\]]*)\]|\(([^)]*)\)|_(angstroms?|angst|ang|å|nm|px|pix|pixels?|vox|voxels?))\s*$")
_ANGSTROM = {"a", "å", "ang", "angst", "angstrom", "angstroms", "ångström", "ångstrom"}
_VOXEL = {"", "px", "pix", "pixel", "pixels", "vox", "voxel", "voxels"}
_AXIS = re.compile(
    r"^(?:(?:(?:rln)?coordinate|coord|position|pos|cent(?:er|re))[_ ]?)?([xyz])(?:[_ ]?(?:coordinate|coord|pos))?$"
)
_NAPARI_AXES = {"axis-0": "z", "axis-1": "y", "axis-2": "x"}
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+", re.ASCII)
"""Points may separate thousands."""


def read(path: Path) -> PickTable:
    """Read positions from text columns; see `read_columns`."""
    return read_columns(path, {})


def read_columns(path: Path, headers: Mapping[int, Sequence[str]]) -> PickTable:
    """Read text columns; `headers` names those of a file without a header, by their number.

    Raises `TomoPickerError` if columns are missing (those present are listed) or ambiguous, a field is not a number
    (its line is named), or there are no rows.
    """
    source = str(path)
    numbered, comments = _content_lines(read_text(path))
    if not numbered:
        raise TomoPickerError(f"{source}: no picks in this file; give one with at least one position")
    table = _split(list(numbered.values()), source)
    labels = [f"line {number}" for number in numbered]
    table, has_decimal_commas = _with_decimal_points(table, Rows(source, labels))
    header, first = _find_header(table, comments)
    rows = Rows(source, labels[first:])
    if header:
        _find_axes(header, source)
        header = _drop_trailing(header, 3)
    body = [_drop_trailing(fields, len(header) if header else 3) for fields in table[first:]]
    rows.check_widths(body, len(header) if header else len(body[0]))
    if header is None:
        header = list(headers.get(len(body[0]), ())) or _guess_header(body, source)
    picks = _as_table(header, body, rows)
    if has_decimal_commas:
        picks = replace(picks, notes=(*picks.notes, "numbers are read with decimal commas, as in 10,5"))
    if headers:
        return replace(picks, is_unit_stated=True)  # The other formats of columns that are read here define their unit.
    if not first and not picks.is_unit_stated:
        return replace(picks, inferred="no unit is stated; the columns are taken as x, y, z in voxels")
    return picks


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write ``tomogram,x,y,z,score`` and the other columns, in voxels, 0 at the centre of the first."""
    comments = [name for name in picks.tomogram_names if name.startswith("#")]
    if comments:
        raise TomoPickerError(f"{path}: the tomogram name '{comments[0]}' would read as a comment; rename the tomogram")
    columns: dict[str, object] = {"tomogram": picks.tomograms}
    for axis, values in zip("xyz", to_file_units(picks, frames, Unit.VOXEL).T, strict=True):
        columns[axis] = format_fixed(values)
    columns["score"] = format_scores(picks.scores, missing="")
    reserved = set(columns)
    for name in picks.extra.columns:
        if str(name).lower() not in reserved:
            columns[str(name)] = [" ".join(v.split()) if isinstance(v, str) else v for v in picks.extra[name].tolist()]
    write_table(columns, path)


def write_table(columns: Mapping[str, object], path: Path, separator: str = ",") -> None:
    """Write columns by name, with a header."""
    text = io.StringIO()
    pd.DataFrame(columns).to_csv(text, sep=separator, index=False, float_format="%.10g", lineterminator="\n")
    write_text(path, text.getvalue())


def format_fixed(values: np.ndarray) -> list[str]:
    """Format coordinates with `DECIMALS`."""
    return [f"{value:.{DECIMALS}f}" for value in values]


def format_scores(scores: np.ndarray, missing: str) -> list[str]:
    """Format scores with 7 digits; missing ones become `missing`."""
    return [missing if np.isnan(score) else f"{score:.7g}" for score in scores]


def _content_lines(text: str) -> tuple[dict[int, str], list[str]]:
    """Return the lines that are neither blank nor comments, by number, and the comments before the first of them."""
    content: dict[int, str] = {}
    comments: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("#"):
            if not content:
                comments.append(stripped.lstrip("# \t"))
        elif stripped:
            # A tab at the end may precede an empty field.
            content[number] = line.rstrip(" " if "\t" in stripped else None)
    return content, comments


def _split(lines: Sequence[str], source: str) -> list[list[str]]:
    """Split lines at the delimiter that gives the first of them all the same number of fields, three or more."""
    sample = lines[:20]
    for delimiter in "|;\t,":
        counts = {len(fields) for fields in _fields(sample, delimiter, source)}
        if len(counts) == 1 and counts.pop() >= 3:
            return _fields(lines, delimiter, source)
    delimiter = next((mark for mark in "|;\t," if mark in sample[0]), " ")
    return _fields([" ".join(line.split()) for line in lines] if delimiter == " " else lines, delimiter, source)


def _fields(lines: Sequence[str], delimiter: str, source: str) -> list[list[str]]:
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise TomoPickerError(f"{source}: cannot be split into columns ({error}); correct the file") from error
    if len(rows) != len(lines):
        raise TomoPickerError(f"{source}: a quotation mark is not closed; correct the file")
    return [[field.strip() for field in fields] for fields in rows]


def _with_decimal_points(table: list[list[str]], rows: Rows) -> tuple[list[list[str]], bool]:
    """Replace decimal commas, as in spreadsheets of many countries, by points; return whether there are any.

    Raises `TomoPickerError` if other numbers have points, which may separate thousands.
    """
    if not any(_DECIMAL_COMMA.fullmatch(field) for fields in table for field in fields):
        return table, False
    for fields, row in zip(table, rows.labels, strict=True):
        if ambiguous := next((field for field in fields if "." in field and _is_number(field)), None):
            raise TomoPickerError(
                f"{rows.source}: {row} has '{ambiguous}', and others decimal commas; write points in all"
            )
    return [
        [field.replace(".", "").replace(",", ".") if _DECIMAL_COMMA.fullmatch(field) else field for field in fields]
        for fields in table
    ], True


def _drop_trailing(fields: list[str], width: int) -> list[str]:
    """Drop empty fields beyond a width: lines of spreadsheets end in a delimiter."""
    while len(fields) > width and not fields[-1]:
        fields = fields[:-1]
    return fields


def _find_header(table: list[list[str]], comments: list[str]) -> tuple[list[str] | None, int]:
    """Return the header and the index of the first row of data.

    A first row without numbers is the header; else the last comment, if it names x, y, z and as many columns.
    """
    if not any(_is_number(field) for field in table[0]):
        return table[0], 1
    names = re.split(r"[\s,;|]+", comments[-1].strip()) if comments else []
    if len(names) == len(table[0]) and {"x", "y", "z"} <= {name.lower() for name in names}:
        return names, 0
    return None, 0


def _guess_header(body: list[list[str]], source: str) -> list[str]:
    """Name the columns of a file without a header, if they can mean one thing only."""
    width = len(body[0])
    if width == 3:
        return ["x", "y", "z"]
    if width == 4:
        if not any(_is_number(fields[0]) for fields in body):
            return ["tomogram", "x", "y", "z"]
        last = [float(fields[3]) for fields in body if _is_number(fields[3])]
        if len(last) == len(body) and all(-1 <= value <= 1 for value in last) and any(value % 1 for value in last):
            return ["x", "y", "z", "score"]
    hint = "add a first line that names them (tomogram,x,y,z,score)"
    if all(_is_number(field) for fields in body for field in fields) and width in {4, 5}:
        hint += ", or give --from imod-text if they are IMOD's model2point's"
    raise TomoPickerError(f"{source}: {width} columns and no header; {hint}")


def _as_table(header: list[str], body: list[list[str]], rows: Rows) -> PickTable:
    axes = _find_axes(header, rows.source)
    tomogram = _index_of_first(header, TOMOGRAM_COLUMNS)
    score = _index_of_first(header, SCORE_COLUMNS)
    columns: list[list[str]] = [list(column) for column in zip(*body, strict=True)] or [[] for _ in header]
    used = {*axes.columns.values(), tomogram, score}
    return rows.table(
        rows.stack({axis: columns[axes.columns[axis]] for axis in "xyz"}),
        axes.unit,
        None if tomogram is None else columns[tomogram],
        None if score is None else rows.numbers(columns[score], "score", blank=np.nan),
        {name: infer_numeric(columns[i]) for i, name in enumerate(header) if i not in used and name not in IMAGES},
        is_unit_stated=axes.is_stated,
        inferred=axes.inferred,
    )


@dataclass(frozen=True)
class _Axes:
    """The columns of x, y and z, their unit, whether the header states it, and what was inferred, if anything."""

    columns: dict[str, int]
    unit: Unit
    is_stated: bool
    inferred: str | None = None


def _find_axes(header: list[str], source: str) -> _Axes:
    """Find the columns of x, y and z and their unit; voxels are preferred if there are several."""
    columns: dict[Unit, dict[str, int]] = {Unit.VOXEL: {}, Unit.ANGSTROM: {}}
    labels = [name.strip().lower() for name in header]
    is_stated = False
    for i, label in enumerate(labels):
        match = _UNIT.search(label)
        word = next((group for group in match.groups() if group is not None), "").strip() if match else ""
        base = _UNIT.sub("", label)
        axis = _NAPARI_AXES.get(base) or (match.group(1) if (match := _AXIS.match(base)) else None)
        if axis is None:
            continue
        if word not in _ANGSTROM | _VOXEL:
            raise TomoPickerError(
                f"{source}: column '{header[i]}' is in '{word}'; give voxels or Å, as in 'x,y,z' or 'x [A]'"
            )
        is_stated |= bool(word) or base in _NAPARI_AXES
        columns[Unit.ANGSTROM if word in _ANGSTROM else Unit.VOXEL].setdefault(axis, i)
    unit = next((unit for unit, axes in columns.items() if len(axes) == 3), None)
    if unit is None:
        missing = " ".join(axis for axis in "xyz" if not any(axis in axes for axes in columns.values()))
        raise TomoPickerError(
            f"{source}: no column for {missing or 'x, y and z in one unit'}; found {', '.join(header[:12])}; "
            "name them x, y, z"
        )
    if unit is Unit.VOXEL and not is_stated and {"experiment", "particle_type"} <= set(labels):
        return _Axes(columns[unit], Unit.ANGSTROM, False, "x, y, z are taken as Å, as the CZII challenge has them")
    # Our own header means voxels, as documented.
    return _Axes(columns[unit], unit, is_stated or unit is Unit.ANGSTROM or labels[:4] == ["tomogram", "x", "y", "z"])


def _index_of_first(header: list[str], names: Sequence[str]) -> int | None:
    labels = [name.strip().lower().replace(" ", "_") for name in header]
    return next((labels.index(name) for name in names if name in labels), None)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
