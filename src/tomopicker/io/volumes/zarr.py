"""OME-Zarr 0.4 and 0.5, and plain Zarr arrays, in local folders; chunks are read on indexing.

The specification wants the space axes in the order z, y, x. Files are found whose axes are labelled x, y, z while
their data lie as the specification wants (early ones of the CryoET Data Portal): the data are taken to lie so, with a
warning. A scale without a unit is taken for Å, as the portal means it. In bioformats2raw's layout the images
are numbered groups; the only one is the tomogram.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.tomogram_names import tomogram_name
from tomopicker.io.volumes import arrays
from tomopicker.io.volumes.arrays import ReorderedAxes, Sliceable
from tomopicker.tomogram import Tomogram

ANGSTROM = {
    "": 1.0, "angstrom": 1.0, "å": 1.0, "a": 1.0, "nanometer": 10.0, "nm": 10.0, "picometer": 0.01, "micrometer": 1e4,
    "um": 1e4, "µm": 1e4,
}  # fmt: skip


def open_zarr(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> Tomogram:
    """Open a Zarr folder; of several scales, the one that the options select."""
    zarr = arrays.import_optional("zarr", "zarr", path)
    if options.voxel_size is not None:
        # It is that of the finest scale; the file's own are not trusted.
        options = replace(options, target_voxel_size=None)
    warnings: list[str] = []
    with arrays.errors_named(path, "cannot be read as Zarr ({}); copy or write it again"):
        root = zarr.open(str(path), mode="r")
        if isinstance(root, zarr.Array):
            chosen = _Chosen(root, options.places or (0, 1, 2))
        else:
            chosen = _from_group(zarr, root, path, options, warnings)
    return _tomogram(chosen, path, options, warnings)


def _tomogram(chosen: "_Chosen", path: Path, options: ReadOptions, warnings: list[str]) -> Tomogram:
    """Make a tomogram of an array; of a coarser scale, with the frame of the finest."""
    array, places = chosen.array, chosen.places
    if len(array.shape) < 3 or any(array.shape[i] != 1 for i in range(len(array.shape)) if i not in places):
        raise TomoPickerError(f"{path}: an array of shape {array.shape} is no tomogram; name another with --dataset")
    data = ReorderedAxes(array, places, path)
    arrays.check_volume(path, data.shape, data.dtype)
    level = chosen.level
    size = arrays.resolve_voxel_size(path, level.sizes if level else None, options.voxel_size, warnings)
    finest, finest_array = chosen.finest or (level, array)
    where = finest.offset(places) if finest else (0.0, 0.0, 0.0)
    if any(where):
        moved = ", ".join(f"{value:g}" for value in where)
        warnings.append(f"{path}: its metadata move it by {moved} Å in x, y, z (translation); that is not applied")
    if level is None or finest is None or finest is level:
        return Tomogram(tomogram_name(path), data, size, path, options.invert, tuple(warnings))
    fine = arrays.resolve_voxel_size(path, finest.sizes, None, warnings)
    frame = Frame(ReorderedAxes(finest_array, places, path).shape, fine)
    aside = _between(level, finest, places, (size - fine) / 2)
    return Tomogram(tomogram_name(path), data, size, path, options.invert, tuple(warnings), frame, aside)


@dataclass(frozen=True)
class _Level:
    """A scale: voxel size along its axes of space in Å, and the place of its first voxel along all axes, if stated."""

    name: str
    sizes: tuple[float, ...]
    translation: tuple[float, ...] | None

    def offset(self, places: Sequence[int]) -> tuple[float, float, float]:
        """Return (x, y, z) in Å of the centre of its first voxel, 0 where none is stated."""
        if self.translation is None:
            return (0.0, 0.0, 0.0)
        z, y, x = (self.translation[place] for place in places)
        return x, y, z


@dataclass(frozen=True)
class _Chosen:
    """An array, which of its axes are z, y, x, and its scale; the finest scale if it is a coarser one."""

    array: Sliceable
    places: Sequence[int]
    level: _Level | None = None
    finest: tuple[_Level, Sliceable] | None = None


def _between(level: _Level, finest: _Level, places: Sequence[int], averaged: float) -> tuple[float, float, float]:
    """Return (x, y, z) in Å from the first voxel of the finest scale to that of a coarser one.

    Where no translation is stated, scales are taken to be averages: the edges of their first voxels coincide, not their
    centres. The specification has no default; this is what ome-zarr-py has written of its own scales since it does.
    """
    if level.translation is None and finest.translation is None:
        return averaged, averaged, averaged
    x, y, z = (there - here for there, here in zip(level.offset(places), finest.offset(places), strict=True))
    return x, y, z


def _from_group(zarr: Any, root: Any, path: Path, options: ReadOptions, warnings: list[str]) -> _Chosen:
    """Find the array, its axes, its scale, and the finest scale if that is another."""
    attributes = dict(root.attrs)
    stated_by = attributes.get("ome", attributes)
    scales = stated_by.get("multiscales")
    if not scales and "bioformats2raw.layout" in stated_by:
        image, dataset = _image_of(root, path, options.dataset)
        return _from_group(zarr, root[image], path, replace(options, dataset=dataset), warnings)
    if not scales:
        array = _array_of(zarr, root, path, options.dataset)
        before = len(array.shape) - 3 if _is_volume(array) else 0
        return _Chosen(array, [before + place for place in options.places or (0, 1, 2)])
    axes = [str(axis["name"]).lower() if isinstance(axis, Mapping) else str(axis) for axis in scales[0]["axes"]]
    space = [i for i, name in enumerate(axes) if name in {"x", "y", "z"}]
    if len(space) != 3:
        raise TomoPickerError(f"{path}: its axes are {', '.join(axes)}, not three of space; give another")
    levels = [_level(entry, scales[0], axes, space) for entry in scales[0]["datasets"]]
    level = _chosen(levels, path, options, warnings)
    first = min(levels, key=lambda each: each.sizes)
    chosen = _Chosen(root[level.name], _places(axes, space, path, options, warnings), level)
    # One named by the user is the tomogram; one chosen for speed stands for the finest.
    if options.dataset is not None or level is first:
        return chosen
    return replace(chosen, finest=(first, root[first.name]))


def _image_of(root: Any, path: Path, dataset: str | None) -> tuple[str, str | None]:
    """Choose one of the images of bioformats2raw's layout, and what `dataset` names within it."""
    images = sorted(
        (name for name, item in root.groups() if "multiscales" in dict(item.attrs).get("ome", dict(item.attrs))),
        key=lambda name: (len(name), name),
    )
    image, _, rest = (dataset or "").strip("/").partition("/")
    if image in images:
        return image, rest or None
    if len(images) == 1 and dataset is None:
        return images[0], None
    listed = ", ".join(images[:8]) or "none"
    raise TomoPickerError(f"{path}: which of its images ({listed}) is the tomogram is not stated; give --dataset")


