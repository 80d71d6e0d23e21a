"""HDF5: EMAN2's ``.hdf`` (``/MDF/images/0/image`` with ``EMAN.apix_x``), and any other with ``--dataset``.

Numbers are read when asked for. A data set has its axes in the order z, y, x unless ``--axes`` says otherwise;
the attribute ``element_size_um``, which Fiji and ilastik write, gives a voxel size in that order.
"""

from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError
from tomopicker.formats.volumes.arrays import DEFAULT_OPTIONS, ReadOptions, as_tomogram, errors_named, import_optional
from tomopicker.tomogram import Tomogram


def open_volume(
    path: Path, *, voxel_size: float | None = None, invert: bool = False, options: ReadOptions = DEFAULT_OPTIONS
) -> Tomogram:
    """Open a data set of an HDF5 file."""
    h5py = import_optional("h5py", "hdf5", path)
    with errors_named(path, "cannot be read as HDF5 ({}); copy it again"):
        # Nothing is written, and many network disks refuse the lock that HDF5 would ask for.
        file = h5py.File(path, "r", locking=False)
        data = _dataset(h5py, file, path, options.dataset)
    if data.ndim != 3:
        raise TomoPickerError(f"{path}: '{data.name}' has {data.ndim} axes, a tomogram 3; give another --dataset")
    return as_tomogram(path, data, options, _voxel_sizes(data), voxel_size, invert)


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


def _voxel_sizes(data: Any) -> list[float] | None:
    """Read Å from the attributes; None where there are none."""
    for holder in (data.parent, data):
        if "EMAN.apix_x" in holder.attrs:
            return [float(f"{float(holder.attrs[f'EMAN.apix_{axis}']):.7g}") for axis in "zyx"]
    if "element_size_um" in data.attrs:
        return [float(size) * 1e4 for size in data.attrs["element_size_um"]]
    return None
