"""Volumes in HDF5 and TIFF files."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.volumes import arrays
from tomopicker.io.volumes.arrays import Mapped, Sliceable
from tomopicker.io.volumes.zarr import ANGSTROM
from tomopicker.tomogram import Tomogram

_UNITS = {**ANGSTROM, "micron": 1e4, "\\u00b5m": 1e4, "\\u00c5": 1.0, "pixel": float("nan"), "": float("nan")}


def open_hdf5(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> Tomogram:
    """Open a data set of an HDF5 file: EMAN2's only image (``/MDF/images/0/image``), or any other with ``--dataset``.

    Data are read on indexing. A data set has its axes in the order z, y, x unless ``--axes`` is given; the
    attribute ``element_size_um``, which Fiji and ilastik write, gives a voxel size in that order.
    """
    h5py = arrays.import_optional("h5py", "hdf5", path)
    with arrays.errors_named(path, "cannot be read as HDF5 ({}); copy it again"):
        # Nothing is written, and many network disks refuse HDF5's lock.
        file = h5py.File(path, "r", locking=False)
        data = _dataset(h5py, file, path, options.dataset)
    if data.ndim != 3:
        raise TomoPickerError(f"{path}: '{data.name}' has {data.ndim} axes, a tomogram 3; give another --dataset")
    return arrays.as_tomogram(path, data, options, _hdf5_voxel_sizes(data))


def _dataset(h5py: Any, file: Any, path: Path, name: str | None) -> Any:
    """Find the data set named, or EMAN2's only image, or the only one of three axes."""
    found: list[str] = []
    file.visititems(lambda key, item: found.append(key) if isinstance(item, h5py.Dataset) else None)
    if name is not None:
        if name.strip("/") not in found:
            raise TomoPickerError(f"{path}: it has no data set '{name}', but {_listed(found)}; give one of them")
        return file[name]
    volumes = [key for key in found if file[key].ndim == 3]
    if len(volumes) != 1:
        why = "has several volumes" if volumes else "has no data set of three axes"
        raise TomoPickerError(f"{path}: it {why} ({_listed(volumes or found)}); name one with --dataset")
    return file[volumes[0]]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:6]) + (" …" if len(names) > 6 else "") or "none"


def _hdf5_voxel_sizes(data: Any) -> list[float] | None:
    """Read Å from the attributes; None where there are none."""
    for holder in (data.parent, data):
        if "EMAN.apix_x" in holder.attrs:
            return [float(f"{float(holder.attrs[f'EMAN.apix_{axis}']):.7g}") for axis in "zyx"]
    if "element_size_um" in data.attrs:
        return [float(size) * 1e4 for size in data.attrs["element_size_um"]]
    return None


def open_tiff(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> Tomogram:
    """Open a TIFF stack, a page a section, of ImageJ or OME with their voxel size, of others with ``--voxel-size``.

    Rows are y as stored, first row 0. Contiguous files are memory-mapped, others read page by page. The resolution in
    dots per inch or centimetre that any TIFF may have is no voxel size and is not used.
    """
    tifffile = arrays.import_optional("tifffile", "tiff", path)
    with arrays.errors_named(path, "cannot be read as TIFF ({}); copy it again"):
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
        sizes = _tiff_voxel_sizes(file)
    return arrays.as_tomogram(path, data, options, sizes)


def _tiff_voxel_sizes(file: Any) -> list[float] | None:
    """Read Å from OME or ImageJ metadata; None where neither states it."""
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


class Pages:
    """The pages of a TIFF file as an array that reads pages on indexing."""

    def __init__(self, file: Any, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        self._file, self.shape, self.dtype = file, shape, dtype

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        pages = range(*key[0].indices(self.shape[0]))
        if not pages:
            return np.empty((0, *self.shape[1:]), self.dtype)[:, key[1], key[2]]
        return np.stack([self._file.pages[page].asarray()[key[1], key[2]] for page in pages])
