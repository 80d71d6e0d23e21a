"""The voxels of a gzip or bzip2 file, unpacked as they are asked for: never more of them are held than one answer has.

Reading forwards unpacks a file once. Reading backwards begins again, but for what overlaps the last answer, so boxes in
the order of z cost one pass. One file in the process keeps its stream and its last answer; the others begin again.
"""

import bz2
import gzip
import zlib
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.types import AnyVolume, Shape

Packing = Literal["gzip", "bzip2"]
CHUNK = 1 << 22


def unpacked(path: Path, packing: Packing) -> BufferedIOBase:
    """Open a packed file for reading what is in it."""
    return gzip.GzipFile(path) if packing == "gzip" else bz2.BZ2File(path)


def unpacked_bytes(path: Path, packing: Packing, wanted: int) -> int:
    """Count the bytes in a packed file; more than `wanted` are not counted further.

    gzip ends with the number, of its last part alone: if that is `wanted`, there is but one.

    Raises
    ------
    TomoPickerError
        If it cannot be unpacked.
    """
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        if packing == "gzip" and int.from_bytes(stream.read(4), "little") == wanted % 2**32:
            return wanted
    count = 0
    try:
        with unpacked(path, packing) as stream:
            while count <= wanted and (part := stream.read(min(CHUNK, wanted + 1 - count))):
                count += len(part)
    except (EOFError, OSError, zlib.error, ValueError) as error:
        raise damaged(path, packing, error) from error
    return count


def damaged(path: Path, packing: Packing, error: Exception) -> TomoPickerError:
    """Say why a file cannot be unpacked."""
    reason = "it ends too early" if isinstance(error, EOFError) else str(error)
    return TomoPickerError(f"{path}: cannot be unpacked ({packing}: {reason}); copy it again")


class PackedSections:
    """Sections of a volume in a packed file, (z, y, x) as stored.

    Parameters
    ----------
    path : Path
    packing : {"gzip", "bzip2"}
    dtype : dtype
    offset : int
        Of the first voxel in what is unpacked, bytes.
    shape : Shape
        (z, y, x).
    whole : bool
        Whether nothing follows the last voxel.
    """

    _reading: ClassVar["PackedSections | None"] = None

    def __init__(self, path: Path, packing: Packing, dtype: np.dtype, offset: int, shape: Shape, whole: bool) -> None:
        self.dtype, self.shape = dtype, shape
        self._path, self._packing, self._offset, self._whole = path, packing, offset, whole
        self._stream: BufferedIOBase | None = None
        self._held = np.empty((0, *shape[1:]), dtype)
        self._first = 0
        """The section that `_held` begins with."""

    def __getitem__(self, key: slice | tuple[slice, slice, slice]) -> AnyVolume:
        z, y, x = key if isinstance(key, tuple) else (key, slice(None), slice(None))
        rows = range(*z.indices(self.shape[0]))
        start, stop = (min(rows), max(rows) + 1) if rows else (0, 0)
        try:
            sections = self._sections(start, stop)
            part: AnyVolume = (sections if rows.step == 1 else sections[[row - start for row in rows]])[:, y, x]
        except (EOFError, OSError, zlib.error, ValueError) as error:
            self._forget()
            raise damaged(self._path, self._packing, error) from error
        return part

    def _sections(self, start: int, stop: int) -> AnyVolume:
        if not start <= stop <= self._end or start < self._first:
            self._go_to(start)
            held = self._held[start - self._first :]
            sections = np.empty((stop - start, *self.shape[1:]), self.dtype)
            sections[: len(held)] = held
            self._held, self._first = sections, start
            self._fill(sections[len(held) :])
            if stop == self.shape[0] and self._whole:
                self._check_end()
        return self._held[start - self._first : stop - self._first]

    @property
    def _end(self) -> int:
        """The section that the stream comes to next."""
        return self._first + len(self._held)

    def _go_to(self, start: int) -> None:
        """Hold no sections before this one, and have the stream where those that are held end."""
        other = PackedSections._reading
        if other is not None and other is not self:
            other._forget()
        PackedSections._reading = self
        if self._stream is None or start < self._first:
            self._forget()
            self._stream = unpacked(self._path, self._packing)
            PackedSections._reading = self
            self._skip(self._offset)
        if start >= self._end:
            self._skip((start - self._end) * prod(self.shape[1:]) * self.dtype.itemsize)
            self._held, self._first = np.empty((0, *self.shape[1:]), self.dtype), start

    def _fill(self, sections: AnyVolume) -> None:
        assert self._stream is not None
        room = sections.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(room):
            part = self._stream.read(min(CHUNK, len(room) - done))
            if not part:
                raise EOFError
            room[done : done + len(part)] = part
            done += len(part)

    def _check_end(self) -> None:
        """Read beyond the last voxel: a checksum of all stands there."""
        assert self._stream is not None
        if self._stream.read(1):
            raise OSError("it has more bytes than it says")

    def _skip(self, count: int) -> None:
        assert self._stream is not None
        while count:
            part = self._stream.read(min(CHUNK, count))
            if not part:
                raise EOFError
            count -= len(part)

    def _forget(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._held, self._first = None, self._held[:0].copy(), 0
        if PackedSections._reading is self:
            PackedSections._reading = None

    def __getstate__(self) -> tuple[object, ...]:
        return self._path, self._packing, self.dtype, self._offset, self.shape, self._whole

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]
