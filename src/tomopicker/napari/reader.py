"""napari's reader: tomograms become images, picks points in voxels of their tomogram."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, Unit, angstrom_to_voxels
from tomopicker.io.recognition import COMPRESSION_SUFFIXES, is_zarr
from tomopicker.io.registry import recognise_format
from tomopicker.io.tomogram_names import contained, matches
from tomopicker.io.volumes.em import is_em_volume
from tomopicker.napari.layers import LayerImage, metadata, open_frames
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerData]]
COLOUR = "#35d04a"


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader of paths, or None to leave them to other plugins."""
    files = _files(path)
    return read if files and all(_is_volume(file) or _is_picks(file) for file in files) else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read tomograms and picks.

    Picks are placed in the tomograms given with them, those open in napari, or those in the folder of their file;
    coordinates in voxels need none.

    Raises `TomoPickerError`: one line naming the file, as from the commands.
    """
    files = _files(path)
    tomograms = [io.open_tomogram(file) for file in files if _is_volume(file)]
    frames = open_frames() | {tomogram.name: tomogram.frame for tomogram in tomograms}
    layers = [_image(tomogram) for tomogram in tomograms]
    for file in files:
        if not _is_volume(file):
            layers += _points(file, frames)
    return layers


def _files(path: str | Sequence[str]) -> list[Path]:
    return [Path(path)] if isinstance(path, str) else [Path(file) for file in path]


def _is_volume(path: Path) -> bool:
    if path.is_dir():
        return is_zarr(path)
    if path.suffix.lower() == ".em":
        return is_em_volume(path)
    try:
        return recognise_format("volume", path) is not None
    except TomoPickerError:
        return False


def _is_picks(path: Path) -> bool:
    try:
        return path.is_file() and recognise_format("picks", path) is not None
    except TomoPickerError:
        return False


def _image(tomogram: Tomogram) -> LayerData:
    # A compressed tomogram is read into memory, because a viewer moves back and forth in it.
    if tomogram.path is not None and tomogram.path.suffix.lower() in COMPRESSION_SUFFIXES:
        tomogram = replace(tomogram, data=tomogram.data[0 : tomogram.shape[0]])
    middle = tomogram.shape[0] // 2
    low, high = np.percentile(tomogram.data[middle : middle + 1], (0.5, 99.5)).tolist()
    more: dict[str, Any] = {"contrast_limits": (low, high)} if high > low else {}
    return (
        LayerImage(tomogram),
        {"name": tomogram.name, "metadata": metadata(tomogram.name, tomogram.frame), **more},
        "image",
    )


def _points(path: Path, known: dict[str, Frame]) -> list[LayerData]:
    """Return a layer for each tomogram's picks."""
    table = io.read_table(path)
    names = [name for name in dict.fromkeys(table.tomograms.tolist()) if name]
    fits = [name for name in names if matches(name, list(known))]
    frames = known if fits or (known and not names) else _in_same_folder(path, names or [path.stem])
    if not frames:
        if table.unit is not Unit.VOXEL:
            tomograms = ", ".join(names[:4]) or path.stem
            raise TomoPickerError(
                f"{path}: counts {table.unit.value}; open its tomogram ({tomograms}) first, or with it"
            )
        # Coordinates in voxels need no geometry of the tomogram.
        frames = {name: Frame((10**9,) * 3, 1.0) for name in names or [path.stem]}
        picks = io.read_picks(path, frames, keep_classes=True)
        return [_layer(path, picks, name, frames[name], known=False) for name in picks.tomogram_names]
    picks = io.read_picks(path, frames, ignore_unknown=True, check_inside=False, keep_classes=True)
    return [_layer(path, picks, name, frames[name], known=True) for name in picks.tomogram_names]


def _in_same_folder(path: Path, names: Sequence[str]) -> dict[str, Frame]:
    """Return the frames of tomograms, by name, in the folder of a file."""
    try:
        files = io.volume_files(path.absolute().parent)
    except TomoPickerError:
        return {}
    candidates = {io.tomogram_name(file): file for file in files}
    fits = [fit for name in names for fit in matches(name, list(candidates)) or contained(name, list(candidates))]
    return {name: io.open_tomogram(candidates[name]).frame for name in dict.fromkeys(fits)}


def _layer(path: Path, picks: Picks, name: str, frame: Frame, *, known: bool) -> LayerData:
    selected = picks.in_tomogram(name)
    attributes: dict[str, Any] = {
        "name": f"{path.stem} ({name})" if len(picks.tomogram_names) > 1 else path.stem,
        "size": 10,
        "face_color": "transparent",
        "border_color": COLOUR,
        "out_of_slice_display": True,
        "features": {"score": selected.scores},
        "metadata": metadata(name, frame) if known else {},
    }
    return angstrom_to_voxels(selected.positions, frame.voxel_size)[:, ::-1].copy(), attributes, "points"
