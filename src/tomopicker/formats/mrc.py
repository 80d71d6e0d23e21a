"""MRC volumes: opened lazily through a memory map, written whole or not at all.

Arrays are (z, y, x). A compressed file cannot be mapped and is unpacked as far as it is read. nstart and
origin are said, not applied: positions count from the first voxel.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import mrcfile
import numpy as np
from jaxtyping import Num

import tomopicker
from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path
from tomopicker.formats.mrc_header import HEADER_BYTES, HeaderError, MrcHeader, parse_header
from tomopicker.formats.names import COMPRESSION_SUFFIXES, VOLUME_SUFFIXES, tomogram_name
from tomopicker.formats.packed import PackedSections, Packing, damaged, unpacked, unpacked_bytes
from tomopicker.formats.stored import AS_FOUND, Mapped, Sliceable, Stored, Turned
from tomopicker.moments import moments, moments_of
from tomopicker.tomogram import Tomogram
from tomopicker.types import AnyVolume

TOLERANCE = 0.01
DMIN, RMS = 76, 216
"""Where a header has the least value, followed by the greatest and the mean, and the standard deviation; bytes."""

AnySection = Num[np.ndarray, "y x"]
MOST_EXTENDED = 1 << 24
"""Bytes: no program writes a longer extended header, so a header that states more is damaged."""


def recognises(path: Path, head: bytes) -> bool:
    """Say whether a file is meant to be MRC: by its mark, or by its suffix."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSION_SUFFIXES]
    return head[208:211] == b"MAP" or bool(suffixes and suffixes[-1] in VOLUME_SUFFIXES)


def open_volume(
    path: Path, *, voxel_size: float | None = None, invert: bool = False, stored: Stored = AS_FOUND
) -> Tomogram:
    """Open an MRC file without reading its voxels; see `tomopicker.formats.open_tomogram`."""
    with path.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    packing = _packing(head)
    try:
        if packing:
            with unpacked(path, packing) as opened:
                head = opened.read(HEADER_BYTES)
        header = parse_header(head, None if packing else path.stat().st_size)
    except HeaderError as error:
        raise TomoPickerError(f"{path}: {error}") from error
    except (EOFError, OSError, zlib.error, ValueError) as error:
        if packing is None:
            raise
        raise damaged(path, packing, error) from error
    actual_bytes = unpacked_bytes(path, packing, header.total_bytes) if packing else path.stat().st_size
    header = _as_stored(header, actual_bytes)
    _check_length(path, header, actual_bytes)
    data: Sliceable
    if packing:
        whole = actual_bytes == header.total_bytes
        data = PackedSections(path, packing, header.dtype, header.offset, header.shape, whole)
    else:
        data = Mapped(path, header.dtype, header.offset, header.shape)
    _check_kind(path, header)
    warnings = []
    if actual_bytes > header.total_bytes:
        surplus = actual_bytes - header.total_bytes
        warnings.append(f"{path}: {surplus} bytes more than its header says; they are not read")
    if header.absent_bytes:
        warnings.append(
            f"{path}: the extended header of {header.absent_bytes} bytes that its header states is not in the file; "
            "voxels are read from where it would begin"
        )
    if stored.places is not None:
        data = Turned(data, stored.places, path)
    elif header.axes != (0, 1, 2):
        data = Turned(data, header.axes, path)
        warnings.append(f"{path}: its axes are stored in another order than x, y, z; they are turned to it")
    size = _resolve_voxel_size(path, header, voxel_size, warnings)
    if any(header.start):
        where = ", ".join(f"{value:g}" for value in header.start)
        warnings.append(f"{path}: its header has an origin (nstart and origin {where}); it is not applied")
    return Tomogram(tomogram_name(path), data, size, path, invert, tuple(warnings))


def write_mrc(path: Path, volume: AnyVolume, voxel_size: float) -> None:
    """Write a volume as MRC2014, whole or not at all; ``.gz`` and ``.bz2`` are packed.

    Parameters
    ----------
    path : Path
        The file.
    volume : AnyVolume
        float32, float16 or int8, kept as they are; (z, y, x).
    voxel_size : float
        Å.

    Raises
    ------
    TomoPickerError
        If the file cannot be written.
    TypeError
        If the voxels are of another type.
    """
    path = Path(path)
    if volume.dtype not in (np.float32, np.float16, np.int8):
        raise TypeError(f"MRC volumes are written as float32, float16 or int8, not {volume.dtype}")
    compression = {".gz": "gzip", ".bz2": "bzip2"}.get(path.suffix.lower())
    if compression is None:
        write_mrc_sections(path, volume.shape, volume.dtype, iter(volume), voxel_size)
        return
    with atomic_path(path) as temporary, mrcfile.new(temporary, overwrite=True, compression=compression) as file:
        with np.errstate(over="ignore", invalid="ignore"):
            file.set_data(volume)
        _describe(file, volume.shape, voxel_size)
        found = moments_of(volume)  # mrcfile sums float16 in float16, which overflows.
        file.header.dmean, file.header.rms = found.mean, found.sd


