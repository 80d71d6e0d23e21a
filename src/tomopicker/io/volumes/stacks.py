"""Volumes in HDF5 and TIFF files."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.tomogram_names import join_names
from tomopicker.io.volumes import arrays
from tomopicker.io.volumes.arrays import Mapped
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
    """Return the data set named, or the only one of three axes."""
    names: list[str] = []
    file.visititems(lambda key, item: names.append(key) if isinstance(item, h5py.Dataset) else None)
    if name is not None:
        if name.strip("/") not in names:
            raise TomoPickerError(f"{path}: it has no data set '{name}', but {join_names(names, 6)}; give one of them")
        return file[name]
    volumes = [key for key in names if file[key].ndim == 3]
    if len(volumes) != 1:
        problem = "has several volumes" if volumes else "has no data set of three axes"
        raise TomoPickerError(f"{path}: it {problem} ({join_names(volumes or names, 6)}); name one with --dataset")
    return file[volumes[0]]


def _hdf5_voxel_sizes(data: Any) -> list[float] | None:
    """Return Å from the attributes; None without them."""
    for item in (data.parent, data):
        if "EMAN.apix_x" in item.attrs:
            return [float(f"{float(item.attrs[f'EMAN.apix_{axis}']):.7g}") for axis in "zyx"]
    if "element_size_um" in data.attrs:
        return [float(size) * 1e4 for size in data.attrs["element_size_um"]]
    return None


def open_tiff(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> Tomogram:
    """Open a TIFF stack, one page per section, of ImageJ or OME with their voxel size, of others with ``--voxel-size``.

    Rows are y as stored, first row 0. Contiguous files are memory-mapped, others read page by page. The resolution in
    dots per inch or centimetre that any TIFF may have is not a voxel size and is not used.
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
        dtype = np.dtype(series.dtype)
        data: Pages | Mapped = Pages(file, (z, y, x), dtype)
        if series.dataoffset is not None:
            data = Mapped(path, dtype.newbyteorder(file.byteorder), series.dataoffset, (z, y, x))
        sizes = _tiff_voxel_sizes(file)
    return arrays.as_tomogram(path, data, options, sizes)


def _tiff_voxel_sizes(file: Any) -> list[float] | None:
    """Return Å from OME or ImageJ metadata; None without either."""
    if file.is_ome and file.ome_metadata:
        pixels = ElementTree.fromstring(file.ome_metadata).find(".//{*}Pixels")
        if pixels is None or "PhysicalSizeX" not in pixels.attrib:
            return None
        units = [_UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower(), float("nan")) for axis in "XYZ"]
        return [float(pixels.get(f"PhysicalSize{axis}", "nan")) * unit for axis, unit in zip("XYZ", units, strict=True)]
    if file.is_imagej and file.imagej_metadata:
        unit = _UNITS.get(str(file.imagej_metadata.get("unit", "")).lower(), float("nan"))
        dots, inches = file.pages[0].tags["XResolution"].value
        in_plane = inches / dots if dots else float("nan")
        # ImageJ writes seven digits and a ratio of integers: sizes that are equal but for that are equal.
        depth = float(file.imagej_metadata.get("spacing", in_plane))
        sizes = [float(f"{size * unit:.6g}") for size in (depth, in_plane, in_plane)]
        return sizes if np.isfinite(sizes).all() else None
    return None


class Pages:
    """The pages of a TIFF file as an array that is read on indexing."""

    def __init__(self, file: Any, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        self._file, self.shape, self.dtype = file, shape, dtype

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        pages = range(*key[0].indices(self.shape[0]))
        if not pages:
            return np.empty((0, *self.shape[1:]), self.dtype)[:, key[1], key[2]]
        return np.stack([self._file.pages[page].asarray()[key[1], key[2]] for page in pages])
