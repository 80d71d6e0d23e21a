"""OME-Zarr 0.4 and 0.5, and plain Zarr arrays, in local folders; chunks are read on indexing.

The specification requires the axes of space in the order z, y, x. Some files label them x, y, z while their data are
stored as specified (early ones of the CryoET Data Portal): the labels are ignored, with a warning. A scale without a
unit is taken as Å, as the portal means it. In bioformats2raw's layout the images are numbered groups; the only one
is the tomogram.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.tomogram_names import join_names, tomogram_name
from tomopicker.io.volumes import arrays
from tomopicker.io.volumes.arrays import ReorderedAxes
from tomopicker.tomogram import Tomogram

ANGSTROM = {
    "": 1.0, "angstrom": 1.0, "å": 1.0, "a": 1.0, "nanometer": 10.0, "nm": 10.0, "picometer": 0.01, "micrometer": 1e4,
    "um": 1e4, "µm": 1e4,
}  # fmt: skip
SPACE = {"x", "y", "z"}


@dataclass(frozen=True)
class _Scale:
    """One scale of a multiscale image.

    Parameters
    ----------
    name : str
        Its array in the group.
    sizes : tuple of float
        Voxel size along the stored axes of space, Å.
    offset : tuple of float, optional
        (x, y, z) in Å of the centre of its first voxel, if the metadata have a translation.
    """

    name: str
    sizes: tuple[float, ...]
    offset: tuple[float, float, float] | None


@dataclass(frozen=True)
class _Image:
    """An array, its axes z, y and x, its scale, and the finest scale and its array if that is another."""

    array: Any
    places: Sequence[int]
    scale: _Scale | None = None
    finest: tuple[_Scale, Any] | None = None


def open_zarr(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> Tomogram:
    """Open a Zarr folder; of several scales, the one that the options select."""
    zarr = arrays.import_optional("zarr", "zarr", path)
    if options.voxel_size is not None:
        # It is that of the finest scale; the sizes in the file are not trusted.
        options = replace(options, target_voxel_size=None)
    warnings: list[str] = []
    with arrays.errors_named(path, "cannot be read as Zarr ({}); copy or write it again"):
        root = zarr.open(str(path), mode="r")
        if isinstance(root, zarr.Array):
            image = _Image(root, options.places or (0, 1, 2))
        else:
            image = _image_in_group(zarr, root, path, options, warnings)
    return _as_tomogram(image, path, options, warnings)


def _as_tomogram(image: _Image, path: Path, options: ReadOptions, warnings: list[str]) -> Tomogram:
    """Return the tomogram of an image; of a coarser scale, with the frame of the finest."""
    shape, places = image.array.shape, image.places
    if len(shape) < 3 or any(n != 1 for axis, n in enumerate(shape) if axis not in places):
        raise TomoPickerError(f"{path}: an array of shape {shape} is no tomogram; name another with --dataset")
    data = ReorderedAxes(image.array, places, path)
    arrays.check_volume(path, data.shape, data.dtype)
    sizes = image.scale.sizes if image.scale else None
    tomogram = Tomogram(
        tomogram_name(path), data, arrays.resolve_voxel_size(path, sizes, options.voxel_size, warnings), path,
        options.invert,
    )  # fmt: skip
    finest = image.finest[0] if image.finest else image.scale
    if finest and finest.offset and any(finest.offset):
        offset = ", ".join(f"{value:g}" for value in finest.offset)
        warnings.append(f"{path}: its metadata move it by {offset} Å in x, y, z (translation); that is not applied")
    if image.scale and image.finest:
        size = arrays.resolve_voxel_size(path, image.finest[0].sizes, None, warnings)
        origin = _origin(image.scale, image.finest[0], (tomogram.voxel_size - size) / 2)
        frame = Frame(ReorderedAxes(image.finest[1], places, path).shape, size)
        tomogram = replace(tomogram, finest=frame, origin=origin)
    return replace(tomogram, warnings=tuple(warnings))


def _origin(scale: _Scale, finest: _Scale, averaged: float) -> tuple[float, float, float]:
    """Return (x, y, z) in Å from the first voxel of the finest scale to that of a coarser one.

    Scales without translations are taken as averages: the edges of their first voxels coincide, not their centres. The
    specification has no default; this is what ome-zarr-py has written of its own scales since it writes translations.
    """
    if scale.offset is None and finest.offset is None:
        return averaged, averaged, averaged
    zero = (0.0, 0.0, 0.0)
    x, y, z = (coarse - fine for coarse, fine in zip(scale.offset or zero, finest.offset or zero, strict=True))
    return x, y, z


def _image_in_group(zarr: Any, root: Any, path: Path, options: ReadOptions, warnings: list[str]) -> _Image:
    """Find the array of a group, its axes, its scale, and the finest scale if that is another."""
    metadata = _metadata(root)
    multiscales = metadata.get("multiscales")
    if not multiscales and "bioformats2raw.layout" in metadata:
        name, dataset = _choose_image(root, path, options.dataset)
        return _image_in_group(zarr, root[name], path, replace(options, dataset=dataset), warnings)
    if not multiscales:
        array = _choose_array(zarr, root, path, options.dataset)
        n_leading = len(array.shape) - 3 if _is_volume(array) else 0
        return _Image(array, [n_leading + place for place in options.places or (0, 1, 2)])
    axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in multiscales[0]["axes"]]
    places = _places([str(axis["name"]).lower() for axis in axes], path, options, warnings)
    scales = [_read_scale(entry, multiscales[0], axes, places) for entry in multiscales[0]["datasets"]]
    scale = _choose_scale(scales, path, options, warnings)
    finest = min(scales, key=lambda scale: scale.sizes)
    # A scale named by the user is the tomogram; one chosen for speed replaces the finest.
    has_finer = options.dataset is None and scale is not finest
    return _Image(root[scale.name], places, scale, (finest, root[finest.name]) if has_finer else None)


def _metadata(group: Any) -> Mapping[str, Any]:
    attributes = dict(group.attrs)
    metadata: Mapping[str, Any] = attributes.get("ome", attributes)
    return metadata


def _choose_image(root: Any, path: Path, dataset: str | None) -> tuple[str, str | None]:
    """Choose one of the images of bioformats2raw's layout, and the rest of `dataset` within it."""
    images = [name for name, item in root.groups() if "multiscales" in _metadata(item)]
    images.sort(key=lambda name: (len(name), name))
    image, _, rest = (dataset or "").strip("/").partition("/")
    if image in images:
        return image, rest or None
    if len(images) == 1 and dataset is None:
        return images[0], None
    raise _ambiguous(path, "images", images)


