"""MRC volumes: the header, checked before any voxel is read, and the voxels, memory-mapped.

Convention: CCP-EM's MRC2014 page, with IMOD's additions (words 39 and 40: stamp and flags). The layout comes from
mrcfile; the decisions are ours, because mrcfile either refuses old IMOD files or returns None without a reason.

Arrays are (z, y, x). Compressed files cannot be mapped; they are decompressed up to what is read. nstart and
origin become a warning and are not applied: positions count from the first voxel.
"""

from dataclasses import dataclass, replace
from math import isfinite, prod
from pathlib import Path

import mrcfile.dtypes
import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.text import read_bytes
from tomopicker.io.volumes import compressed
from tomopicker.io.volumes.arrays import Mapped, as_tomogram
from tomopicker.io.volumes.compressed import CompressedSections, Compression
from tomopicker.tomogram import LazyArray, Tomogram

HEADER_BYTES = 1024
MAX_EXTENDED_BYTES = 1 << 24
"""No program writes a longer extended header, so a header that states more is damaged."""
IMOD_STAMP = 1146047817
IMOD_SIGNED_BYTES = 1
VOLUME_STACKS = range(401, 631)
"""Space groups of several volumes; 0 is that of images."""
_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_NOT_REAL = {3: "complex integers", 4: "complex numbers (a Fourier transform)", 101: "4-bit integers"}


@dataclass(frozen=True)
class _Header:
    """An interpreted header."""

    shape: tuple[int, int, int]
    """Sections, rows and columns as stored."""
    dtype: np.dtype
    offset: int
    """Bytes before the first voxel."""
    voxel_sizes: tuple[float, float, float]
    """Å along x, y and z; 0 if missing."""
    axes: tuple[int, int, int]
    """Indices of z, y and x among the stored axes."""
    has_mark: bool
    """True if the letters MAP are present; files from before the year 2000 lack them."""
    space_group: int
    start: tuple[float, ...]
    """nstart and origin, six numbers, usually zero."""
    absent_bytes: int = 0
    """Length of an extended header that is stated but not in the file."""

    @property
    def total_bytes(self) -> int:
        """The length of a file with this header and nothing after its voxels."""
        return self.offset + prod(self.shape) * self.dtype.itemsize


