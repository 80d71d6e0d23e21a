"""napari's reader: tomograms as images, picks as points in the voxels of their tomogram."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, Unit, angstrom_to_voxels
from tomopicker.io.recognition import COMPRESSION_SUFFIXES, is_zarr
from tomopicker.io.registry import head_of, recognised
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
    paths = [Path(path)] if isinstance(path, str) else [Path(each) for each in path]
    return read if paths and all(_is_volume(each) or _is_picks(each) for each in paths) else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read tomograms and picks.

    Picks are placed in the tomograms given with them, those open in napari, or those in the folder of their file;
    coordinates in voxels need none.

    Raises `TomoPickerError`: one line naming the file, as from the commands.
    """
    paths = [Path(path)] if isinstance(path, str) else [Path(each) for each in path]
    tomograms = [io.open_tomogram(each) for each in paths if _is_volume(each)]
    frames = open_frames() | {tomogram.name: tomogram.frame for tomogram in tomograms}
    layers = [_image(tomogram) for tomogram in tomograms]
    for each in paths:
        if not _is_volume(each):
            layers += _points(each, frames)
    return layers


def _is_volume(path: Path) -> bool:
    if path.is_dir():
        return is_zarr(path)
    if path.suffix.lower() == ".em":
        return is_em_volume(path)
    try:
        return recognised("volume", path, head_of(path)) is not None
    except TomoPickerError:
        return False


def _is_picks(path: Path) -> bool:
    try:
        return path.is_file() and recognised("picks", path, head_of(path)) is not None
    except TomoPickerError:
        return False


def _image(tomogram: Tomogram) -> LayerData:
    middle = tomogram.data[tomogram.shape[0] // 2 : tomogram.shape[0] // 2 + 1]
    low, high = np.percentile(middle, (0.5, 99.5)).tolist()
    more: dict[str, Any] = {"contrast_limits": (low, high)} if high > low else {}
    return (
        LayerImage(_unpacked(tomogram)),
        {"name": tomogram.name, "metadata": metadata(tomogram.name, tomogram.frame), **more},
        "image",
    )


def _unpacked(tomogram: Tomogram) -> Tomogram:
    """Unpack a compressed tomogram as a whole: a viewer goes back and forth in it."""
    path = tomogram.path
    if path is None or path.suffix.lower() not in COMPRESSION_SUFFIXES:
        return tomogram
    return replace(tomogram, data=tomogram.data[0 : tomogram.shape[0]])


def _points(path: Path, known: dict[str, Frame]) -> list[LayerData]:
    """Make a layer of each tomogram's picks."""
    table = io.read_table(path)
    names = [name for name in dict.fromkeys(table.tomograms.tolist()) if name]
    fits = [name for name in names if matches(name, list(known))]
    frames = known if fits or (known and not names) else _in_same_folder(path, names or [path.stem])
    if not frames:
        if table.unit is not Unit.VOXEL:
            words = ", ".join(names[:4]) or path.stem
            raise TomoPickerError(f"{path}: counts {table.unit.value}; open its tomogram ({words}) first, or with it")
        # Coordinates in voxels need no geometry of the tomogram.
        frames = {name: Frame((10**9,) * 3, 1.0) for name in names or [path.stem]}
        picks = io.read_picks(path, frames, keep_classes=True)
        return [_layer(path, picks, name, frames[name], known=False) for name in picks.tomogram_names]
    picks = io.read_picks(path, frames, ignore_unknown=True, check_inside=False, keep_classes=True)
    return [_layer(path, picks, name, frames[name], known=True) for name in picks.tomogram_names]


def _in_same_folder(path: Path, names: Sequence[str]) -> dict[str, Frame]:
    """Find the tomograms that picks name in the folder of their file."""
    try:
        files = io.volume_files(path.absolute().parent)
    except TomoPickerError:
        return {}
    candidates = {io.tomogram_name(file): file for file in files}
    wanted = [name for text in names for name in matches(text, list(candidates)) or contained(text, list(candidates))]
    return {name: io.open_tomogram(candidates[name]).frame for name in dict.fromkeys(wanted)}


def _layer(path: Path, picks: Picks, name: str, frame: Frame, *, known: bool) -> LayerData:
    mine = picks.in_tomogram(name)
    shown: dict[str, Any] = {
        "name": f"{path.stem} ({name})" if len(picks.tomogram_names) > 1 else path.stem,
        "size": 10,
        "face_color": "transparent",
        "border_color": COLOUR,
        "out_of_slice_display": True,
        "features": {"score": mine.scores},
        "metadata": metadata(name, frame) if known else {},
    }
    return angstrom_to_voxels(mine.positions, frame.voxel_size)[:, ::-1].copy(), shown, "points"
