"""The `Tomogram` value: a lazily read volume, its voxel size and its name.

Opening one belongs to `tomopicker.io`; nothing here knows a file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from tomopicker.geometry import Frame
from tomopicker.types import Piece, Positions, RawVolume, Shape, Volume


@runtime_checkable
class LazyArray(Protocol):
    """What a tomogram's data must offer: a shape, a type, and slabs or boxes on demand (a memory map does).

    `chunks`, where there are any, are the edges (z, y, x) of boxes that are compressed as a whole.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...
    def __getitem__(self, key: slice | tuple[slice, slice, slice]) -> RawVolume: ...


@dataclass(frozen=True)
class Tomogram:
    """A tomogram that is read slab by slab.

    Parameters
    ----------
    name : str
        How picks name it: the file's stem.
    data : LazyArray
        Voxels as stored, (z, y, x).
    voxel_size : float
        Å, the same along the three axes.
    path : Path, optional
        The file it came from.
    inverted : bool
        True if protein is bright in the file: `slab` then changes the sign, so that protein is dark everywhere else.
    warnings : tuple of str
        Doubtful entries of its header, for the user.
    finest : Frame, optional
        Of the finest of several scales, where `data` is a coarser one: what positions in files refer to.
    origin : tuple of float
        (x, y, z) in Å of the centre of the first voxel of `data`, from that of the finest scale.
    """

    name: str
    data: LazyArray = field(repr=False)
    voxel_size: float
    path: Path | None = None
    inverted: bool = False
    warnings: tuple[str, ...] = field(default=())
    finest: Frame | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def shape(self) -> Shape:
        """(z, y, x) in voxels."""
        z, y, x = self.data.shape
        return z, y, x

    @property
    def frame(self) -> Frame:
        """The geometry that positions in this tomogram refer to."""
        return self.finest or Frame(self.shape, self.voxel_size)

    def to_voxels(self, positions: Positions) -> Positions:
        """Turn (x, y, z) in Å, as positions are stated, into voxels of `data`, 0 at the centre of the first."""
        moved: Positions = np.asarray(positions, dtype=np.float64) - np.asarray(self.origin)
        return moved / self.voxel_size

    def blocks(self, most_bytes: int) -> Iterator[tuple[slice, slice, slice]]:
        """Cut the volume into boxes (z, y, x) for `part` that unpack what the file has packed together only once.

        They are whole sections where the file has no chunks.

        Parameters
        ----------
        most_bytes : int
            Of a box as float32, unless one section or one chunk takes more.
        """
        chunk = getattr(self.data, "chunks", None) or (1, *self.shape[1:])
        edges = [min(int(edge), size) for edge, size in zip(chunk, self.shape, strict=True)]
        for axis in (2, 1, 0):
            room = max(1, most_bytes // (4 * math.prod(edges)))
            edges[axis] = min(self.shape[axis], edges[axis] * room)
        starts = (range(0, size, edge) for size, edge in zip(self.shape, edges, strict=True))
        for corner in product(*starts):
            z, y, x = (
                slice(start, min(start + edge, size))
                for start, edge, size in zip(corner, edges, self.shape, strict=True)
            )
            yield z, y, x

    def slab(self, start: int, stop: int) -> Volume:
        """Read the sections `start` to `stop` along z as float32, protein dark."""
        return self._dark(self.data[start:stop])

    def part(self, z: slice, y: slice, x: slice) -> Piece:
        """Read a box as float32, protein dark; nothing beside it where the file can be read so."""
        return self._dark(self.data[z, y, x])

    def read(self) -> Volume:
        """Read the whole volume as float32, protein dark."""
        return self.slab(0, self.shape[0])

    def _dark(self, stored: RawVolume) -> Volume:
        voxels = np.array(stored, dtype=np.float32)
        return np.negative(voxels, out=voxels) if self.inverted else voxels
