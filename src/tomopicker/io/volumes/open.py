"""Open a tomogram of any format, and list the volumes in folders."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.io.projects.tomogram_lists import files_of_list, is_list
from tomopicker.io.read_options import DEFAULT_OPTIONS, ReadOptions
from tomopicker.io.recognition import VOLUME_SUFFIXES, is_zarr, volume_suffix
from tomopicker.io.registry import FORMATS, recognise_format
from tomopicker.io.tomogram_names import NamedFile, by_folder, tomogram_name
from tomopicker.io.volumes.em import is_em_volume
from tomopicker.tomogram import Tomogram

_SUFFIXES = [suffix for entry in FORMATS if entry.kind == "volume" for suffix in entry.suffixes]
_NOT_TOMOGRAMS = (".st", ".mrcs")
"""Suffixes of tilt series and image stacks: opened if given, not collected from a folder."""


def open_tomogram(
    path: Path | str, *, voxel_size: float | None = None, invert: bool = False, options: ReadOptions = DEFAULT_OPTIONS
) -> Tomogram:
    """Open a tomogram; voxels are read on indexing, slab by slab.

    Parameters
    ----------
    path : Path
        MRC (``.mrc``, ``.rec``, ``.map``, ``.st``, also with ``.gz`` or ``.bz2``), HDF5, TIFF or EM; a Zarr folder.
    voxel_size : float, optional
        Å; overrides the header and the options.
    invert : bool
        True if protein is bright in the file.
    options : ReadOptions
        Options for a file that is wrong, or has several arrays or scales.

    Returns
    -------
    Tomogram
        Named after the file without those suffixes; its `warnings` list suspicious headers.

    Raises
    ------
    TomoPickerError
        One line naming the file: missing, truncated, not a volume, or without a usable voxel size.
    """
    path = path if isinstance(path, Path) else Path(path)
    listed = path.frame if isinstance(path, NamedFile) else None
    voxel_size = options.voxel_size if voxel_size is None else voxel_size
    if voxel_size is None and listed is not None:
        voxel_size = listed.voxel_size
    entry = recognise_format("volume", path)
    if entry is None:
        known = " ".join(_SUFFIXES)
        raise TomoPickerError(f"{path}: not a tomogram of a known format ({known}); convert it to MRC")
    options = replace(options, voxel_size=voxel_size, invert=invert or options.invert)
    tomogram: Tomogram = entry.read(path, options)
    if listed is None or listed.unbinned_pixel_size is None or tomogram.finest is not None:
        return tomogram
    return replace(tomogram, finest=replace(listed, shape=tomogram.shape, voxel_size=tomogram.voxel_size))


def present_volumes(paths: Iterable[Path]) -> tuple[list[Path], list[TomoPickerError]]:
    """List the volumes of paths, like `volume_files`, and the errors of paths without volumes."""
    files: list[Path] = []
    errors = []
    for path in paths:
        try:
            files += volume_files(path)
        except TomoPickerError as error:
            errors.append(error)
    return by_folder(files), errors


def volume_files(paths: Iterable[Path | str] | Path | str) -> list[Path]:
    """List the volumes of paths: files as given, folders as the sorted volumes in them (not deeper).

    A Zarr folder is a volume. Other folders are searched for MRC files, and for other formats if they have none. A list
    of tomograms (`tomogram_lists`) is replaced by those it names. Files of one name are named after their folders.

    Raises
    ------
    TomoPickerError
        If a path is missing, a folder holds no volume, or two files would be tomograms of one name.
    """
    files: list[Path] = []
    for given in [paths] if isinstance(paths, str | Path) else paths:
        path = given if isinstance(given, Path) else Path(given)
        if not is_zarr(path) and is_list(path):
            files += files_of_list(path)
        elif path.is_dir() and not is_zarr(path):
            in_folder = _in_folder(path)
            if not in_folder:
                raise TomoPickerError(f"{path}: no tomograms in this folder; give files or another folder")
            files += in_folder
        elif isinstance(path, NamedFile) or path.exists():
            files.append(path)
        else:
            raise TomoPickerError(f"{path}: no such file or folder; check the path")
    by_name: dict[str, Path] = {}
    for path in by_folder(list(dict.fromkeys(files))):
        name = tomogram_name(path)
        other = by_name.setdefault(name, path)
        if other.resolve() != path.resolve():
            raise TomoPickerError(f"{path}: the tomogram '{name}' is also in {other}; give one of them")
    return list(by_name.values())


def _in_folder(folder: Path) -> list[Path]:
    """List a folder's tomograms: MRC, else any other format; no tilt series, image stacks or motive lists."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    mrc = [entry for entry in entries if volume_suffix(entry) in set(VOLUME_SUFFIXES).difference(_NOT_TOMOGRAMS)]
    others = set(_SUFFIXES).difference(VOLUME_SUFFIXES, [".em"])
    return mrc or [
        entry
        for entry in entries
        if is_zarr(entry)
        or (volume_suffix(entry) in others and entry.is_file())
        or (volume_suffix(entry) == ".em" and is_em_volume(entry))
    ]
