"""The STAR syntax, read and written through the starfile library; what the blocks mean is said elsewhere."""

import linecache
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import starfile

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.formats.columns import names
from tomopicker.formats.textfile import read_text

TEXT_COLUMNS = [
    "rlnTomoName",
    "rlnMicrographName",
    "rlnTomoParticleName",
    "rlnImageName",
    "rlnCtfImage",
    "rlnOpticsGroupName",
    "rlnTomoParticlesFile",
    "rlnTomoTomogramsFile",
    "rlnTomoImportParticleFile",
]
"""Columns that stay text even if every value looks like a number: a tomogram may be called 0001."""

_START = re.compile(rb"\s*(#[^\n]*\n\s*)*data_\S*\s")
_UNSAFE = re.compile(r"[\s\"'#]")


def recognises(path: Path, head: bytes) -> bool:
    """Tell a STAR file by its suffix, or by a data block after nothing but comments."""
    return path.suffix.lower() == ".star" or _START.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def read_blocks(path: Path) -> dict[str, pd.DataFrame]:
    """Read every block of a STAR file as a table; a list of keys and values becomes a table of one row.

    Raises
    ------
    TomoPickerError
        If it cannot be read, is binary, or is no STAR file.
    """
    read_text(path)
    # starfile reads lines through this cache and leaves them there when it fails: a mended file would look unmended.
    linecache.checkcache(str(path))
    try:
        blocks = starfile.read(path, always_dict=True, parse_as_string=TEXT_COLUMNS)
        tables = {str(name): _as_frame(block) for name, block in blocks.items() if block is not None}
    except Exception as error:  # starfile lets whatever pandas or shlex raise through
        reason = " ".join(str(error).split())[:120]
        raise TomoPickerError(f"{path}: cannot be read as STAR ({reason}); mend it or write it again") from error
    if not tables:
        raise TomoPickerError(f"{path}: no data block in this STAR file; give another")
    return tables


def write_blocks(blocks: Mapping[str, pd.DataFrame | dict[str, object]], path: Path) -> None:
    """Write blocks whole or not at all; 10 digits, ``nan`` for missing numbers, no blanks or quotes inside text."""
    safe = {name: _safe(block) if isinstance(block, pd.DataFrame) else block for name, block in blocks.items()}
    write_text(path, starfile.to_string(safe, float_format="%.10g", na_rep="nan"))


def safe_name(name: str, path: Path | str) -> str:
    """Refuse a tomogram's name that a STAR file cannot hold.

    Raises
    ------
    TomoPickerError
        If the name is empty, or has blanks, quotes or a # in it.
    """
    if not name or _UNSAFE.search(name):
        raise TomoPickerError(
            f"{path}: the tomogram name '{name}' cannot stand in a STAR file, which takes no blank, quote or #; rename "
            "the tomogram (or convert to csv, which takes any)"
        )
    return name


def _as_frame(block: pd.DataFrame | dict[str, object]) -> pd.DataFrame:
    frame = block if isinstance(block, pd.DataFrame) else pd.DataFrame({key: [value] for key, value in block.items()})
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    return frame.loc[:, ~frame.columns.duplicated()]


def _safe(frame: pd.DataFrame) -> pd.DataFrame:
    out = {}
    for column in frame.columns:
        values = frame[column]
        if not pd.api.types.is_numeric_dtype(values):
            values = pd.Series([_UNSAFE.sub("_", text) or "None" for text in names(values.tolist())], dtype=object)
        out[re.sub(_UNSAFE, "_", str(column))] = np.asarray(values)
    return pd.DataFrame(out, columns=list(out))
