"""The motive list of TOM, AV3, PyTom and Artiatomi: 20 numbers a particle, in an EM file or as lines of text.

A particle lies at numbers 8-10 plus its shift, 11-13, in voxels of the tomogram; the centre of the first voxel is
(1, 1, 1), as ArtiaX and tom_emread have it. Angles are phi, psi, theta in numbers 17-19; 5 is the tomogram, whose name
is listed in ``<stem>.doc``, if it exists.
"""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path, write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS, TOM, angles_or_zeros, columns_if_any
from tomopicker.io.columns import Rows, column_or_default
from tomopicker.io.particles import tomogram_index
from tomopicker.io.text import content_lines, read_bytes
from tomopicker.io.volumes.em import HEADER_BYTES, em_layout
from tomopicker.picks import Picks

INDEX_ORIGIN = (1.0, 1.0, 1.0)
WIDTH = 20
SCORE, TOMOGRAM, POSITION, SHIFT, CLASS_AT = 0, 4, slice(7, 10), slice(10, 13), 19
PHI_THETA_PSI = [16, 18, 17]
_OTHERS = [1, 2, 3, 5, 6, 13, 14, 15]
_PARTICLE = 3


def read_em(path: Path) -> PickTable:
    """Read a motive list from an EM file: a header of 512 bytes and a 20 × n × 1 volume.

    Raises `TomoPickerError` if it is no EM file, or no 20 rows wide: a volume, or a list of angles.
    """
    content = read_bytes(path)
    (z, y, x), dtype = em_layout(content)
    if dtype is None:
        raise TomoPickerError(f"{path}: it is not an EM file; give a motive list of 20 rows")
    if x != WIDTH or z != 1 or y < 1:
        raise TomoPickerError(f"{path}: a motive list has 20 x n x 1 numbers, this file {x} x {y} x {z}; give another")
    if len(content) < HEADER_BYTES + WIDTH * y * dtype.itemsize:
        raise TomoPickerError(f"{path}: it is cut short: {y} particles are promised; copy it again")
    motl = np.frombuffer(content, dtype, WIDTH * y, HEADER_BYTES).reshape(y, WIDTH).astype(np.float64)
    return _as_table(motl, path, Rows.counted(path, "particle", y))


def read_csv(path: Path) -> PickTable:
    """Read a motive list of 20 numbers a line between commas; a `TomoPickerError` names a line that has not 20."""
    lines = content_lines(path)
    rows = Rows(path, [label for label, _ in lines])
    table = [line.split(",") for _, line in lines]
    for fields, row in zip(table, rows.labels, strict=True):
        if len(fields) != WIDTH:
            raise TomoPickerError(f"{path}: {row} has {len(fields)} columns, a motive list 20; correct the file")
    columns = zip(*table, strict=True) if table else [()] * WIDTH
    return _as_table(rows.stack({f"column {i + 1}": column for i, column in enumerate(columns)}), path, rows)


def write_em(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a motive list of 32-bit floats, and ``<stem>.doc`` next to it."""
    motl = _as_motl(picks, frames, path)
    header = struct.pack("<4B3i", 6, 0, 0, 5, WIDTH, len(motl), 1).ljust(HEADER_BYTES, b"\0")
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + motl.astype("<f4").tobytes())


def write_csv(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a motive list as text, and ``<stem>.doc`` next to it."""
    motl = _as_motl(picks, frames, path)
    write_text(path, "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in motl))


def _as_table(motl: np.ndarray, path: Path, rows: Rows) -> PickTable:
    """Interpret a motive list of shape (n, 20)."""
    coordinates = motl[:, POSITION] + motl[:, SHIFT]
    extra = columns_if_any(rows.check_angles(motl[:, PHI_THETA_PSI]), TOM)
    extra[CLASS] = motl[:, CLASS_AT]
    extra |= {f"motl_{i + 1}": motl[:, i] for i in _OTHERS}
    tomograms = tomogram_index.name_tomograms(motl[:, TOMOGRAM], path)
    return rows.table(coordinates, Unit.VOXEL, tomograms, motl[:, SCORE].copy(), extra, index_origin=INDEX_ORIGIN)


def _as_motl(picks: Picks, frames: Mapping[str, Frame], path: Path) -> np.ndarray:
    """Lay picks out as n rows of 20 numbers, shifts 0, clicks with the score 0; write ``<stem>.doc`` next to `path`."""
    n = len(picks)
    index = tomogram_index.number_tomograms(picks.tomogram_names, path)
    motl = np.zeros((n, WIDTH))
    motl[:, _PARTICLE] = np.arange(1, n + 1)
    for i in _OTHERS:
        if f"motl_{i + 1}" in picks.extra:
            motl[:, i] = column_or_default(picks.extra, f"motl_{i + 1}", n)
    motl[:, SCORE] = np.nan_to_num(picks.scores)
    motl[:, TOMOGRAM] = [index[name] for name in picks.tomograms]
    motl[:, POSITION] = to_file_units(picks, frames, Unit.VOXEL, index_origin=INDEX_ORIGIN)
    motl[:, PHI_THETA_PSI] = angles_or_zeros(picks.extra, n, TOM)
    motl[:, CLASS_AT] = column_or_default(picks.extra, CLASS, n, default=1.0)
    return motl
