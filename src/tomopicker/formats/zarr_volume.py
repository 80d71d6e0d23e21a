"""OME-Zarr 0.4 and 0.5, and plain Zarr arrays, in local folders; chunks are read when asked for.

The specification wants the space axes in the order z, y, x. Files are found whose axes are labelled x, y, z while
their data lie as the specification wants (early ones of the CryoET Data Portal): the data are taken to lie so, and a
warning says it. A scale without a unit is taken for Å, as the portal means it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError
from tomopicker.formats.names import tomogram_name
from tomopicker.formats.stored import AS_FOUND, Sliceable, Stored, Turned, check_volume, needed, settle_voxel_size
from tomopicker.geometry import Frame
from tomopicker.tomogram import Tomogram

MARKS = (".zgroup", ".zarray", ".zattrs", "zarr.json")
ANGSTROM = {
    "": 1.0, "angstrom": 1.0, "å": 1.0, "a": 1.0, "nanometer": 10.0, "nm": 10.0, "picometer": 0.01, "micrometer": 1e4,
    "um": 1e4, "µm": 1e4,
}  # fmt: skip


def recognises(path: Path, head: bytes) -> bool:
    """Tell a Zarr folder by what is in it."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def open_volume(
    path: Path, *, voxel_size: float | None = None, invert: bool = False, stored: Stored = AS_FOUND
) -> Tomogram:
    """Open a Zarr folder; of several scales, the one that `stored` asks for."""
    zarr = needed("zarr", "zarr", path)
    if voxel_size is not None:
        stored = replace(stored, near=None)  # It is said of the finest scale; what the file says is not trusted.
    places: Sequence[int]
    try:
        root = zarr.open(str(path), mode="r")
        warnings: list[str] = []
        if isinstance(root, zarr.Array):
            array, sizes, places = root, None, stored.places or (0, 1, 2)
            finest = root
        else:
            array, sizes, places, finest = _from_group(zarr, root, path, stored, warnings)
    except TomoPickerError:
        raise
    except Exception as error:  # zarr lets json's, numcodecs' and others through
        reason = " ".join(str(error).split())[:120]
        raise TomoPickerError(f"{path}: cannot be read as Zarr ({reason}); copy or write it again") from error
    if len(array.shape) < 3 or any(array.shape[i] != 1 for i in range(len(array.shape)) if i not in places):
        raise TomoPickerError(f"{path}: an array of shape {array.shape} is no tomogram; name another with --dataset")
    data = Turned(array, places, path)
    check_volume(path, data.shape, data.dtype)
    size = settle_voxel_size(path, sizes, voxel_size, warnings)
    if finest is array:
        return Tomogram(tomogram_name(path), data, size, path, invert, tuple(warnings))
    # Scales are made by averaging: the edges of their first voxels coincide, not the centres.
    whole = Turned(finest, places, path).shape
    fine = size / round(max(whole) / max(data.shape))
    aside = (size - fine) / 2
    return Tomogram(
        tomogram_name(path), data, size, path, invert, tuple(warnings), Frame(whole, fine), (aside, aside, aside)
    )


@dataclass(frozen=True)
class _Level:
    name: str
    sizes: tuple[float, ...]


def _from_group(
    zarr: Any, root: Any, path: Path, stored: Stored, warnings: list[str]
) -> tuple[Sliceable, tuple[float, ...] | None, Sequence[int], Sliceable]:
    """Find the array, its voxel size in Å, its axes, and the array of the finest scale."""
    attributes = dict(root.attrs)
    scales = attributes.get("ome", attributes).get("multiscales")
    if not scales:
        only = _array_of(zarr, root, path, stored.dataset)
        return only, None, stored.places or (0, 1, 2), only
    axes = [str(axis["name"]).lower() if isinstance(axis, Mapping) else str(axis) for axis in scales[0]["axes"]]
    space = [i for i, name in enumerate(axes) if name in {"x", "y", "z"}]
    if len(space) != 3:
        raise TomoPickerError(f"{path}: its axes are {', '.join(axes)}, not three of space; give another")
    levels = [_level(entry, scales[0], axes, space) for entry in scales[0]["datasets"]]
    level = _chosen(levels, path, stored, warnings)
    array = root[level.name]
    first = min(levels, key=lambda each: each.sizes[0])
    # One named by the user is the tomogram; one chosen for speed stands for the finest.
    finest = array if stored.dataset is not None or level is first else root[first.name]
    if stored.places is not None:
        return array, level.sizes, [space[place] for place in stored.places], finest
    if [axes[i] for i in space] == ["x", "y", "z"]:
        warnings.append(
            f"{path}: its axes are labelled x, y, z, against the specification; taken as z, y, x (else give --axes xyz)"
        )
        return array, level.sizes, space, finest
    return array, level.sizes, [axes.index(letter) for letter in "zyx"], finest


def _level(entry: Mapping[str, Any], scale: Mapping[str, Any], axes: Sequence[str], space: Sequence[int]) -> _Level:
    """Multiply the level's own scale by that of all levels, in Å."""
    sizes = [1.0] * len(axes)
    for transforms in (entry.get("coordinateTransformations", []), scale.get("coordinateTransformations", [])):
        for transform in transforms:
            if transform.get("type") == "scale":
                sizes = [size * float(by) for size, by in zip(sizes, transform["scale"], strict=True)]
    units = [str(axis.get("unit") or "").lower() if isinstance(axis, Mapping) else "" for axis in scale["axes"]]
    return _Level(str(entry["path"]), tuple(sizes[i] * ANGSTROM.get(units[i], float("nan")) for i in space))


def _chosen(levels: Sequence[_Level], path: Path, stored: Stored, warnings: list[str]) -> _Level:
    """Choose a level: the one named, else the coarsest no coarser than what is asked for, else the finest."""
    names = ", ".join(level.name for level in levels)
    if stored.dataset is not None:
        named = [level for level in levels if level.name.strip("/") == stored.dataset.strip("/")]
        if not named:
            raise TomoPickerError(f"{path}: it has no scale '{stored.dataset}', but {names}; give one with --dataset")
        return named[0]
    ordered = sorted(levels, key=lambda level: level.sizes[0])
    if stored.near is None:
        return ordered[0]
    fine = [level for level in ordered if level.sizes[0] <= stored.near * 1.01]
    level = fine[-1] if fine else ordered[0]
    if level is not ordered[0]:
        warnings.append(f"{path}: of its scales {names}, '{level.name}' is used, of {level.sizes[0]:g} Å")
    return level


def _array_of(zarr: Any, root: Any, path: Path, dataset: str | None) -> Sliceable:
    """Take the array named, or the only one, of a group that says nothing of scales."""
    found = {name: item for name, item in root.members(max_depth=None) if isinstance(item, zarr.Array)}
    if dataset is not None and dataset.strip("/") in found:
        array: Sliceable = found[dataset.strip("/")]
        return array
    volumes = [name for name, item in found.items() if len(item.shape) == 3]
    if dataset is None and len(volumes) == 1:
        array = found[volumes[0]]
        return array
    listed = ", ".join(sorted(found)[:8]) or "none"
    raise TomoPickerError(f"{path}: which of its arrays ({listed}) is the tomogram is not said; give --dataset")
