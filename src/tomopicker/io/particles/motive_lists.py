"""Motive lists: rows of numbers that descend from MATLAB tools, with tomograms by number.

A particle lies at its position plus its shift, both in voxels of the tomogram it was picked in, and the centre of the
first voxel is (1, 1, 1). The names of the tomograms are in ``<stem>.doc``, if it exists (`tomogram_index`).

- Dynamo's ``.tbl`` has 26 columns or more without a header. Its documentation does not state the origin, which is
  taken as in all of MATLAB.
- TOM, AV3, PyTom and Artiatomi have 20 numbers per particle, in an EM file (a header of 512 bytes and a 20 × n × 1
  volume) or as lines of text. The origin is that of ArtiaX and tom_emread.
- STOPGAP has a STAR block. Its documentation does not state the origin, which is taken as in TOM, its ancestor.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path, write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS, DYNAMO, TOM, Convention, angles_or_zeros, columns_if_any
from tomopicker.io.columns import Rows, column_or_default
from tomopicker.io.particles.star import choose_block, read_blocks, write_blocks
from tomopicker.io.particles.tomogram_index import name_tomograms, number_tomograms
from tomopicker.io.text import read_bytes
from tomopicker.io.volumes.em import HEADER_BYTES, em_layout
from tomopicker.picks import Picks
from tomopicker.types import Positions, Scores

INDEX_ORIGIN = (1.0, 1.0, 1.0)

TBL_SHIFT, TBL_ANGLES, TBL_SCORE, TBL_TOMOGRAM, TBL_CLASS, TBL_POSITION = (
    slice(3, 6), slice(6, 9), 9, 19, 21, slice(23, 26),
)  # fmt: skip
"""Columns of Dynamo's table; the angles are tdrot, tilt, narot."""
MIN_TBL_COLUMNS, DEFAULT_TBL_COLUMNS, MAX_TBL_COLUMNS = 26, 35, 1000
_TBL_USED = [*range(3, 10), TBL_TOMOGRAM, TBL_CLASS, *range(23, 26)]
_TBL_DEFAULTS = {1: "1", 2: "1", 12: "1", 13: "-60", 14: "60", 15: "-60", 16: "60"}
"""By index: to be aligned, averaged, and a wedge of ±60° (column 13: its type), as Dynamo fills new tables."""

MOTL_WIDTH = 20
MOTL_SCORE, MOTL_PARTICLE, MOTL_TOMOGRAM, MOTL_POSITION, MOTL_SHIFT, MOTL_CLASS = (
    0, 3, 4, slice(7, 10), slice(10, 13), 19,
)  # fmt: skip
MOTL_ANGLES = [16, 18, 17]
"""Numbers 17, 19 and 18 of a particle: phi, theta, psi."""
_MOTL_KEPT = [1, 2, 3, 5, 6, 13, 14, 15]

STOPGAP_BLOCK = "stopgap_motivelist"
STOPGAP_POSITION, STOPGAP_SHIFT = ["orig_x", "orig_y", "orig_z"], ["x_shift", "y_shift", "z_shift"]
STOPGAP_ANGLES = ["phi", "the", "psi"]


def read_dynamo(path: Path) -> PickTable:
    """Read a Dynamo table; columns without a meaning here are kept as written, since column 28 may be complex."""
    rows, lines = Rows.of_lines(path)
    table = [line.split() for line in lines]
    width = len(table[0]) if table else MIN_TBL_COLUMNS
    rows.check_widths(table, min(max(width, MIN_TBL_COLUMNS), MAX_TBL_COLUMNS))
    columns = list(zip(*table, strict=True)) or [()] * MIN_TBL_COLUMNS
    values = np.zeros((len(rows), MIN_TBL_COLUMNS))
    values[:, _TBL_USED] = rows.stack({f"column {i + 1}": columns[i] for i in _TBL_USED})
    others = {f"dynamo_{i + 1}": list(columns[i]) for i in range(width) if i not in _TBL_USED}
    position, shift, angles = values[:, TBL_POSITION], values[:, TBL_SHIFT], values[:, TBL_ANGLES]
    return _as_table(
        rows, path, position + shift, angles, DYNAMO, values[:, TBL_TOMOGRAM], values[:, TBL_SCORE],
        {CLASS: values[:, TBL_CLASS], **others},
    )  # fmt: skip


