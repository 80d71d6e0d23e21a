"""The voxels of a gzip or bzip2 file, decompressed on indexing; only the last block read is held in memory.

Reading forwards decompresses a file once. Reading backwards starts again, except for what overlaps the last block, so
boxes sorted by z cost one pass. One file of the process keeps its stream and its last block; others start again.
"""

import bz2
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.types import RawVolume, Shape

Compression = Literal["gzip", "bzip2"]
CHUNK = 1 << 22


def open_compressed(path: Path, compression: Compression) -> BufferedIOBase:
    """Open a compressed file for reading its content."""
    return gzip.GzipFile(path) if compression == "gzip" else bz2.BZ2File(path)


@contextmanager
def unpacking(path: Path, compression: Compression) -> Iterator[None]:
    """Turn the error of a file that cannot be decompressed into a `TomoPickerError`."""
    try:
        yield
    except (EOFError, OSError, zlib.error, ValueError) as error:
        reason = "it ends too early" if isinstance(error, EOFError) else str(error)
        raise TomoPickerError(f"{path}: cannot be unpacked ({compression}: {reason}); copy it again") from error


def uncompressed_size(path: Path, compression: Compression, wanted: int) -> int:
    """Count the uncompressed bytes of a file; more than `wanted` are not counted further.

    gzip ends with the number, of its last part alone: if that is `wanted`, there is but one.

    Raises `TomoPickerError` if it cannot be unpacked.
    """
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        if compression == "gzip" and int.from_bytes(stream.read(4), "little") == wanted % 2**32:
            return wanted
    count = 0
    with unpacking(path, compression), open_compressed(path, compression) as stream:
        while count <= wanted and (part := stream.read(min(CHUNK, wanted + 1 - count))):
            count += len(part)
    return count


class CompressedSections:
    """Sections of a volume in a compressed file, (z, y, x) as stored.

    Parameters
    ----------
    offset : int
        Of the first voxel in the uncompressed content, bytes.
    shape : Shape
        (z, y, x).
    whole : bool
        Whether nothing follows the last voxel.
    """

    _reading: ClassVar["CompressedSections | None"] = None
    """The only one in the process that has its file open, and holds its last answer."""

    def __init__(
        self, path: Path, compression: Compression, dtype: np.dtype, offset: int, shape: Shape, whole: bool
    ) -> None:
        self.dtype, self.shape = dtype, shape
        self._path, self._compression, self._offset, self._whole = path, compression, offset, whole
        self._stream: BufferedIOBase | None = None
        self._held = np.empty((0, *shape[1:]), dtype)
        self._first = 0
        """The section that `_held` begins with."""

    def __reduce__(self) -> tuple[object, ...]:
        state = self._path, self._compression, self.dtype, self._offset, self.shape, self._whole
        return CompressedSections, state

    def __getitem__(self, key: slice | tuple[slice, slice, slice]) -> RawVolume:
        z, y, x = key if isinstance(key, tuple) else (key, slice(None), slice(None))
        rows = range(*z.indices(self.shape[0]))
        start, stop = (min(rows), max(rows) + 1) if rows else (0, 0)
        try:
            with unpacking(self._path, self._compression):
                sections = self._sections(start, stop)
        except TomoPickerError:
            self._close()
            raise
        part: RawVolume = (sections if rows.step == 1 else sections[[row - start for row in rows]])[:, y, x]
        return part

    def _sections(self, start: int, stop: int) -> RawVolume:
        """Read sections, but for those of the last answer."""
        if start < self._first or stop > self._first + len(self._held):
            held = self._held[start - self._first :] if start >= self._first else self._held[:0]
            sections = np.empty((stop - start, *self.shape[1:]), self.dtype)
            sections[: len(held)] = held
            stream = self._at_section(start + len(held))
            _fill(stream, sections[len(held) :])
            # Beyond the last voxel stands a checksum of all, which is compared when it is reached.
            if stop == self.shape[0] and self._whole and stream.read(1):
                raise OSError("it has more bytes than its header states")
            self._held, self._first = sections, start
        return self._held[start - self._first : stop - self._first]

    def _at_section(self, section: int) -> BufferedIOBase:
        """Have the stream where a section begins; to go backwards, it begins again."""
        other = CompressedSections._reading
        if other is not None and other is not self:
            other._close()
        if self._stream is None:
            self._stream = open_compressed(self._path, self._compression)
            CompressedSections._reading = self
        position = self._offset + section * prod(self.shape[1:]) * self.dtype.itemsize
        if self._stream.seek(position) < position:
            raise EOFError
        return self._stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._held, self._first = None, self._held[:0].copy(), 0
        if CompressedSections._reading is self:
            CompressedSections._reading = None


def _fill(stream: BufferedIOBase, sections: RawVolume) -> None:
    room = sections.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(room):
        count = stream.readinto(room[done : done + CHUNK])
        if not count:
            raise EOFError
        done += count