def open_mrc(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> Tomogram:
    """Open an MRC file without reading its voxels; see `tomopicker.io.open_tomogram`."""
    compression, header, actual_bytes = _read_header(path)
    _check_length(path, header, actual_bytes)
    _check_kind(path, header)
    data: LazyArray = Mapped(path, header.dtype, header.offset, header.shape)
    if compression:
        is_complete = actual_bytes == header.total_bytes
        data = CompressedSections(path, compression, header.dtype, header.offset, header.shape, is_complete)
    sizes: tuple[float, ...] | None = header.voxel_sizes
    warnings = []
    if actual_bytes > header.total_bytes:
        surplus = actual_bytes - header.total_bytes
        warnings.append(f"{path}: {surplus} bytes more than its header states; they are not read")
    if header.absent_bytes:
        warnings.append(
            f"{path}: the extended header of {header.absent_bytes} bytes that its header states is not in the file; "
            "voxels are read from where it would begin"
        )
    if options.places is None and header.axes != (0, 1, 2):
        warnings.append(f"{path}: its axes are stored in another order than x, y, z; they are reordered")
    if sizes == (1.0, 1.0, 1.0):
        if options.voxel_size is None:
            warnings.append(
                f"{path}: its header states a voxel size of exactly 1 Å, which often means unknown; see --voxel-size"
            )
        else:
            sizes = None  # It does not contradict the user's.
    if any(header.start):
        start = ", ".join(f"{value:g}" for value in header.start)
        warnings.append(f"{path}: its header has an origin (nstart and origin {start}); it is not applied")
    return as_tomogram(path, data, options, sizes, header.axes, warnings)


def _read_header(path: Path) -> tuple[Compression | None, _Header, int]:
    """Return the compression, the header, and how many bytes the uncompressed file has or at least has."""
    actual_bytes = path.stat().st_size
    head = read_bytes(path, HEADER_BYTES)
    compression = _compression(head)
    if compression is None:
        header = _parse_header(path, head, actual_bytes)
    else:
        with compressed.decompressing(path, compression), compressed.open_compressed(path, compression) as content:
            head = content.read(HEADER_BYTES)
        header = _parse_header(path, head)
        actual_bytes = compressed.uncompressed_size(path, compression, header.total_bytes)
    extended = header.offset - HEADER_BYTES
    # Programs that rewrite a volume and copy its header leave out the extended header that it states.
    if header.has_mark and 0 < extended <= MAX_EXTENDED_BYTES and actual_bytes == header.total_bytes - extended:
        header = replace(header, offset=HEADER_BYTES, absent_bytes=extended)
    return compression, header, actual_bytes


def _compression(head: bytes) -> Compression | None:
    """Recognise compression by the first bytes, whatever the name (nx may look like a magic number: MAP decides)."""
    if head[208:211] == b"MAP":
        return None
    return "gzip" if head[:2] == b"\x1f\x8b" else "bzip2" if head[:3] == b"BZh" else None


def _parse_header(path: Path, raw: bytes, file_bytes: int | None = None) -> _Header:
    """Interpret the first 1024 bytes of a file.

    The length of the file, if known, is evidence for the byte order of a file without a machine stamp.

    Raises `TomoPickerError` if it is not an MRC header, or of voxels that are not real numbers.
    """
    if len(raw) < HEADER_BYTES:
        raise TomoPickerError(f"{path}: it is not an MRC file ({len(raw)} bytes, a header alone has {HEADER_BYTES})")
    orders = [">", "<"] if raw[212:213] == b"\x11" else ["<", ">"]
    layouts = [mrcfile.dtypes.HEADER_DTYPE.newbyteorder(order) for order in orders]
    headers: list[np.void] = [np.frombuffer(raw[:HEADER_BYTES], layout)[0] for layout in layouts]
    header = max(headers, key=lambda header: _plausibility(header, file_bytes))
    has_mark = raw[208:211] == b"MAP"
    shape = (int(header["nz"]), int(header["ny"]), int(header["nx"]))
    mode = int(header["mode"])
    if mode in _NOT_REAL and min(shape) > 0:
        raise TomoPickerError(
            f"{path}: it holds {_NOT_REAL[mode]} (mode {mode}), not a tomogram; convert it with 'newstack -mode 2'"
        )
    if mode not in _TYPES or min(shape) < 0 or int(header["nsymbt"]) < 0:
        reason = f"its header states mode {mode} and size {shape[::-1]}"
        reason = reason if has_mark else "no MAP mark, and no sensible header"
        raise TomoPickerError(f"{path}: it is not an MRC file, or a damaged one ({reason})")
    if min(shape) == 0:
        raise TomoPickerError(
            f"{path}: its header states a size of zero, {' x '.join(map(str, shape[::-1]))} voxels; write it again"
        )
    return _Header(
        shape=shape,
        dtype=_stored_type(header, mode),
        offset=HEADER_BYTES + int(header["nsymbt"]),
        voxel_sizes=_voxel_sizes(header),
        axes=_axes(header, path),
        has_mark=has_mark,
        space_group=int(header["ispg"]),
        start=(
            *(float(header[f"n{axis}start"]) for axis in "xyz"),
            *(float(header["origin"][axis]) for axis in "xyz"),
        ),
    )


def _plausibility(header: np.void, file_bytes: int | None) -> int:
    """Score the evidence for a byte order; of equal scores the order of the machine stamp wins."""
    mode, shape = int(header["mode"]), [int(header[key]) for key in ("nx", "ny", "nz")]
    if mode not in _TYPES and mode not in _NOT_REAL:
        return 0
    score = 2 + all(0 <= int(header[f"map{axis}"]) <= 3 for axis in "crs") + (min(shape) > 0)
    if mode in _TYPES and min(shape) > 0 and file_bytes is not None:
        score += 2 * (prod(shape) * np.dtype(_TYPES[mode]).itemsize <= file_bytes)
    return score


def _stored_type(header: np.void, mode: int) -> np.dtype:
    """Return the type of voxels; bytes are unsigned if IMOD's flags or the maximum in the header imply it."""
    order = "<" if header.dtype["nx"].str.startswith("<") else ">"
    if mode != 0:
        return np.dtype(order + _TYPES[mode])
    stamp, flags = np.frombuffer(header.tobytes()[152:160], f"{order}i4").tolist()
    is_unsigned = not flags & IMOD_SIGNED_BYTES if stamp == IMOD_STAMP else 127 < float(header["dmax"]) <= 255
    return np.dtype(np.uint8 if is_unsigned else np.int8)


def _voxel_sizes(header: np.void) -> tuple[float, float, float]:
    """Divide the cell by its sampling, x y z; by the size where the sampling is 0 (seen in the wild)."""
    sizes = (float(header["cella"][axis]) / (int(header[f"m{axis}"]) or int(header[f"n{axis}"])) for axis in "xyz")
    # A header holds 7 digits: 13.48 comes back as 13.4799998 otherwise.
    x, y, z = (float(f"{size:.7g}") if isfinite(size) else 0.0 for size in sizes)
    return x, y, z


def _axes(header: np.void, path: Path) -> tuple[int, int, int]:
    stored = [int(header[f"map{axis}"]) for axis in "src"]
    if stored == [0, 0, 0]:
        return 0, 1, 2
    if sorted(stored) != [1, 2, 3]:
        raise TomoPickerError(
            f"{path}: its header orders the axes {stored[::-1]} (mapc, mapr, maps), which is invalid; write it again"
        )
    return stored.index(3), stored.index(2), stored.index(1)


def _check_length(path: Path, header: _Header, actual_bytes: int) -> None:
    needed = header.total_bytes
    if not header.has_mark and actual_bytes != needed:
        reason = f"no MAP mark, and its header would need {needed} bytes where the file has {actual_bytes}"
        raise TomoPickerError(f"{path}: it is not an MRC file, or a truncated one ({reason}); copy or write it again")
    if actual_bytes < needed:
        raise TomoPickerError(
            f"{path}: truncated: its header states {needed} bytes, the file has {actual_bytes}; copy it again"
        )


def _check_kind(path: Path, header: _Header) -> None:
    n, rows, columns = header.shape
    if header.space_group in VOLUME_STACKS:
        kind, remedy = "a stack of volumes (space group 401), not one tomogram", "write each to its own file"
    elif min(header.shape) == 1:
        kind, remedy = f"a 2D image ({columns} x {rows} x {n}), not a tomogram", "give the reconstruction"
    elif header.space_group == 0 and ".mrcs" in [suffix.lower() for suffix in path.suffixes]:
        kind, remedy = f"a stack of {n} 2D images (.mrcs), not a tomogram", "give the reconstruction"
    else:
        return
    raise TomoPickerError(f"{path}: {kind}; {remedy}")
