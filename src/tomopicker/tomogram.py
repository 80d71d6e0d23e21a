"""The `Tomogram` value: a lazily read volume, its voxel size and its name. `tomopicker.io` opens files."""

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
    """An array that is read on indexing, such as a memory map.

    An attribute `chunks` has the edges (z, y, x) of boxes that are compressed as a whole.
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
        Its name in picks: the file's stem.
    data : LazyArray
        Voxels as stored, (z, y, x).
    voxel_size : float
        Å, the same along the three axes.
    path : Path, optional
        The file it came from.
    inverted : bool
        True if protein is bright in the file: `slab`, `part` and `read` then change the sign, so that protein is dark.
    warnings : tuple of str
        Suspicious entries of its header, for the user.
    finest : Frame, optional
        Frame of the finest of several scales, if `data` is a coarser one: positions in files refer to it.
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
        """Convert positions, (x, y, z) in Å, to voxels of `data`, 0 at the centre of the first."""
        voxels: Positions = (np.asarray(positions, dtype=np.float64) - np.asarray(self.origin)) / self.voxel_size
        return voxels

    def blocks(self, max_bytes: int) -> Iterator[tuple[slice, slice, slice]]:
        """Divide the volume into boxes (z, y, x) for `part` so that each chunk of the file is decompressed once.

        Without chunks they are whole sections.

        Parameters
        ----------
        max_bytes : int
            Maximum size of a box as float32, unless one section or one chunk is larger.
        """
        chunk = getattr(self.data, "chunks", None) or (1, *self.shape[1:])
        edges = [min(int(edge), size) for edge, size in zip(chunk, self.shape, strict=True)]
        for axis in (2, 1, 0):
            room = max(1, max_bytes // (4 * math.prod(edges)))
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
        """Read a box as float32, protein dark; only the box is read if the file allows it."""
        return self._dark(self.data[z, y, x])

    def read(self) -> Volume:
        """Read the whole volume as float32, protein dark."""
        return self.slab(0, self.shape[0])

    def _dark(self, stored: RawVolume) -> Volume:
        voxels = np.array(stored, dtype=np.float32)
        return np.negative(voxels, out=voxels) if self.inverted else voxels
