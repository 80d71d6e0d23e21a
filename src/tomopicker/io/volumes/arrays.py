"""Lazily read arrays, and functions of all readers of volumes: voxel sizes, checks, optional libraries."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.io.read_options import ReadOptions
from tomopicker.io.tomogram_names import tomogram_name
from tomopicker.tomogram import Tomogram
from tomopicker.types import RawVolume, Shape

TOLERANCE = 0.01
"""Relative difference up to which two voxel sizes count as equal."""


class Mapped:
    """Voxels of a file, memory-mapped anew for each read, so that no more of the file stays in memory.

    Parameters
    ----------
    offset : int
        Bytes before the first voxel.
    shape : Shape
        As stored.
    """

    def __init__(self, path: Path, dtype: np.dtype, offset: int, shape: Shape) -> None:
        self.dtype, self.shape = np.dtype(dtype), shape
        self._path, self._offset = path, offset

    def __getitem__(self, key: Any) -> RawVolume:
        with errors_named(self._path, "cannot be read any more ({}); is it still there?"):
            part: RawVolume = np.memmap(self._path, self.dtype, "r", self._offset, self.shape)[key]
        return part


class ReorderedAxes:
    """A view of a stored array as (z, y, x); further axes, of length one, are dropped.

    Parameters
    ----------
    data : array
        As stored: any array of numpy, h5py or zarr that is read on indexing.
    places : sequence of int
        Indices of z, y and x among the stored axes.
    path : Path
        The file, for messages.
    """

    def __init__(self, data: Any, places: Sequence[int], path: Path) -> None:
        self._data, self._places, self._path = data, tuple(places), path
        self.dtype = np.dtype(data.dtype)
        self.shape = self._reorder(data.shape)

    @property
    def chunks(self) -> Shape | None:
        """Edges (z, y, x) of the boxes that are compressed as a whole; None without compression."""
        chunks = getattr(self._data, "chunks", None)
        return self._reorder(chunks) if chunks else None

    def _reorder(self, stored: Sequence[int]) -> Shape:
        z, y, x = (int(stored[place]) for place in self._places)
        return z, y, x

    def __getitem__(self, key: slice | tuple[slice, slice, slice]) -> RawVolume:
        parts = key if isinstance(key, tuple) else (key, slice(None), slice(None))
        stored: list[slice | int] = [0] * len(self._data.shape)
        for place, part in zip(self._places, parts, strict=True):
            stored[place] = part
        # The result has the three axes in stored order.
        order = np.argsort(np.argsort(self._places))
        with errors_named(self._path, "damaged: {}; copy it again"):
            voxels: RawVolume = np.asanyarray(self._data[tuple(stored)]).transpose(order)
        return voxels


@contextmanager
def errors_named(path: Path, message: str) -> Iterator[None]:
    """Convert any error of a library to a `TomoPickerError`.

    Parameters
    ----------
    message : str
        What is wrong and what to do, with ``{}`` for the library's message.
    """
    try:
        yield
    except (MemoryError, TomoPickerError):
        raise
    except Exception as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
        raise TomoPickerError(f"{path}: {message.format(reason)}") from error


def as_tomogram(
    path: Path,
    data: Any,
    options: ReadOptions,
    sizes: Sequence[float] | None,
    axes: tuple[int, int, int] = (0, 1, 2),
    warnings: Sequence[str] = (),
) -> Tomogram:
    """Return the tomogram of an array of three axes.

    Parameters
    ----------
    sizes : sequence of float, optional
        The file's voxel size, Å; see `resolve_voxel_size`.
    axes : tuple of int
        Indices of z, y and x among the stored axes, unless the options give them.
    warnings : sequence of str
        Suspicious entries of the header.
    """
    volume = ReorderedAxes(data, options.places or axes, path)
    check_volume(path, volume.shape, volume.dtype)
    all_warnings = list(warnings)
    size = resolve_voxel_size(path, sizes, options.voxel_size, all_warnings)
    return Tomogram(tomogram_name(path), volume, size, path, options.invert, tuple(all_warnings))


def check_volume(path: Path, shape: Sequence[int], dtype: Any) -> None:
    """Raise `TomoPickerError` if data are not a volume of real numbers; the message describes them."""
    size = " x ".join(str(n) for n in reversed(shape))
    if min(shape) < 2:
        raise TomoPickerError(f"{path}: it holds {size} numbers, not a tomogram; give the reconstruction")
    if np.dtype(dtype).kind not in "iufb":
        raise TomoPickerError(f"{path}: it holds numbers of type {dtype}, not real ones; convert it to float32")


def resolve_voxel_size(path: Path, sizes: Sequence[float] | None, given: float | None, warnings: list[str]) -> float:
    """Return the user's voxel size (Å), else the file's, to 7 digits; append a warning if they differ.

    Raises `TomoPickerError` if there is none, the user's is not positive, or the file's voxels are not cubes.
    """
    sizes = sizes or ()
    text = " x ".join(f"{size:g}" for size in sizes)
    is_known = bool(sizes) and all(isfinite(size) and size > 0 for size in sizes)
    if given is not None:
        if not (isfinite(given) and given > 0):
            raise TomoPickerError(f"{path}: a voxel size of {given:g} Å is invalid; give --voxel-size in Å")
        if is_known and any(abs(size - given) > TOLERANCE * given for size in sizes):
            warnings.append(f"{path}: it states a voxel size of {text} Å; --voxel-size {given:g} is used")
        return float(given)
    if not is_known:
        raise TomoPickerError(
            f"{path}: it states no voxel size{f' ({text} Å)' if sizes else ''}; give --voxel-size in Å"
        )
    if max(sizes) - min(sizes) > TOLERANCE * min(sizes):
        raise TomoPickerError(f"{path}: its voxels are not cubes ({text} Å); give --voxel-size in Å if that is wrong")
    return float(f"{sum(sizes) / len(sizes):.7g}")


def import_optional(module: str, extra: str, path: Path) -> Any:
    """Import a library that only some formats need; raises `TomoPickerError` that names what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        remedy = f"install it with: pip install 'tomopicker[{extra}]'"
        raise TomoPickerError(f"{path}: the Python package {module} is needed to read it; {remedy}") from error
