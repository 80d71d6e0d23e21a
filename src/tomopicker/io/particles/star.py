"""The STAR syntax: read line by line, strictly, and written by the starfile library; other modules give it meaning.

One line is one row, as RELION has it. A row with fewer or more fields than its loop has labels is an error that names
the line: libraries pad such rows, which shifts positions into other columns.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.io.columns import to_strings
from tomopicker.io.text import read_text
from tomopicker.io.tomogram_names import join_names, rename_unique

TEXT_COLUMNS = {
    "rlnTomoName", "rlnMicrographName", "ptmMicrographName", "wrpSourceName", "rlnTomoParticleName", "rlnImageName",
    "rlnCtfImage", "rlnOpticsGroupName", "rlnTomoParticlesFile", "rlnTomoTomogramsFile", "rlnTomoImportParticleFile",
    "rlnTomoReconstructedTomogram",
}  # fmt: skip
"""Columns that stay text even if every value looks like a number: a tomogram may be called 0001."""

_MISSING = {"nan", "NaN", "<NA>"}
_UNSAFE = re.compile(r"[\s\"'#]")
_BLOCK = re.compile(r"data_(\S*)\s*(?:#.*)?$")
_FIELD = re.compile(r"""'(.*?)'(?=\s|$)|"(.*?)"(?=\s|$)|(\S+)""")
_QUOTE = re.compile(r"""(^|\s)['"#]""")


@dataclass
class _Table:
    """A loop, or the keys and values that stand together in a block: one row."""

    block: str
    labels: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    is_loop: bool = False


def read_blocks(path: Path) -> dict[str, pd.DataFrame]:
    """Read every loop of a STAR file as a table; a list of keys and values becomes a table of one row.

    Returns
    -------
    dict of str to DataFrame
        By the name of the block, in the order of the file. Of tables in blocks of one name, the second is called
        ``name (2)``: none is lost.

    Raises
    ------
    TomoPickerError
        If it cannot be read, is binary, or is no STAR file; a line that does not fit its loop is named.
    """
    tables: dict[str, pd.DataFrame] = {}
    for table in _tables(read_text(path), path):
        names = (f"{table.block} ({copy})" if copy > 1 else table.block for copy in itertools.count(1))
        tables[next(name for name in names if name not in tables)] = _as_frame(table, path)
    if not tables:
        raise TomoPickerError(f"{path}: no data block in this STAR file; give another")
    return tables


def choose_block(
    blocks: Mapping[str, pd.DataFrame], columns: Sequence[str], called: str, source: str
) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """Find the block that has columns: the only one (with rows), or of several the one of that name.

    Returns
    -------
    block : DataFrame or None
        None if no block has them.
    notes : tuple of str
        Which other blocks are not read.

    Raises
    ------
    TomoPickerError
        If several blocks have rows and none has that name.
    """
    found = {name: block for name, block in blocks.items() if set(columns) <= set(block.columns)}
    found = {name: block for name, block in found.items() if len(block)} or found
    if len(found) < 2:
        return next(iter(found.values()), None), ()
    if called not in found:
        raise TomoPickerError(
            f"{source}: {len(found)} of its blocks hold picks ({named_blocks(found)}); write each to a file of its own"
        )
    return found[called], (f"data_{called} is read; not read: {named_blocks(found, called)}",)


def named_blocks(blocks: Mapping[str, pd.DataFrame], without: str | None = None) -> str:
    """Name blocks and the number of their rows, for a message, the first few of many."""
    return join_names([f"data_{name} ({len(block)} rows)" for name, block in blocks.items() if name != without], 4)


def ends_in_a_line(path: Path) -> bool:
    """Whether the last line ends in a newline; in a truncated file it rarely does."""
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) in b"\n\r\0"


def write_blocks(blocks: Mapping[str, pd.DataFrame | dict[str, object]], path: Path) -> None:
    """Write blocks whole or not at all; 10 digits, ``nan`` for missing numbers, no blanks or quotes inside text."""
    import starfile  # noqa: PLC0415  (slow to import)

    safe = {name: _safe(block) if isinstance(block, pd.DataFrame) else block for name, block in blocks.items()}
    write_text(path, starfile.to_string(safe, float_format="%.10g", na_rep="nan"))


def star_name(name: str) -> str:
    """Name a tomogram as STAR files allow: without blanks, quotes and #."""
    return _UNSAFE.sub("_", name)


