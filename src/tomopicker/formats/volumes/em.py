"""Volumes in EM files (TOM, PyTom, Dynamo): a header of 512 bytes, then x fastest; memory-mapped.

The header has no voxel size that can be relied on: programs leave it 0 or disagree on its unit. ``--voxel-size`` gives
it.
"""

from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.formats.recognition import EM_HEADER_BYTES, em_byte_order, em_size
from tomopicker.formats.volumes.arrays import DEFAULT_OPTIONS, Mapped, ReadOptions, as_tomogram, check_volume
from tomopicker.tomogram import Tomogram

EM_TYPES = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 9: "f8"}
"""Types of real numbers by byte 3 of the header (tom_emread's documentation)."""


def open_volume(
    path: Path, *, voxel_size: float | None = None, invert: bool = False, options: ReadOptions = DEFAULT_OPTIONS
) -> Tomogram:
    """Open an EM volume."""
    with path.open("rb") as stream:
        head = stream.read(EM_HEADER_BYTES)
    if len(head) < EM_HEADER_BYTES or head[3] not in EM_TYPES:
        raise TomoPickerError(f"{path}: it is not an EM volume of real numbers; convert it to MRC")
    x, y, z = em_size(head)
    dtype = np.dtype(em_byte_order(head) + EM_TYPES[head[3]])
    if min(x, y, z) < 1 or path.stat().st_size < EM_HEADER_BYTES + x * y * z * dtype.itemsize:
        raise TomoPickerError(f"{path}: truncated: its header says {x} x {y} x {z} voxels; copy it again")
    check_volume(path, (z, y, x), dtype)
    return as_tomogram(path, Mapped(path, dtype, EM_HEADER_BYTES, (z, y, x)), options, None, voxel_size, invert)