def write_dynamo(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a Dynamo table with shifts of 0, and ``<stem>.doc`` next to it; clicks have the score 0."""
    n = len(picks)
    numbers = (str(name).removeprefix("dynamo_") for name in picks.extra.columns if str(name).startswith("dynamo_"))
    kept = [int(number) for number in numbers if number.isdigit()]
    table = np.full((n, min(max([DEFAULT_TBL_COLUMNS, *kept]), MAX_TBL_COLUMNS)), "0", dtype=object)
    table[:, 0] = [str(i + 1) for i in range(n)]
    for i, value in _TBL_DEFAULTS.items():
        table[:, i] = value
    for number in kept:
        if number <= table.shape[1] and number - 1 not in _TBL_USED:
            table[:, number - 1] = ["".join(str(v).split()) or "0" for v in picks.extra[f"dynamo_{number}"]]
    points, angles, tomograms, scores = _for_writing(picks, frames, path, DYNAMO)
    table[:, TBL_POSITION] = np.char.mod("%.4f", points)
    if angles.any():
        table[:, TBL_ANGLES] = np.char.mod("%.4f", angles)
    table[:, TBL_SCORE] = [f"{score:.7g}" for score in scores]
    table[:, TBL_TOMOGRAM] = [str(number) for number in tomograms]
    table[:, TBL_CLASS] = [f"{value:g}" for value in column_or_default(picks, CLASS)]
    write_text(path, "".join(" ".join(row) + "\n" for row in table))


def read_motl_em(path: Path) -> PickTable:
    """Read a motive list from an EM file; volumes and lists of angles are refused."""
    content = read_bytes(path)
    (z, y, x), dtype = em_layout(content)
    if dtype is None:
        raise TomoPickerError(f"{path}: it is not an EM file; give a motive list of 20 rows")
    if x != MOTL_WIDTH or z != 1 or y < 1:
        raise TomoPickerError(f"{path}: a motive list has 20 x n x 1 numbers, this file {x} x {y} x {z}; give another")
    if len(content) < HEADER_BYTES + MOTL_WIDTH * y * dtype.itemsize:
        raise TomoPickerError(f"{path}: truncated: its header states {y} particles; copy it again")
    motl = np.frombuffer(content, dtype, MOTL_WIDTH * y, HEADER_BYTES).reshape(y, MOTL_WIDTH).astype(np.float64)
    return _motl_as_table(motl, path, Rows.counted(path, "particle", y))


def read_motl_csv(path: Path) -> PickTable:
    """Read a motive list of 20 numbers per line, separated by commas."""
    rows, lines = Rows.of_lines(path)
    table = [line.split(",") for line in lines]
    rows.check_widths(table, MOTL_WIDTH)
    columns = zip(*table, strict=True) if table else [()] * MOTL_WIDTH
    return _motl_as_table(rows.stack({f"column {i + 1}": column for i, column in enumerate(columns)}), path, rows)


def write_motl_em(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a motive list of 32-bit floats, and ``<stem>.doc`` next to it."""
    motl = _as_motl(picks, frames, path)
    header = struct.pack("<4B3i", 6, 0, 0, 5, MOTL_WIDTH, len(motl), 1).ljust(HEADER_BYTES, b"\0")
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + motl.astype("<f4").tobytes())