def star_names(names: Iterable[str], rule: Callable[[str], str] = str, where: str = "") -> dict[str, str]:
    """Rename tomograms by a rule, as a STAR file (`where`, for the message) can hold them.

    Raises `TomoPickerError` if a name is empty, or has blanks or quotes and would become another's without them.
    """
    called = rename_unique(names, lambda name: star_name(rule(name)))
    for name, new in called.items():
        if not new or _UNSAFE.search(new):
            start = f"{where}: " if where else ""
            raise TomoPickerError(f"{start}the tomogram name '{name}' is not valid in a STAR file; rename the tomogram")
    return called


def _tables(text: str, path: Path) -> Iterator[_Table]:
    """Go through the lines of a STAR file, and give its tables one after the other."""
    table: _Table | None = None
    in_labels = False
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, raw in enumerate(lines, start=1):
        line = raw.strip("\x1a \t\r\f\v")
        if not line or line[0] == "#":
            continue
        if block := _BLOCK.match(line):
            if table is not None and (table.labels or table.is_loop):
                yield table
            table, in_labels = _Table(block.group(1)), False
        elif table is None:
            raise _no_star(path, f"line {number} is outside any data block")
        elif line.split()[0] == "loop_":
            if table.labels:
                yield table
                table = _Table(table.block)
            table.is_loop, in_labels = True, True
        elif line[0] == "_" and (in_labels or not table.is_loop):
            _read_label(table, line, number, path)
        elif table.is_loop:
            in_labels = False
            fields = _fields(line, number, path)
            if len(fields) != len(table.labels):
                cut = " (the file may be cut short)" if len(fields) < len(table.labels) else ""
                raise _no_star(
                    path, f"line {number} has {len(fields)} fields where its loop has {len(table.labels)} labels{cut}"
                )
            table.rows.append(fields)
        else:
            raise _no_star(path, f"line {number} is outside any loop")
    if table is not None and (table.labels or table.is_loop):
        yield table


def _read_label(table: _Table, line: str, number: int, path: Path) -> None:
    """Read a label of a loop, or a label and its value."""
    table.labels.append(re.split(r"[\s#]", line[1:], maxsplit=1)[0])
    if table.is_loop:
        return
    fields = _fields(line, number, path)
    if len(fields) != 2:
        raise _no_star(path, f"line {number} is not a label and one value")
    table.rows = [[*(table.rows[0] if table.rows else []), fields[1]]]


def _fields(line: str, number: int, path: Path) -> list[str]:
    """Split a line at its blanks; quoted fields are one, and # begins a comment."""
    if _QUOTE.search(line) is None:
        return line.split()
    fields = []
    for match in _FIELD.finditer(line):
        single, double, bare = match.groups()
        if bare is not None and bare[0] == "#":
            break
        if bare is not None and bare[0] in "'\"":
            raise _no_star(path, f"line {number}: a quotation mark is not closed")
        fields.append(next(text for text in (single, double, bare) if text is not None))
    return fields


def _no_star(path: Path, reason: str) -> TomoPickerError:
    return TomoPickerError(f"{path}: cannot be read as STAR: {reason}; correct it or write it again")


def _as_frame(table: _Table, path: Path) -> pd.DataFrame:
    """Make columns of a table: numbers where every field is one, else text."""
    fields = list(zip(*table.rows, strict=True)) or [()] * len(table.labels)
    columns: dict[str, tuple[str, ...]] = {}
    for label, values in zip(table.labels, fields, strict=True):
        if columns.setdefault(label, values) != values:
            raise TomoPickerError(f"{path}: two columns of data_{table.block} are called {label}; take one out")
    return pd.DataFrame({label: _column(label, values) for label, values in columns.items()})


def _column(label: str, values: Sequence[str]) -> pd.Series:
    found = pd.Series([np.nan if value in _MISSING else value for value in values], dtype=object)
    if label in TEXT_COLUMNS:
        return found
    try:
        return pd.to_numeric(found)
    except (ValueError, TypeError, OverflowError):
        return found


def _safe(frame: pd.DataFrame) -> pd.DataFrame:
    out = {}
    for column in frame.columns:
        values = frame[column]
        if not pd.api.types.is_numeric_dtype(values):
            values = pd.Series([_UNSAFE.sub("_", text) or "None" for text in to_strings(values.tolist())], dtype=object)
        out[re.sub(_UNSAFE, "_", str(column))] = np.asarray(values)
    return pd.DataFrame(out, columns=list(out))
