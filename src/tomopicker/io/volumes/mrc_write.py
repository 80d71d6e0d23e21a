"""Write MRC volumes and stacks of volumes, whole or not at all; arrays are (z, y, x)."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mrcfile
import numpy as np
from jaxtyping import Float32, Num

import tomopicker
from tomopicker.files import atomic_path
from tomopicker.io.volumes.mrc import HEADER_BYTES
from tomopicker.moments import moments, moments_of
from tomopicker.types import RawVolume

DMIN, RMS = 76, 216
"""Bytes of the header before the minimum, maximum and mean, and before the standard deviation."""

Section = Num[np.ndarray, "y x"]


def write_mrc(path: Path, volume: RawVolume, voxel_size: float) -> None:
    """Write a volume as MRC2014, whole or not at all; ``.gz`` and ``.bz2`` are compressed.

    Parameters
    ----------
    path : Path
    volume : RawVolume
        float32, float16 or int8, written unchanged; (z, y, x).
    voxel_size : float
        Å.

    Raises
    ------
    TomoPickerError
        If the file cannot be written.
    TypeError
        If the voxels have another type.
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
        statistics = moments_of(volume)  # mrcfile sums float16 in float16, which overflows.
        file.header.dmean, file.header.rms = statistics.mean, statistics.sd


def write_mrc_sections(
    path: Path, shape: Sequence[int], dtype: np.dtype, sections: Iterable[Section], voxel_size: float
) -> None:
    """Write a volume section by section, never all of it in memory; see `write_mrc`.

    Parameters
    ----------
    path : Path
        The file, uncompressed.
    shape : sequence of int
        (z, y, x).
    dtype : dtype
        float32, float16 or int8.
    sections : iterable of array, (y, x)
        As many as in `shape`, of this type.
    voxel_size : float
        Å.
    """
    low, high = np.inf, -np.inf

    def written() -> Iterator[Section]:
        nonlocal low, high
        for section in sections:
            low, high = np.minimum(low, section.min()), np.maximum(high, section.max())
            stream.write(np.ascontiguousarray(section).data)
            yield section

    with atomic_path(path) as temporary:
        with mrcfile.new(temporary, overwrite=True) as file:
            file.set_data(np.zeros((1, 1, 1), dtype))
            _describe(file, shape, voxel_size)
        with temporary.open("r+b") as stream:
            stream.seek(HEADER_BYTES)
            statistics = moments(written())
            for offset, values in ((DMIN, (low, high, statistics.mean)), (RMS, (statistics.sd,))):
                stream.seek(offset)
                stream.write(np.array(values, dtype=np.float32).tobytes())


def _describe(file: mrcfile.mrcfile.MrcFile, shape: Sequence[int], voxel_size: float) -> None:
    """Fill in a header, except for the statistics."""
    file.set_volume()
    header = file.header
    header.nz, header.ny, header.nx = header.mz, header.my, header.mx = shape
    file.voxel_size = voxel_size
    header.label[0] = f"Written by TomoPicker {tomopicker.__version__}".ljust(80).encode("ascii")
    header.nlabl = 1


@contextmanager
def mrc_stack(path: Path, count: int, edge: int, voxel_size: float) -> Iterator[Float32[np.ndarray, "n z y x"]]:
    """Open a file of `count` cubes for writing; it appears whole when the block ends, or not at all.

    Parameters
    ----------
    count, edge : int
        Number of cubes, and their edge in voxels.
    voxel_size : float
        Å.

    Yields
    ------
    array, shape (count, edge, edge, edge), float32
        A memory map of zeros to be filled.
    """
    with atomic_path(path) as temporary:
        shape = (count, edge, edge, edge)
        with mrcfile.new_mmap(temporary, shape, mrc_mode=2, fill=0.0, overwrite=True) as file:
            file.voxel_size = voxel_size
            yield file.data
