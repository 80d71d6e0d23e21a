"""Lazily read arrays, and what every reader of volumes needs: options, voxel size, checks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.io.read_options import ReadOptions
from tomopicker.io.tomogram_names import tomogram_name
from tomopicker.tomogram import Tomogram
from tomopicker.types import RawVolume, Shape

TOLERANCE = 0.01
"""Relative difference up to which two voxel sizes count as equal."""


@runtime_checkable
class Sliceable(Protocol):
    """An array of any number of axes that is read on indexing: of h5py, zarr, or a memory map."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, key: Any) -> Any: ...


class Mapped:
    """Voxels of a file, memory-mapped anew for each read, so that no more of the file stays in memory.

    Parameters
    ----------
    offset : int
        Of the first voxel, bytes.
    shape : Shape
        As stored.
    """

    def __init__(self, path: Path, dtype: np.dtype, offset: int, shape: Shape) -> None:
        self.dtype, self.shape = np.dtype(dtype), shape
        self._path, self._offset = path, offset

    def __getitem__(self, key: Any) -> RawVolume:
        try:
            part: RawVolume = np.memmap(self._path, self.dtype, "r", self._offset, self.shape)[key]
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TomoPickerError(f"{self._path}: cannot be read any more ({reason}); is it still there?") from error
        return part


class ReorderedAxes:
    """A stored array seen as (z, y, x); further axes, of length one, are left out.

    Parameters
    ----------
    data : Sliceable
        As stored.
    places : sequence of int
        Which stored axis is z, which y, which x.
    path : Path
        The file, for messages.
    """

    def __init__(self, data: Sliceable, places: Sequence[int], path: Path) -> None:
        self._data, self._places, self._path = data, tuple(places), path

    @property
    def shape(self) -> Shape:
        z, y, x = (int(self._data.shape[place]) for place in self._places)
        return z, y, x

    @property
    def chunks(self) -> Shape | None:
        """Edges (z, y, x) of the boxes that are compressed as a whole; None if nothing is."""
        stored = getattr(self._data, "chunks", None)
        if not stored:
            return None
        z, y, x = (int(stored[place]) for place in self._places)
        return z, y, x

    @property
    def dtype(self) -> np.dtype:
        kind: np.dtype = np.dtype(self._data.dtype)
        return kind

    def __getitem__(self, key: slice | tuple[slice, slice, slice]) -> RawVolume:
        wanted = key if isinstance(key, tuple) else (key, slice(None), slice(None))
        stored: list[slice | int] = [0] * len(self._data.shape)
        for place, part in zip(self._places, wanted, strict=True):
            stored[place] = part
        # What is read has the three axes in stored order.
        order = np.argsort(np.argsort(self._places))
        with errors_named(self._path, "damaged: {}; copy it again"):
            read: RawVolume = np.asarray(self._data[tuple(stored)]).transpose(order)
        return read


@contextmanager
def errors_named(path: Path, message: str) -> Iterator[None]:
    """Turn any error of a library into one line.

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
        reason = " ".join(str(error).split())[:120]
        raise TomoPickerError(f"{path}: {message.format(reason)}") from error


def as_tomogram(path: Path, data: Sliceable, options: ReadOptions, stated: Sequence[float] | None) -> Tomogram:
    """Make a tomogram of an array of three axes, stored in the order z, y, x unless the options state another.

    `stated` is the file's voxel size, Å; see `resolve_voxel_size`.
    """
    volume = ReorderedAxes(data, options.places or (0, 1, 2), path)
    check_volume(path, volume.shape, volume.dtype)
    warnings: list[str] = []
    size = resolve_voxel_size(path, stated, options.voxel_size, warnings)
    return Tomogram(tomogram_name(path), volume, size, path, options.invert, tuple(warnings))


def check_volume(path: Path, shape: Sequence[int], dtype: Any) -> None:
    """Refuse data that are not a volume of real numbers; the `TomoPickerError` describes them."""
    size = " x ".join(str(n) for n in reversed(shape))
    if min(shape) < 2:
        raise TomoPickerError(f"{path}: it holds {size} numbers, not a tomogram; give the reconstruction")
    if np.dtype(dtype).kind not in "iufb":
        raise TomoPickerError(f"{path}: it holds numbers of type {dtype}, not real ones; convert it to float32")


def resolve_voxel_size(path: Path, stated: Sequence[float] | None, given: float | None, warnings: list[str]) -> float:
    """Take the user's voxel size (Å), else the file's, to 7 digits; add a warning if they differ.

    Raises `TomoPickerError` if there is none, the user's is not positive, or the file's voxels are not cubes.
    """
    sizes = stated or ()
    text = " x ".join(f"{size:g}" for size in sizes)
    known = bool(sizes) and all(isfinite(size) and size > 0 for size in sizes)
    if given is not None:
        if not (isfinite(given) and given > 0):
            raise TomoPickerError(f"{path}: a voxel size of {given:g} Å is invalid; give --voxel-size in Å")
        if known and any(abs(size - given) > TOLERANCE * given for size in sizes):
            warnings.append(f"{path}: it states a voxel size of {text} Å; --voxel-size {given:g} is used")
        return float(given)
    if not known:
        raise TomoPickerError(
            f"{path}: it states no voxel size{f' ({text} Å)' if sizes else ''}; give --voxel-size in Å"
        )
    if max(sizes) - min(sizes) > TOLERANCE * min(sizes):
        raise TomoPickerError(f"{path}: its voxels are not cubes ({text} Å); give --voxel-size in Å if that is wrong")
    return float(f"{sum(sizes) / len(sizes):.7g}")


def import_optional(module: str, extra: str, path: Path) -> Any:
    """Import a library that only some formats need; a `TomoPickerError` names what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        remedy = f"install it with: pip install 'tomopicker[{extra}]'"
        raise TomoPickerError(f"{path}: the Python package {module} is needed to read it; {remedy}") from error
