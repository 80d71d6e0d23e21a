"""MRC volumes: the header, checked before any voxel is read, and the voxels, opened lazily through a memory map.

Convention: CCP-EM's MRC2014 page, with IMOD's additions (words 39 and 40: stamp and flags). The layout comes from
mrcfile; the decisions are ours, because mrcfile either refuses old IMOD files or answers None without a reason.

Arrays are (z, y, x). Compressed files cannot be mapped; they are decompressed up to what is read. nstart and
origin become a warning and are not applied: positions count from the first voxel.
"""

from dataclasses import dataclass, replace
from math import isfinite, prod
from pathlib import Path

import mrcfile.dtypes
import mrcfile.utils
import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.tomogram_names import tomogram_name
from tomopicker.io.volumes import arrays, compressed
from tomopicker.io.volumes.arrays import Mapped, ReorderedAxes, Sliceable
from tomopicker.io.volumes.compressed import CompressedSections, Compression
from tomopicker.tomogram import Tomogram

HEADER_BYTES = 1024
IMOD_STAMP = 1146047817
IMOD_SIGNED_BYTES = 1
_NOT_REAL = {3: "complex integers", 4: "complex numbers (a Fourier transform)", 101: "4-bit integers"}


@dataclass(frozen=True)
class MrcHeader:
    """The first 1024 bytes, interpreted.

    Parameters
    ----------
    shape : tuple of int
        Sections, rows and columns as stored.
    dtype : dtype
        Of the stored voxels, in the file's byte order.
    offset : int
        Bytes before the first voxel.
    voxel_sizes : tuple of float
        Å along x, y and z; 0 where the header states none.
    axes : tuple of int
        How the stored axes are transposed to (z, y, x).
    has_mark : bool
        Whether the letters MAP are there; they are not in files from before the year 2000.
    is_volume_stack, is_image_stack : bool
        Several volumes (space group 401 and above); images (space group 0).
    start : tuple of float
        nstart and origin, six numbers, zero as a rule.
    absent_bytes : int
        Of an extended header that is stated and not in the file.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int
    voxel_sizes: tuple[float, float, float]
    axes: tuple[int, int, int]
    has_mark: bool
    is_volume_stack: bool
    is_image_stack: bool
    start: tuple[float, ...]
    absent_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """The length of a file with this header and nothing after its voxels."""
        return self.offset + prod(self.shape) * self.dtype.itemsize


def parse_header(path: Path, raw: bytes, file_bytes: int | None = None) -> MrcHeader:
    """Interpret a header, the first 1024 bytes of a file that is named in messages.

    The length of the file, if known, is evidence for the byte order of a file without a machine stamp.

    Raises `TomoPickerError` if it is no MRC header, or of voxels that are not real numbers.
    """
    if len(raw) < HEADER_BYTES:
        raise TomoPickerError(f"{path}: it is not an MRC file ({len(raw)} bytes, a header alone has {HEADER_BYTES})")
    header = _in_byte_order(raw, file_bytes)
    has_mark = raw[208:211] == b"MAP"
    shape = (int(header["nz"]), int(header["ny"]), int(header["nx"]))
    mode = int(header["mode"])
    if mode in _NOT_REAL and min(shape) > 0:
        raise TomoPickerError(
            f"{path}: it holds {_NOT_REAL[mode]} (mode {mode}), not a tomogram; convert it with 'newstack -mode 2'"
        )
    if not _known(mode) or min(shape) < 0 or int(header["nsymbt"]) < 0:
        why = (
            f"its header states mode {mode} and size {shape[::-1]}"
            if has_mark
            else "no MAP mark, and no sensible header"
        )
        raise TomoPickerError(f"{path}: it is not an MRC file, or a damaged one ({why})")
    if min(shape) == 0:
        raise TomoPickerError(
            f"{path}: its header states a size of zero, {' x '.join(map(str, shape[::-1]))} voxels; write it again"
        )
    return MrcHeader(
        shape=shape,
        dtype=_stored_dtype(header, mode),
        offset=HEADER_BYTES + int(header["nsymbt"]),
        voxel_sizes=_voxel_sizes(header),
        axes=_axes(header, path),
        has_mark=has_mark,
        is_volume_stack=bool(401 <= int(header["ispg"]) <= 630),
        is_image_stack=int(header["ispg"]) == 0,
        start=tuple(float(header[f"n{axis}start"]) for axis in "xyz")
        + tuple(float(header["origin"][axis]) for axis in "xyz"),
    )


def _in_byte_order(raw: bytes, file_bytes: int | None) -> np.void:
    """Read the header in the order of its machine stamp if that makes sense, else in the one that does."""
    layout = mrcfile.dtypes.HEADER_DTYPE
    orders = [">", "<"] if raw[212:213] == b"\x11" else ["<", ">"]
    headers: list[np.void] = [np.frombuffer(raw[:HEADER_BYTES], layout.newbyteorder(order))[0] for order in orders]
    return max(headers, key=lambda header: _plausibility(header, file_bytes))


def _plausibility(header: np.void, file_bytes: int | None) -> int:
    """Score the evidence for a byte order; of equal scores the first wins."""
    mode, shape = int(header["mode"]), [int(header[key]) for key in ("nx", "ny", "nz")]
    if not _known(mode) and mode not in _NOT_REAL:
        return 0
    points = 2 + all(0 <= int(header[f"map{axis}"]) <= 3 for axis in "crs") + (min(shape) > 0)
    fits = _known(mode) and min(shape) > 0 and file_bytes is not None
    needed = prod(shape) * (mrcfile.utils.dtype_from_mode(mode).itemsize if _known(mode) else 1)
    return points + (2 if fits and file_bytes is not None and needed <= file_bytes else 0)


def _known(mode: int) -> bool:
    return mode in {0, 1, 2, 6, 12}


def _stored_dtype(header: np.void, mode: int) -> np.dtype:
    """Take bytes for unsigned where IMOD's flags state it, or where the stated maximum could not be otherwise."""
    if mode == 0:
        raw = header.tobytes()
        order = "<" if header.dtype["nx"].str.startswith("<") else ">"
        stamp, flags = np.frombuffer(raw[152:160], f"{order}i4").tolist()
        if stamp == IMOD_STAMP:
            return np.dtype(np.int8 if flags & IMOD_SIGNED_BYTES else np.uint8)
        return np.dtype(np.uint8 if 127 < float(header["dmax"]) <= 255 else np.int8)
    stored: np.dtype = mrcfile.utils.dtype_from_mode(mode)
    return stored.newbyteorder(header.dtype["nx"].byteorder)