def write_motl_csv(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a motive list as text, and ``<stem>.doc`` next to it."""
    motl = _as_motl(picks, frames, path)
    write_text(path, "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in motl))


def read_stopgap(path: Path) -> PickTable:
    """Read a STOPGAP motive list."""
    needed = [*STOPGAP_POSITION, "tomo_num"]
    block, notes = choose_block(read_blocks(path), needed, STOPGAP_BLOCK, str(path))
    if block is None:
        raise TomoPickerError(f"{path}: no block with the columns {', '.join(needed)}; give another file")
    rows = Rows.counted(path, "row", len(block))
    block = block.assign(**{name: 0.0 for name in (*STOPGAP_SHIFT, *STOPGAP_ANGLES) if name not in block})
    used = {*STOPGAP_POSITION, *STOPGAP_SHIFT, *STOPGAP_ANGLES, "class", "score", "tomo_num"}
    others = {str(name): block[name].to_numpy() for name in block if name not in used}
    if "class" in block:
        others = {CLASS: rows.numbers(block["class"], "class"), **others}
    return _as_table(
        rows, path, rows.stack(block[STOPGAP_POSITION]) + rows.stack(block[STOPGAP_SHIFT]),
        rows.stack(block[STOPGAP_ANGLES]), TOM, rows.numbers(block["tomo_num"], "tomo_num"),
        rows.numbers(block["score"], "score") if "score" in block else None, others, notes,
    )  # fmt: skip


def write_stopgap(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a STOPGAP motive list with shifts of 0, and ``<stem>.doc`` next to it; clicks have the score 0."""
    n = len(picks)
    points, angles, tomograms, scores = _for_writing(picks, frames, path, TOM)
    count = np.arange(1, n + 1)
    halves = pd.Series(["A" if i % 2 else "B" for i in count], dtype=object)
    kept = {"motl_idx": count, "object": np.ones(n, int), "subtomo_num": count, "halfset": halves}
    kept |= {name: picks.extra[name].to_numpy() for name in kept if name in picks.extra}
    columns = {
        "motl_idx": kept.pop("motl_idx"),
        "tomo_num": tomograms,
        **kept,
        **dict(zip(STOPGAP_POSITION, points.T, strict=True)),
        "score": scores,
        **dict.fromkeys(STOPGAP_SHIFT, np.zeros(n)),
        "phi": angles[:, 0],
        "psi": angles[:, 2],
        "the": angles[:, 1],
        "class": column_or_default(picks, CLASS, 1.0).astype(np.int64),
    }
    write_blocks({STOPGAP_BLOCK: pd.DataFrame(columns)}, path)


def _motl_as_table(motl: np.ndarray, path: Path, rows: Rows) -> PickTable:
    """Interpret a motive list of shape (n, 20)."""
    others = {CLASS: motl[:, MOTL_CLASS], **{f"motl_{i + 1}": motl[:, i] for i in _MOTL_KEPT}}
    return _as_table(
        rows, path, motl[:, MOTL_POSITION] + motl[:, MOTL_SHIFT], motl[:, MOTL_ANGLES], TOM, motl[:, MOTL_TOMOGRAM],
        motl[:, MOTL_SCORE].copy(), others,
    )  # fmt: skip


def _as_motl(picks: Picks, frames: Mapping[str, Frame], path: Path) -> np.ndarray:
    """Return picks as n rows of 20 numbers, with shifts of 0; clicks have the score 0."""
    motl = np.zeros((len(picks), MOTL_WIDTH))
    motl[:, MOTL_PARTICLE] = np.arange(1, len(picks) + 1)
    for i in _MOTL_KEPT:
        if f"motl_{i + 1}" in picks.extra:
            motl[:, i] = column_or_default(picks, f"motl_{i + 1}")
    motl[:, MOTL_POSITION], motl[:, MOTL_ANGLES], motl[:, MOTL_TOMOGRAM], motl[:, MOTL_SCORE] = _for_writing(
        picks, frames, path, TOM
    )
    motl[:, MOTL_CLASS] = column_or_default(picks, CLASS, 1.0)
    return motl


def _as_table(
    rows: Rows,
    path: Path,
    coordinates: Positions,
    angles: Positions,
    convention: Convention,
    tomograms: Scores,
    scores: Scores | None,
    others: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> PickTable:
    extra = {**columns_if_any(rows.check_angles(angles), convention), **others}
    names = name_tomograms(tomograms, path)
    return rows.table(coordinates, Unit.VOXEL, names, scores, extra, index_origin=INDEX_ORIGIN, notes=notes)


def _for_writing(
    picks: Picks, frames: Mapping[str, Frame], path: Path, convention: Convention
) -> tuple[Positions, Positions, np.ndarray, Scores]:
    """Return coordinates, angles, numbers of tomograms and scores; write ``<stem>.doc``."""
    index = number_tomograms(picks.tomogram_names, path)
    return (
        to_file_units(picks, frames, Unit.VOXEL, index_origin=INDEX_ORIGIN),
        angles_or_zeros(picks, convention),
        np.array([index[name] for name in picks.tomograms], dtype=np.int64),
        np.nan_to_num(picks.scores),
    )