def _places(
    axes: Sequence[str], space: Sequence[int], path: Path, options: ReadOptions, warnings: list[str]
) -> Sequence[int]:
    """Find which stored axis is z, which y, which x."""
    if options.places is not None:
        return [space[place] for place in options.places]
    if [axes[i] for i in space] == ["x", "y", "z"]:
        warnings.append(
            f"{path}: its axes are labelled x, y, z, against the specification; taken as z, y, x (else give --axes xyz)"
        )
        return space
    return [axes.index(letter) for letter in "zyx"]


def _level(entry: Mapping[str, Any], scale: Mapping[str, Any], axes: Sequence[str], space: Sequence[int]) -> _Level:
    """Apply the level's own transformations, then those of all levels, in Å."""
    sizes, moved = [1.0] * len(axes), [0.0] * len(axes)
    stated = False
    for transforms in (entry.get("coordinateTransformations", []), scale.get("coordinateTransformations", [])):
        for transform in transforms:
            if transform.get("type") == "scale":
                factors = [float(by) for by in transform["scale"]]
                sizes = [size * by for size, by in zip(sizes, factors, strict=True)]
                moved = [place * by for place, by in zip(moved, factors, strict=True)]
            elif transform.get("type") == "translation":
                moved = [place + float(by) for place, by in zip(moved, transform["translation"], strict=True)]
                stated = True
    units = [str(axis.get("unit") or "").lower() if isinstance(axis, Mapping) else "" for axis in scale["axes"]]
    unit = [ANGSTROM.get(each, float("nan")) for each in units]
    translation = tuple(0.0 if isnan(by) else place * by for place, by in zip(moved, unit, strict=True))
    return _Level(str(entry["path"]), tuple(sizes[i] * unit[i] for i in space), translation if stated else None)


def _chosen(levels: Sequence[_Level], path: Path, options: ReadOptions, warnings: list[str]) -> _Level:
    """Choose a level: the one named, else the coarsest of cubes no coarser than requested, else the finest."""
    names = ", ".join(level.name for level in levels)
    if options.dataset is not None:
        named = [level for level in levels if level.name.strip("/") == options.dataset.strip("/")]
        if not named:
            raise TomoPickerError(f"{path}: it has no scale '{options.dataset}', but {names}; give one with --dataset")
        return named[0]
    ordered = sorted(levels, key=lambda level: level.sizes)
    if options.target_voxel_size is None:
        return ordered[0]
    cubes = [level for level in ordered if max(level.sizes) <= min(level.sizes) * (1 + arrays.TOLERANCE)]
    fine = [level for level in cubes if max(level.sizes) <= options.target_voxel_size * (1 + arrays.TOLERANCE)]
    level = fine[-1] if fine else ordered[0]
    if level is not ordered[0]:
        warnings.append(f"{path}: of its scales {names}, '{level.name}' is used, of {level.sizes[0]:g} Å")
    return level


def _is_volume(array: Sliceable) -> bool:
    """Whether an array has three axes, or more that are of length one before them."""
    return len(array.shape) >= 3 and all(n == 1 for n in array.shape[:-3])


def _array_of(zarr: Any, root: Any, path: Path, dataset: str | None) -> Sliceable:
    """Take the array named, or the only one, of a group without scales."""
    found = {name: item for name, item in root.members(max_depth=None) if isinstance(item, zarr.Array)}
    if dataset is not None and dataset.strip("/") in found:
        array: Sliceable = found[dataset.strip("/")]
        return array
    volumes = [name for name, item in found.items() if _is_volume(item)]
    if dataset is None and len(volumes) == 1:
        array = found[volumes[0]]
        return array
    listed = ", ".join(sorted(found)[:8]) or "none"
    raise TomoPickerError(f"{path}: which of its arrays ({listed}) is the tomogram is not stated; give --dataset")
