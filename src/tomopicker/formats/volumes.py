"""Opening a tomogram of any format, and listing the volumes in folders."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.formats.catalogue import FORMATS
from tomopicker.formats.names import COMPRESSION_SUFFIXES, VOLUME_SUFFIXES, NamedFile, by_folder, tomogram_name
from tomopicker.formats.registry import head_of, module_of, reader_of
from tomopicker.formats.stored import AS_FOUND, Stored
from tomopicker.formats.tomogram_lists import files_of_list, is_list
from tomopicker.tomogram import Tomogram

_NOT_TOMOGRAMS = (".st", ".mrcs")
"""Suffixes of tilt series and image stacks: opened if named, not collected from a folder."""


def open_tomogram(
    path: Path | str, *, voxel_size: float | None = None, invert: bool = False, stored: Stored = AS_FOUND
) -> Tomogram:
    """Open a tomogram; voxels are read when asked for, slab by slab.

    Parameters
    ----------
    path : Path
        MRC (``.mrc``, ``.rec``, ``.map``, ``.st``, also with ``.gz`` or ``.bz2``), HDF5, TIFF or EM; a Zarr folder.
    voxel_size : float, optional
        Å; overrules the header.
    invert : bool
        True if protein is bright in the file.
    stored : Stored
        Which of several arrays or scales, and the order of axes, where the file does not say it rightly.

    Returns
    -------
    Tomogram
        Named after the file without those suffixes; its `warnings` say what is doubtful.

    Raises
    ------
    TomoPickerError
        One line naming the file: missing, truncated, not a volume, or without a usable voxel size.
    """
    path = path if isinstance(path, Path) else Path(path)
    stated = path.frame if isinstance(path, NamedFile) else None
    if voxel_size is None and stated is not None:
        voxel_size = stated.voxel_size
    is_zarr = module_of("zarr_volume").recognises(path, b"")
    module = module_of("zarr_volume") if is_zarr else reader_of("volume", path, head_of(path))
    if module is None:
        known = " ".join(suffix for entry in FORMATS if entry.kind == "volume" for suffix in entry.suffixes)
        raise TomoPickerError(f"{path}: not a tomogram of a known format ({known}); convert it to MRC")
    tomogram: Tomogram = module.open_volume(path, voxel_size=voxel_size, invert=invert, stored=stored)
    if stated is None or stated.unbinned_pixel_size is None or tomogram.finest is not None:
        return tomogram
    frame = replace(stated, shape=tomogram.shape, voxel_size=tomogram.voxel_size)
    return replace(tomogram, finest=frame)


def volume_files(paths: Iterable[Path | str] | Path | str) -> list[Path]:
    """List the volumes that paths mean: files as given, folders as the sorted volumes in them (not deeper).

    A Zarr folder is a volume. Of another folder, the MRC files are meant, and other formats if it has none. A list of
    tomograms (`tomogram_lists`) stands for those it names. Files that are called alike are named after their folders.

    Raises
    ------
    TomoPickerError
        If a path is missing, a folder holds no volume, or two files would be tomograms of one name.
    """
    listed: list[Path] = []
    for given in [paths] if isinstance(paths, str | Path) else paths:
        path = given if isinstance(given, Path) else Path(given)
        if not _is_zarr(path) and is_list(path):
            listed += files_of_list(path)
        elif path.is_dir() and not _is_zarr(path):
            inside = _in_folder(path)
            if not inside:
                raise TomoPickerError(f"{path}: no tomograms in this folder; give files or another folder")
            listed += inside
        elif isinstance(path, NamedFile) or path.exists():
            listed.append(path)
        else:
            raise TomoPickerError(f"{path}: no such file or folder; check the path")
    by_name: dict[str, Path] = {}
    for path in by_folder(list(dict.fromkeys(listed))):
        other = by_name.setdefault(tomogram_name(path), path)
        if other.resolve() != path.resolve():
            raise TomoPickerError(f"{path}: the tomogram '{tomogram_name(path)}' is also in {other}; give one of them")
    return list(by_name.values())


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and bool(module_of("zarr_volume").recognises(path, b""))


def _in_folder(folder: Path) -> list[Path]:
    """List a folder's tomograms: of MRC, else of any other format; no tilt series, image stacks or motive lists."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    as_mrc = [entry for entry in entries if _suffix(entry) in set(VOLUME_SUFFIXES).difference(_NOT_TOMOGRAMS)]
    return as_mrc or [entry for entry in entries if _is_zarr(entry) or _is_other(entry)]


def _is_other(path: Path) -> bool:
    known = {suffix for entry in FORMATS if entry.kind == "volume" for suffix in entry.suffixes}
    suffix = _suffix(path)
    if suffix == ".em":
        return bool(module_of("em_volume").is_volume(path))
    return suffix in known.difference(VOLUME_SUFFIXES) and path.is_file()


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSION_SUFFIXES]
    return suffixes[-1] if suffixes else ""
