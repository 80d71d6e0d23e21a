"""Opening a tomogram of any format, and listing the volumes in folders."""

from collections.abc import Iterable
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.formats.catalogue import FORMATS
from tomopicker.formats.names import COMPRESSION_SUFFIXES, tomogram_name
from tomopicker.formats.registry import head_of, reader_of
from tomopicker.tomogram import Tomogram

_NOT_TOMOGRAMS = (".st", ".mrcs")
"""Suffixes of tilt series and image stacks: opened if named, not collected from a folder."""


def open_tomogram(path: Path | str, *, voxel_size: float | None = None, invert: bool = False) -> Tomogram:
    """Open a tomogram; voxels are read when asked for, slab by slab (all at once if the file is compressed).

    Parameters
    ----------
    path : Path
        MRC: ``.mrc``, ``.rec``, ``.map``, ``.st``, also with ``.gz`` or ``.bz2``.
    voxel_size : float, optional
        Å; overrules the header.
    invert : bool
        True if protein is bright in the file.

    Returns
    -------
    Tomogram
        Named after the file without those suffixes; its `warnings` say what is doubtful.

    Raises
    ------
    TomoPickerError
        One line naming the file: missing, truncated, not a volume, or without a usable voxel size.
    """
    path = Path(path)
    module = reader_of("volume", path, head_of(path))
    if module is None:
        known = " ".join(suffix for entry in FORMATS if entry.kind == "volume" for suffix in entry.suffixes)
        raise TomoPickerError(f"{path}: not a tomogram of a known format ({known}); convert it to MRC")
    tomogram: Tomogram = module.open_volume(path, voxel_size=voxel_size, invert=invert)
    return tomogram


def volume_files(paths: Iterable[Path | str] | Path | str) -> list[Path]:
    """List the volumes that paths mean: files as given, folders as the sorted volumes in them (not deeper).

    Raises
    ------
    TomoPickerError
        If a path is missing, a folder holds no volume, or two files would be tomograms of one name.
    """
    listed: list[Path] = []
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        if path.is_dir():
            inside = sorted(entry for entry in path.iterdir() if _is_tomogram(entry))
            if not inside:
                raise TomoPickerError(f"{path}: no tomograms in this folder; give files or another folder")
            listed += inside
        elif path.exists():
            listed.append(path)
        else:
            raise TomoPickerError(f"{path}: no such file or folder; check the path")
    by_name: dict[str, Path] = {}
    for path in dict.fromkeys(listed):
        other = by_name.setdefault(tomogram_name(path), path)
        if other.resolve() != path.resolve():
            raise TomoPickerError(f"{path}: the tomogram '{tomogram_name(path)}' is also in {other}; give one of them")
    return list(by_name.values())


def _is_tomogram(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSION_SUFFIXES]
    known = {suffix for entry in FORMATS if entry.kind == "volume" for suffix in entry.suffixes}
    return bool(suffixes) and not path.name.startswith(".") and suffixes[-1] in known.difference(_NOT_TOMOGRAMS)
