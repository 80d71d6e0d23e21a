"""MRC volumes: opened lazily through a memory map, written whole or not at all.

Arrays are (z, y, x). Compressed files cannot be mapped; they are decompressed up to what is read. nstart and
origin become a warning and are not applied: positions count from the first voxel.
"""

import zlib
from dataclasses import replace
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.io.tomogram_names import tomogram_name
from tomopicker.io.volumes.arrays import (
    DEFAULT_OPTIONS,
    Mapped,
    ReadOptions,
    ReorderedAxes,
    Sliceable,
    resolve_voxel_size,
)
from tomopicker.io.volumes.compressed import (
    CompressedSections,
    Compression,
    damaged,
    open_compressed,
    uncompressed_size,
)
from tomopicker.io.volumes.mrc_header import HEADER_BYTES, MrcHeader, parse_header
from tomopicker.tomogram import Tomogram

MAX_EXTENDED_BYTES = 1 << 24
"""No program writes a longer extended header, so a header that states more is damaged."""


def open_mrc(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> Tomogram:
    """Open an MRC file without reading its voxels; see `tomopicker.io.open_tomogram`."""
    compression, header, actual_bytes = _read_header(path)
    _check_length(path, header, actual_bytes)
    data: Sliceable
    if compression:
        whole = actual_bytes == header.total_bytes
        data = CompressedSections(path, compression, header.dtype, header.offset, header.shape, whole)
    else:
        data = Mapped(path, header.dtype, header.offset, header.shape)
    _check_kind(path, header)
    warnings = []
    if actual_bytes > header.total_bytes:
        surplus = actual_bytes - header.total_bytes
        warnings.append(f"{path}: {surplus} bytes more than its header states; they are not read")
    if header.absent_bytes:
        warnings.append(
            f"{path}: the extended header of {header.absent_bytes} bytes that its header states is not in the file; "
            "voxels are read from where it would begin"
        )
    if options.places is not None:
        data = ReorderedAxes(data, options.places, path)
    elif header.axes != (0, 1, 2):
        data = ReorderedAxes(data, header.axes, path)
        warnings.append(f"{path}: its axes are stored in another order than x, y, z; they are reordered")
    size = _resolve_voxel_size(path, header, options.voxel_size, warnings)
    if any(header.start):
        where = ", ".join(f"{value:g}" for value in header.start)
        warnings.append(f"{path}: its header has an origin (nstart and origin {where}); it is not applied")
    return Tomogram(tomogram_name(path), data, size, path, options.invert, tuple(warnings))


def _read_header(path: Path) -> tuple[Compression | None, MrcHeader, int]:
    """Read the compression, the header, and how many bytes the uncompressed file has or at least has."""
    file_bytes = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    compression = _compression(head)
    if compression is None:
        return None, _as_stored(parse_header(path, head, file_bytes), file_bytes), file_bytes
    try:
        with open_compressed(path, compression) as opened:
            head = opened.read(HEADER_BYTES)
    except (EOFError, OSError, zlib.error, ValueError) as error:
        raise damaged(path, compression, error) from error
    header = parse_header(path, head)
    actual_bytes = uncompressed_size(path, compression, header.total_bytes)
    return compression, _as_stored(header, actual_bytes), actual_bytes


def _compression(head: bytes) -> Compression | None:
    """Recognise compression by the first bytes, whatever the name (nx may look like a magic number: MAP decides)."""
    if head[208:211] == b"MAP":
        return None
    return "gzip" if head[:2] == b"\x1f\x8b" else "bzip2" if head[:3] == b"BZh" else None


def _as_stored(header: MrcHeader, actual_bytes: int) -> MrcHeader:
    """Take the voxels to follow the header where exactly the extended header that it states is not in the file.

    Programs that rewrite a volume and copy its header leave such files.
    """
    extended = header.offset - HEADER_BYTES
    is_absent = header.has_mark and 0 < extended <= MAX_EXTENDED_BYTES and actual_bytes == header.total_bytes - extended
    return replace(header, offset=HEADER_BYTES, absent_bytes=extended) if is_absent else header


def _check_length(path: Path, header: MrcHeader, actual_bytes: int) -> None:
    needed = header.total_bytes
    if not header.has_mark and actual_bytes != needed:
        reason = f"no MAP mark, and its header would need {needed} bytes where the file has {actual_bytes}"
        raise TomoPickerError(f"{path}: it is not an MRC file, or a truncated one ({reason}); copy or write it again")
    if actual_bytes < needed:
        raise TomoPickerError(
            f"{path}: truncated: its header states {needed} bytes, the file has {actual_bytes}; copy it again"
        )


def _check_kind(path: Path, header: MrcHeader) -> None:
    sections, rows, columns = header.shape
    size = f"{columns} x {rows} x {sections}"
    if header.is_volume_stack:
        raise TomoPickerError(
            f"{path}: a stack of volumes (space group 401), not one tomogram; write each to its own file"
        )
    if min(header.shape) == 1:
        raise TomoPickerError(f"{path}: a 2D image ({size}), not a tomogram; give the reconstruction")
    if header.is_image_stack and ".mrcs" in [suffix.lower() for suffix in path.suffixes]:
        raise TomoPickerError(
            f"{path}: a stack of {sections} 2D images (.mrcs), not a tomogram; give the reconstruction"
        )


def _resolve_voxel_size(path: Path, header: MrcHeader, given: float | None, warnings: list[str]) -> float:
    """Take the user's value (Å), else the header's; 1 Å is suspicious, so that it contradicts no other."""
    is_one = header.voxel_sizes == (1.0, 1.0, 1.0)
    size = resolve_voxel_size(path, header.voxel_sizes, given, [] if is_one else warnings)
    if is_one and given is None:
        warnings.append(
            f"{path}: its header states a voxel size of exactly 1 Å, which often means unknown; see --voxel-size"
        )
    return size
