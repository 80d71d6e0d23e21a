"""The STAR syntax: a strict line-by-line reader; the starfile library writes. Other modules interpret the columns.

One line is one row, as in RELION. A row with fewer or more fields than its loop has labels is an error that names
the line: libraries pad such rows, which shifts positions into other columns.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
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
_QUOTE_OR_COMMENT = re.compile(r"""(^|\s)['"#]""")


@dataclass
class _Table:
    """A loop, or the keys and values of a block: one row."""

    block: str
    labels: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    is_loop: bool = False


def read_blocks(path: Path) -> dict[str, pd.DataFrame]:
    """Read every loop of a STAR file as a table; a list of keys and values becomes a table of one row.

    Returns
    -------
    dict of str to DataFrame
        By the name of the block, in the order of the file. A second table in a block of the same name is called
        ``name (2)``.

    Raises
    ------
    TomoPickerError
        If it cannot be read, is binary, or is not a STAR file; the message names a line that does not fit its loop.
    """
    parsed: list[_Table] = []
    lines = read_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, raw in enumerate(lines, start=1):
        line = raw.strip("\x1a \t\r\f\v")
        if not line or line[0] == "#":
            continue
        try:
            _parse_line(line, parsed)
        except ValueError as error:
            problem = f"line {number} {error}; correct it or write it again"
            raise TomoPickerError(f"{path}: cannot be read as STAR: {problem}") from error
    tables: dict[str, pd.DataFrame] = {}
    for table in parsed:
        if table.labels or table.is_loop:
            names = (f"{table.block} ({copy})" if copy > 1 else table.block for copy in itertools.count(1))
            tables[next(name for name in names if name not in tables)] = _as_frame(table, path)
    if not tables:
        raise TomoPickerError(f"{path}: no data block in this STAR file; give another")
    return tables


def choose_block(
    blocks: Mapping[str, pd.DataFrame], columns: Sequence[str], name: str, source: str
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
    fitting = {key: block for key, block in blocks.items() if set(columns) <= set(block.columns)}
    fitting = {key: block for key, block in fitting.items() if len(block)} or fitting
    if len(fitting) < 2:
        return next(iter(fitting.values()), None), ()
    if name not in fitting:
        raise TomoPickerError(
            f"{source}: {len(fitting)} of its blocks hold picks ({list_blocks(fitting)}); "
            "write each to a file of its own"
        )
    return fitting[name], (f"data_{name} is read; not read: {list_blocks(fitting, name)}",)


def list_blocks(blocks: Mapping[str, pd.DataFrame], omit: str | None = None) -> str:
    """List blocks and their numbers of rows, for a message, the first few of many."""
    return join_names([f"data_{name} ({len(block)} rows)" for name, block in blocks.items() if name != omit], 4)


def ends_in_newline(path: Path) -> bool:
    """Return True if the last line is complete; that of a truncated file rarely is."""
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) in b"\n\r\0"


def write_blocks(blocks: Mapping[str, pd.DataFrame | dict[str, object]], path: Path) -> None:
    """Write blocks whole or not at all; 10 digits, ``nan`` for missing numbers, no blanks or quotes inside text."""
    import starfile  # noqa: PLC0415  (slow to import)

    safe = {name: _safe(block) if isinstance(block, pd.DataFrame) else block for name, block in blocks.items()}
    write_text(path, starfile.to_string(safe, float_format="%.10g", na_rep="nan"))


def star_name(name: str) -> str:
    """Return the name of a tomogram in STAR files: blanks, quotes and # become underscores."""
    return _UNSAFE.sub("_", name)


def star_names(names: Iterable[str], rule: Callable[[str], str] = str, source: str = "") -> dict[str, str]:
    """Rename tomograms by a rule, then as STAR files allow; `source` is the file, for the message.

    Raises `TomoPickerError` if a name is empty, or has blanks or quotes and would become another's without them.
    """
    renamed = rename_unique(names, lambda name: star_name(rule(name)))
    for name, new in renamed.items():
        if not new or _UNSAFE.search(new):
            start = f"{source}: " if source else ""
            raise TomoPickerError(f"{start}the tomogram name '{name}' is not valid in a STAR file; rename the tomogram")
    return renamed


def _parse_line(line: str, tables: list[_Table]) -> None:
    """Add a line to the last table, or start another; raises `ValueError` if it does not fit."""
    if block := _BLOCK.match(line):
        tables.append(_Table(block.group(1)))
        return
    if not tables:
        raise ValueError("is outside any data block")
    table = tables[-1]
    if line.split(maxsplit=1)[0] == "loop_":
        if table.labels:
            tables.append(_Table(table.block))
        tables[-1].is_loop = True
    elif line[0] == "_" and not (table.is_loop and table.rows):
        table.labels.append(re.split(r"[\s#]", line[1:], maxsplit=1)[0])
        if not table.is_loop:
            fields = _fields(line)
            if len(fields) != 2:
                raise ValueError("is not a label and one value")
            table.rows = [[*(table.rows[0] if table.rows else []), fields[1]]]
    elif table.is_loop:
        fields = _fields(line)
        if len(fields) != len(table.labels):
            cut = " (the file may be cut short)" if len(fields) < len(table.labels) else ""
            raise ValueError(f"has {len(fields)} fields where its loop has {len(table.labels)} labels{cut}")
        table.rows.append(fields)
    else:
        raise ValueError("is outside any loop")


def _fields(line: str) -> list[str]:
    """Split a line at its blanks; quoted fields are one, and # begins a comment."""
    if _QUOTE_OR_COMMENT.search(line) is None:
        return line.split()
    fields = []
    for single, double, bare in _FIELD.findall(line):
        if bare.startswith("#"):
            break
        if bare.startswith(("'", '"')):
            raise ValueError("has a quotation mark that is not closed")
        fields.append(single or double or bare)
    return fields


def _as_frame(table: _Table, path: Path) -> pd.DataFrame:
    """Return a table whose columns are numbers if every field is one, else text."""
    fields = list(zip(*table.rows, strict=True)) or [()] * len(table.labels)
    columns: dict[str, tuple[str, ...]] = {}
    for label, values in zip(table.labels, fields, strict=True):
        if columns.setdefault(label, values) != values:
            raise TomoPickerError(f"{path}: two columns of data_{table.block} are called {label}; take one out")
    data = {label: [np.nan if value in _MISSING else value for value in values] for label, values in columns.items()}
    frame = pd.DataFrame(data, dtype=object)
    for label in set(frame.columns) - TEXT_COLUMNS:
        with suppress(ValueError, TypeError, OverflowError):
            frame[label] = pd.to_numeric(frame[label])
    return frame


def _safe(frame: pd.DataFrame) -> pd.DataFrame:
    safe = {}
    for name, column in frame.items():
        values = column.to_numpy()
        if not pd.api.types.is_numeric_dtype(column):
            values = np.array([star_name(text) or "None" for text in to_strings(column)], dtype=object)
        safe[star_name(str(name))] = values
    return pd.DataFrame(safe)
