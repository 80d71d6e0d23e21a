"""Volumes in EM files (TOM, PyTom, Dynamo): a header of 512 bytes, then x fastest; memory-mapped.

The header has no voxel size that can be relied on: tools leave it 0 or disagree on its unit. ``--voxel-size`` gives it.
"""

import struct
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.formats.motl_em import HEADER, LITTLE_ENDIAN
from tomopicker.formats.names import tomogram_name
from tomopicker.formats.stored import AS_FOUND, Mapped, Stored, Turned, check_volume, settle_voxel_size
from tomopicker.tomogram import Tomogram

_TYPES = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 9: "f8"}


def recognises(path: Path, head: bytes) -> bool:
    """Tell an EM file by its suffix."""
    return path.suffix.lower() == ".em"


def open_volume(
    path: Path, *, voxel_size: float | None = None, invert: bool = False, stored: Stored = AS_FOUND
) -> Tomogram:
    """Open an EM volume."""
    with path.open("rb") as stream:
        head = stream.read(HEADER)
    if len(head) < HEADER or head[3] not in _TYPES:
        raise TomoPickerError(f"{path}: it is not an EM volume of real numbers; convert it to MRC")
    order = "<" if head[0] == LITTLE_ENDIAN else ">"
    x, y, z = struct.unpack(f"{order}3i", head[4:16])
    dtype = np.dtype(order + _TYPES[head[3]])
    if min(x, y, z) < 1 or path.stat().st_size < HEADER + x * y * z * dtype.itemsize:
        raise TomoPickerError(f"{path}: truncated: its header says {x} x {y} x {z} voxels; copy it again")
    check_volume(path, (z, y, x), dtype)
    data = Mapped(path, dtype, HEADER, (z, y, x))
    size = settle_voxel_size(path, None, voxel_size, [])
    return Tomogram(tomogram_name(path), Turned(data, stored.places or (0, 1, 2), path), size, path, invert)


def is_volume(path: Path) -> bool:
    """Say whether an EM file holds a volume rather than a motive list or a list of angles."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEADER)
    except OSError:
        return False
    if len(head) < HEADER:
        return False
    order = "<" if head[0] == LITTLE_ENDIAN else ">"
    x, y, z = struct.unpack(f"{order}3i", head[4:16])
    return int(min(x, y, z)) > 1
