"""EM files (TOM, PyTom, Dynamo): a header of 512 bytes, then x fastest; volumes, and motive lists of 20 x n x 1."""

from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.text import read_bytes
from tomopicker.io.volumes.arrays import Mapped, as_tomogram
from tomopicker.tomogram import Tomogram
from tomopicker.types import Shape

HEADER_BYTES = 512
_TYPES = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 9: "f8"}
"""Types of real numbers by byte 3 of the header (tom_emread's documentation)."""


def em_layout(head: bytes) -> tuple[Shape, np.dtype | None]:
    """Return (z, y, x) and the type in a header; None for numbers that are not real, and 0 for an incomplete header."""
    if len(head) < HEADER_BYTES:
        return (0, 0, 0), None
    order = "<" if head[0] == 6 else ">"  # Byte 0 is the machine, 6 a PC.
    x, y, z = np.frombuffer(head, f"{order}i4", 3, 4).tolist()
    return (z, y, x), np.dtype(order + _TYPES[head[3]]) if head[3] in _TYPES else None


def is_em_volume(path: Path) -> bool:
    """Return True for an EM file that holds a volume, not a motive list or a list of angles."""
    try:
        return min(em_layout(read_bytes(path, HEADER_BYTES))[0]) > 1
    except TomoPickerError:
        return False


def open_em(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> Tomogram:
    """Open an EM volume; memory-mapped.

    The voxel size in the header is not used: programs leave it 0 or disagree on its unit. ``--voxel-size`` gives it.
    """
    shape, dtype = em_layout(read_bytes(path, HEADER_BYTES))
    if dtype is None:
        raise TomoPickerError(f"{path}: it is not an EM volume of real numbers; convert it to MRC")
    z, y, x = shape
    if min(shape) < 1 or path.stat().st_size < HEADER_BYTES + x * y * z * dtype.itemsize:
        raise TomoPickerError(f"{path}: truncated: its header states {x} x {y} x {z} voxels; copy it again")
    return as_tomogram(path, Mapped(path, dtype, HEADER_BYTES, shape), options, None)
