"""The `Tomogram` value: a lazily read volume, its voxel size and its name.

Opening one belongs to `tomopicker.formats`; nothing here knows a file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from tomopicker.geometry import Frame
from tomopicker.types import AnyVolume, Shape, Volume


@runtime_checkable
class LazyArray(Protocol):
    """What a tomogram's data must offer: a shape, a type, and slabs or boxes on demand (a memory map does)."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...
    def __getitem__(self, key: slice | tuple[slice, slice, slice]) -> AnyVolume: ...


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
        What its header says that the user should know.
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

    def slab(self, start: int, stop: int) -> Volume:
        """Read the sections `start` to `stop` along z as float32, protein dark."""
        return self._dark(self.data[start:stop])

    def part(self, z: slice, y: slice, x: slice) -> Volume:
        """Read a box as float32, protein dark; nothing beside it where the file can be read so."""
        return self._dark(self.data[z, y, x])

    def read(self) -> Volume:
        """Read the whole volume as float32, protein dark."""
        return self.slab(0, self.shape[0])

    def _dark(self, stored: AnyVolume) -> Volume:
        voxels = np.array(stored, dtype=np.float32)
        return np.negative(voxels, out=voxels) if self.inverted else voxels
