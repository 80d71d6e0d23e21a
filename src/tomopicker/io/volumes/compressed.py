"""The voxels of a gzip or bzip2 file, decompressed on indexing; only the last sections read are held in memory.

Reading forwards decompresses a file once. Reading backwards starts again, except for what overlaps the last sections,
so boxes sorted by z cost one pass. Only one file of the process keeps its stream and its last sections.
"""

import bz2
import gzip
from contextlib import AbstractContextManager
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.io.volumes.arrays import errors_named
from tomopicker.types import RawVolume, Shape

Compression = Literal["gzip", "bzip2"]
CHUNK_BYTES = 1 << 22


def open_compressed(path: Path, compression: Compression) -> BufferedIOBase:
    """Open a compressed file for reading its content."""
    return gzip.GzipFile(path) if compression == "gzip" else bz2.BZ2File(path)


def decompressing(path: Path, compression: Compression) -> AbstractContextManager[None]:
    """Convert the errors of a file that cannot be decompressed to a `TomoPickerError`."""
    return errors_named(path, f"cannot be unpacked ({compression}: {{}}); copy it again")


def uncompressed_size(path: Path, compression: Compression, limit: int) -> int:
    """Count the uncompressed bytes of a file, up to `limit` + 1.

    A gzip file ends with the size of its last member: if that is `limit`, there is but one.

    Raises `TomoPickerError` if it cannot be decompressed.
    """
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        if compression == "gzip" and int.from_bytes(stream.read(4), "little") == limit % 2**32:
            return limit
    with decompressing(path, compression), open_compressed(path, compression) as content:
        return content.seek(limit + 1)


class CompressedSections:
    """Sections of a volume in a compressed file, (z, y, x) as stored.

    Parameters
    ----------
    offset : int
        Bytes of uncompressed content before the first voxel.
    shape : Shape
        (z, y, x).
    is_complete : bool
        True if nothing follows the last voxel.
    """

    _reading: ClassVar["CompressedSections | None"] = None
    """The one object of the process whose file is open, and which holds its last sections."""

    def __init__(
        self, path: Path, compression: Compression, dtype: np.dtype, offset: int, shape: Shape, is_complete: bool
    ) -> None:
        self.dtype, self.shape = dtype, shape
        self._path, self._compression, self._offset, self._is_complete = path, compression, offset, is_complete
        self._stream: BufferedIOBase | None = None
        self._held, self._first = np.empty((0, *shape[1:]), dtype), 0
        """The last sections read, and the index of the first of them."""

    def __reduce__(self) -> tuple[object, ...]:
        state = self._path, self._compression, self.dtype, self._offset, self.shape, self._is_complete
        return CompressedSections, state

    def __getitem__(self, key: slice | tuple[slice, slice, slice]) -> RawVolume:
        z, y, x = key if isinstance(key, tuple) else (key, slice(None), slice(None))
        rows = range(*z.indices(self.shape[0]))
        start, stop = (min(rows), max(rows) + 1) if rows else (0, 0)
        try:
            with decompressing(self._path, self._compression):
                sections = self._sections(start, stop)
        except TomoPickerError:
            self._close()
            raise
        part: RawVolume = (sections if rows.step == 1 else sections[[row - start for row in rows]])[:, y, x]
        return part

    def _sections(self, start: int, stop: int) -> RawVolume:
        """Read sections, except for those that are held."""
        if start < self._first or stop > self._first + len(self._held):
            held = self._held[start - self._first :] if start >= self._first else self._held[:0]
            sections = np.empty((stop - start, *self.shape[1:]), self.dtype)
            sections[: len(held)] = held
            stream = self._stream_at(start + len(held))
            _fill(stream, sections[len(held) :])
            # Reading past the last voxel makes the library compare the checksum of the whole file.
            if stop == self.shape[0] and self._is_complete and stream.read(1):
                raise OSError("it has more bytes than its header states")
            self._held, self._first = sections, start
        return self._held[start - self._first : stop - self._first]

    def _stream_at(self, section: int) -> BufferedIOBase:
        """Return the stream at the beginning of a section; rewinding starts it again."""
        if CompressedSections._reading not in {None, self}:
            CompressedSections._reading._close()
        if self._stream is None:
            self._stream = open_compressed(self._path, self._compression)
            CompressedSections._reading = self
        position = self._offset + section * prod(self.shape[1:]) * self.dtype.itemsize
        if self._stream.seek(position) < position:
            raise EOFError("it ends too early")
        return self._stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._held, self._first = None, self._held[:0].copy(), 0
        if CompressedSections._reading is self:
            CompressedSections._reading = None


def _fill(stream: BufferedIOBase, sections: RawVolume) -> None:
    buffer = sections.reshape(-1).view(np.uint8).data
    n = 0
    while n < len(buffer):
        count = stream.readinto(buffer[n : n + CHUNK_BYTES])
        if not count:
            raise EOFError("it ends too early")
        n += count
