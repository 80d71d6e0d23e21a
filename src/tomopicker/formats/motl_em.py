"""Motive lists in EM files: a header of 512 bytes and a 20 × n × 1 volume, of 32-bit floats when written.

The number of each axis is an int32 at byte 4; byte 3 is the type, byte 0 the machine that says the byte order
(tom_emread's documentation).
"""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path
from tomopicker.formats.motl import WIDTH, as_motl, as_table
from tomopicker.geometry import Frame, PickTable
from tomopicker.picks import Picks

HEADER = 512
LITTLE_ENDIAN = 6
_TYPES = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 9: "f8"}


def recognises(path: Path, head: bytes) -> bool:
    """Tell an EM file by its suffix."""
    return path.suffix.lower() == ".em"


def read(path: Path) -> PickTable:
    """Read a motive list; the tomograms' names from ``<stem>.doc`` if it is there.

    Raises
    ------
    TomoPickerError
        If it is no EM file, or no 20 rows wide: a volume, or a list of angles.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TomoPickerError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(content) < HEADER or content[3] not in _TYPES:
        raise TomoPickerError(f"{path}: it is not an EM file; give a motive list of 20 rows")
    order = "<" if content[0] == LITTLE_ENDIAN else ">"
    x, y, z = struct.unpack(f"{order}3i", content[4:16])
    if x != WIDTH or z != 1 or y < 1:
        raise TomoPickerError(f"{path}: a motive list has 20 x n x 1 numbers, this file {x} x {y} x {z}; give another")
    dtype = np.dtype(order + _TYPES[content[3]])
    if len(content) < HEADER + WIDTH * y * dtype.itemsize:
        raise TomoPickerError(f"{path}: it is cut short: {y} particles are promised; copy it again")
    motl = np.frombuffer(content, dtype, WIDTH * y, HEADER).reshape(y, WIDTH).astype(np.float64)
    return as_table(motl, path, [f"particle {i + 1}" for i in range(y)])


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a motive list, and ``<stem>.doc`` beside it."""
    motl = as_motl(picks, frames, path)
    header = struct.pack("<4B3i", LITTLE_ENDIAN, 0, 0, 5, WIDTH, len(motl), 1).ljust(HEADER, b"\0")
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + motl.astype("<f4").tobytes())