def _choose_array(zarr: Any, root: Any, path: Path, dataset: str | None) -> Any:
    """Choose the array named, or the only one, of a group without scales."""
    members = {name: item for name, item in root.members(max_depth=None) if isinstance(item, zarr.Array)}
    if dataset is not None and dataset.strip("/") in members:
        return members[dataset.strip("/")]
    volumes = [name for name, item in members.items() if _is_volume(item)]
    if dataset is None and len(volumes) == 1:
        return members[volumes[0]]
    raise _ambiguous(path, "arrays", sorted(members))


def _ambiguous(path: Path, noun: str, names: Sequence[str]) -> TomoPickerError:
    listed = join_names(names)
    return TomoPickerError(f"{path}: which of its {noun} ({listed}) is the tomogram is not stated; give --dataset")


def _is_volume(array: Any) -> bool:
    """Return True for an array of three axes, perhaps after others of length one."""
    return len(array.shape) >= 3 and all(n == 1 for n in array.shape[:-3])


def _places(names: Sequence[str], path: Path, options: ReadOptions, warnings: list[str]) -> Sequence[int]:
    """Return the indices of z, y and x among the stored axes."""
    space = [i for i, name in enumerate(names) if name in SPACE]
    if len(space) != 3:
        raise TomoPickerError(f"{path}: its axes are {', '.join(names)}, not three of space; give another")
    if options.places is not None:
        return [space[place] for place in options.places]
    if [names[i] for i in space] == ["x", "y", "z"]:
        warnings.append(
            f"{path}: its axes are labelled x, y, z, against the specification; taken as z, y, x (else give --axes xyz)"
        )
        return space
    return [names.index(name) for name in "zyx"]


def _read_scale(
    entry: Mapping[str, Any], multiscale: Mapping[str, Any], axes: Sequence[Mapping[str, Any]], places: Sequence[int]
) -> _Scale:
    """Apply the scale's own transformations, then those of all scales, in Å."""
    sizes, offset = [1.0] * len(axes), [0.0] * len(axes)
    has_translation = False
    for transforms in (entry.get("coordinateTransformations", []), multiscale.get("coordinateTransformations", [])):
        for transform in transforms:
            if transform.get("type") == "scale":
                factors = [float(factor) for factor in transform["scale"]]
                sizes = [size * factor for size, factor in zip(sizes, factors, strict=True)]
                offset = [value * factor for value, factor in zip(offset, factors, strict=True)]
            elif transform.get("type") == "translation":
                offset = [value + float(by) for value, by in zip(offset, transform["translation"], strict=True)]
                has_translation = True
    units = [ANGSTROM.get(str(axis.get("unit") or "").lower(), nan) for axis in axes]
    z, y, x = (0.0 if isnan(units[place]) else offset[place] * units[place] for place in places)
    return _Scale(
        str(entry["path"]), tuple(sizes[i] * units[i] for i in sorted(places)), (x, y, z) if has_translation else None
    )


def _choose_scale(scales: Sequence[_Scale], path: Path, options: ReadOptions, warnings: list[str]) -> _Scale:
    """Choose the scale named, else the coarsest of cubes no coarser than requested, else the finest."""
    names = ", ".join(scale.name for scale in scales)
    if options.dataset is not None:
        for scale in scales:
            if scale.name.strip("/") == options.dataset.strip("/"):
                return scale
        raise TomoPickerError(f"{path}: it has no scale '{options.dataset}', but {names}; give one with --dataset")
    ordered = sorted(scales, key=lambda scale: scale.sizes)
    limit = (options.target_voxel_size or 0.0) * (1 + arrays.TOLERANCE)
    fitting = [scale for scale in ordered if max(scale.sizes) <= min(limit, min(scale.sizes) * (1 + arrays.TOLERANCE))]
    scale = fitting[-1] if fitting else ordered[0]
    if scale is not ordered[0]:
        warnings.append(f"{path}: of its scales {names}, '{scale.name}' is used, of {scale.sizes[0]:g} Å")
    return scale