def write_mrc_sections(
    path: Path, shape: Sequence[int], dtype: np.dtype, sections: Iterable[AnySection], voxel_size: float
) -> None:
    """Write a volume section by section, so that it need never be in memory; see `write_mrc`.

    Parameters
    ----------
    path : Path
        The file, unpacked.
    shape : sequence of int
        (z, y, x).
    dtype : dtype
        float32, float16 or int8.
    sections : iterable of array, (y, x)
        As many as `shape` says, of this type.
    voxel_size : float
        Å.
    """
    least, most = np.inf, -np.inf

    def written() -> Iterator[AnySection]:
        nonlocal least, most
        for section in sections:
            least, most = np.minimum(least, section.min()), np.maximum(most, section.max())
            stream.write(np.ascontiguousarray(section).data)
            yield section

    with atomic_path(path) as temporary:
        with mrcfile.new(temporary, overwrite=True) as file:
            file.set_data(np.zeros((1, 1, 1), dtype))
            _describe(file, shape, voxel_size)
        with temporary.open("r+b") as stream:
            stream.seek(HEADER_BYTES)
            found = moments(written())
            for place, values in ((DMIN, (least, most, found.mean)), (RMS, (found.sd,))):
                stream.seek(place)
                stream.write(np.array(values, dtype=np.float32).tobytes())


def _describe(file: mrcfile.mrcfile.MrcFile, shape: Sequence[int], voxel_size: float) -> None:
    """Put all but the statistics into a header."""
    file.set_volume()
    header = file.header
    header.nz, header.ny, header.nx = header.mz, header.my, header.mx = shape
    file.voxel_size = voxel_size
    header.label[0] = f"Written by TomoPicker {tomopicker.__version__}".ljust(80).encode("ascii")
    header.nlabl = 1


def _packing(head: bytes) -> Packing | None:
    """Tell compressed content by its first bytes, whatever the name (nx may look like a magic number: MAP decides)."""
    if head[208:211] == b"MAP":
        return None
    return "gzip" if head[:2] == b"\x1f\x8b" else "bzip2" if head[:3] == b"BZh" else None


def _as_stored(header: MrcHeader, actual_bytes: int) -> MrcHeader:
    """Take the voxels to follow the header where exactly the extended header that it states is not in the file.

    Programs that rewrite a volume and copy its header leave such files.
    """
    extended = header.offset - HEADER_BYTES
    is_absent = header.has_mark and 0 < extended <= MOST_EXTENDED and actual_bytes == header.total_bytes - extended
    return replace(header, offset=HEADER_BYTES, absent_bytes=extended) if is_absent else header


def _check_length(path: Path, header: MrcHeader, actual_bytes: int) -> None:
    needed = header.total_bytes
    if not header.has_mark and actual_bytes != needed:
        reason = f"no MAP mark, and its header would need {needed} bytes where the file has {actual_bytes}"
        raise TomoPickerError(f"{path}: it is not an MRC file, or a truncated one ({reason}); copy or write it again")
    if actual_bytes < needed:
        raise TomoPickerError(
            f"{path}: truncated: its header says {needed} bytes, the file has {actual_bytes}; copy it again"
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
    """Take the user's value, else the header's if it can be believed; say what is doubtful."""
    stated = header.voxel_sizes
    believable = min(stated) > 0
    text = " x ".join(f"{size:g}" for size in stated)
    if given is not None:
        if not (isfinite(given) and given > 0):
            raise TomoPickerError(f"{path}: a voxel size of {given:g} Å cannot be; give --voxel-size in Å")
        if believable and any(abs(size - given) > TOLERANCE * given for size in stated) and stated != (1.0, 1.0, 1.0):
            warnings.append(f"{path}: its header says a voxel size of {text} Å; --voxel-size {given:g} is used")
        return float(given)
    if not believable:
        raise TomoPickerError(f"{path}: its header has no voxel size ({text} Å); give --voxel-size in Å")
    if max(stated) - min(stated) > TOLERANCE * min(stated):
        raise TomoPickerError(
            f"{path}: its voxels are not cubes ({text} Å); give --voxel-size in Å if its header is wrong"
        )
    if stated == (1.0, 1.0, 1.0):
        warnings.append(
            f"{path}: its header says a voxel size of exactly 1 Å, which often means unknown; see --voxel-size"
        )
    return float(f"{sum(stated) / 3:.7g}")