def _voxel_sizes(header: np.void) -> tuple[float, float, float]:
    """Divide the cell by its sampling, x y z; by the size where the sampling is 0 (seen in the wild)."""
    sizes = []
    for axis in "xyz":
        sampling = int(header[f"m{axis}"]) or int(header[f"n{axis}"])
        size = float(header["cella"][axis]) / sampling
        # A header holds 7 digits: 13.48 comes back as 13.4799998 otherwise.
        sizes.append(float(f"{size:.7g}") if isfinite(size) else 0.0)
    return sizes[0], sizes[1], sizes[2]


def _axes(header: np.void, path: Path) -> tuple[int, int, int]:
    stored = [int(header[f"map{axis}"]) for axis in "src"]
    if stored == [0, 0, 0]:
        return 0, 1, 2
    if sorted(stored) != [1, 2, 3]:
        raise TomoPickerError(
            f"{path}: its header orders the axes {stored[::-1]} (mapc, mapr, maps), which is invalid; write it again"
        )
    return stored.index(3), stored.index(2), stored.index(1)


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
    with compressed.unpacking(path, compression), compressed.open_compressed(path, compression) as opened:
        head = opened.read(HEADER_BYTES)
    header = parse_header(path, head)
    actual_bytes = compressed.uncompressed_size(path, compression, header.total_bytes)
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
    size = arrays.resolve_voxel_size(path, header.voxel_sizes, given, [] if is_one else warnings)
    if is_one and given is None:
        warnings.append(
            f"{path}: its header states a voxel size of exactly 1 Å, which often means unknown; see --voxel-size"
        )
    return size
