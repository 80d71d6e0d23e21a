"""TIFF stacks, one page a section: of ImageJ and OME with their voxel size, others with ``--voxel-size``.

Rows are y as stored, first row 0. Contiguous files are memory-mapped, others read page by page. The resolution in
dots per inch or centimetre that any TIFF may have is no voxel size and is not believed.
"""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.formats.volumes.arrays import (
    DEFAULT_OPTIONS,
    Mapped,
    ReadOptions,
    Sliceable,
    as_tomogram,
    errors_named,
    import_optional,
)
from tomopicker.formats.volumes.zarr import ANGSTROM
from tomopicker.tomogram import Tomogram

_UNITS = {**ANGSTROM, "micron": 1e4, "\\u00b5m": 1e4, "\\u00c5": 1.0, "pixel": float("nan"), "": float("nan")}


class Pages:
    """The pages of a TIFF file as an array that reads those it is asked for."""

    def __init__(self, file: Any, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        self._file, self.shape, self.dtype = file, shape, dtype

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        pages = range(*key[0].indices(self.shape[0]))
        if not pages:
            return np.empty((0, *self.shape[1:]), self.dtype)[:, key[1], key[2]]
        return np.stack([self._file.pages[page].asarray()[key[1], key[2]] for page in pages])


def open_volume(
    path: Path, *, voxel_size: float | None = None, invert: bool = False, options: ReadOptions = DEFAULT_OPTIONS
) -> Tomogram:
    """Open a TIFF stack."""
    tifffile = import_optional("tifffile", "tiff", path)
    with errors_named(path, "cannot be read as TIFF ({}); copy it again"):
        file = tifffile.TiffFile(path)
        series = file.series[0]
        shape = tuple(int(n) for n in series.shape if n != 1)
        if len(shape) != 3:
            size = " x ".join(str(n) for n in reversed(series.shape))
            raise TomoPickerError(f"{path}: its size is {size}, a tomogram has three axes; give a stack of sections")
        z, y, x = shape
        data: Sliceable = Pages(file, (z, y, x), np.dtype(series.dtype))
        if series.dataoffset is not None:
            dtype = np.dtype(series.dtype).newbyteorder(file.byteorder)
            data = Mapped(path, dtype, series.dataoffset, (z, y, x))
        sizes = _voxel_sizes(file)
    return as_tomogram(path, data, options, sizes, voxel_size, invert)


def _voxel_sizes(file: Any) -> list[float] | None:
    """Read Å from OME or ImageJ metadata; None where neither says."""
    if file.is_ome and file.ome_metadata:
        pixels = ElementTree.fromstring(file.ome_metadata).find(".//{*}Pixels")
        if pixels is None or "PhysicalSizeX" not in pixels.attrib:
            return None
        units = [pixels.get(f"PhysicalSize{axis}Unit", "µm").lower() for axis in "XYZ"]
        return [
            float(pixels.get(f"PhysicalSize{axis}", "nan")) * _UNITS.get(unit, float("nan"))
            for axis, unit in zip("XYZ", units, strict=True)
        ]
    if file.is_imagej and file.imagej_metadata:
        factor = _UNITS.get(str(file.imagej_metadata.get("unit", "")).lower(), float("nan"))
        dots, inches = file.pages[0].tags["XResolution"].value
        in_plane = inches / dots if dots else float("nan")
        # ImageJ writes seven digits and a quotient of whole numbers: what is equal but for that is equal.
        depth = float(file.imagej_metadata.get("spacing", in_plane))
        sizes = [float(f"{size * factor:.6g}") for size in (depth, in_plane, in_plane)]
        return sizes if np.isfinite(sizes).all() else None
    return None
