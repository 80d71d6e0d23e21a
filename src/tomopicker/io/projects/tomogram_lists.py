"""Lists of tomograms, given in place of the tomograms: names, files and voxel sizes come from them.

- RELION 5's ``tomograms.star``: ``rlnTomoReconstructedTomogram``, relative to the project.
- A Warp project: its ``.settings``, or the folder it processes in, with ``reconstruction/<series>_10.00Apx.mrc``.
- A table with the columns ``tomogram`` and ``file``, perhaps ``voxel_size`` (Å): for names that nothing else maps.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io.text import read_text, read_xml
from tomopicker.io.tomogram_names import NamedFile, clean_name

_TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
_APIX = re.compile(r"_(\d+(?:\.\d+)?)Apx$")


def is_list(path: Path) -> bool:
    """Return True if a file lists tomograms, or a folder is that of a Warp project."""
    if path.is_dir():
        return _warp_folder(path) is not None
    suffix = path.suffix.lower()
    if not path.is_file():
        return False
    if suffix == ".star":
        from tomopicker.io.projects.relion import is_project  # noqa: PLC0415  (pandas is slow to import)

        try:
            return is_project(path)
        except TomoPickerError:
            return False
    return suffix == ".settings" or (suffix in _TABLE_SUFFIXES and _table(path) is not None)


def only_list(paths: Sequence[Path]) -> Path | None:
    """Return the tomograms.star of RELION 5 that is the only list of tomograms given; None if there is none."""
    return paths[0].absolute() if len(paths) == 1 and paths[0].suffix.lower() == ".star" else None


def files_of_list(path: Path) -> list[NamedFile]:
    """Return the files of a list, with the names in it.

    Raises `TomoPickerError` if it names no files, or one that does not exist.
    """
    if path.is_dir() or path.suffix.lower() == ".settings":
        return _files_of_warp(path)
    return _files_of_relion(path) if path.suffix.lower() == ".star" else _files_of_table(path)


def _files_of_relion(path: Path) -> list[NamedFile]:
    from tomopicker.io.projects import relion  # noqa: PLC0415

    frames = relion.read_frames(path)
    files = relion.reconstructions(path)
    if not files:
        raise TomoPickerError(
            f"{path}: it names no reconstructions (rlnTomoReconstructedTomogram); give the tomograms themselves"
        )
    return [NamedFile(file).named(name, frames[name]) for name, file in files.items()]


def _files_of_warp(path: Path) -> list[NamedFile]:
    settings_file = path if path.is_file() else _settings_file(path)
    settings = _settings(settings_file) if settings_file else {}
    folder = _warp_folder(path) if path.is_dir() else path.parent / settings.get("ProcessingFolder", path.stem)
    files = sorted((folder / "reconstruction").glob("*.mrc")) if folder else []
    if not files:
        raise TomoPickerError(f"{path}: no reconstruction in {folder}/reconstruction; run 'WarpTools ts_reconstruct'")
    return [NamedFile(file).named(clean_name(file.stem), _warp_frame(file, settings)) for file in files]


def _warp_frame(file: Path, settings: dict[str, str]) -> Frame | None:
    """Return the geometry of a reconstruction: its voxel size from the file's name, its size from the settings."""
    match = _APIX.search(file.stem)
    voxel_size = float(match.group(1)) if match else 0.0
    if not voxel_size:
        return None
    try:
        pixel = float(settings["PixelSize"])
        x, y, z = (float(settings[f"Dimensions{axis}"]) for axis in "XYZ")
    except (KeyError, ValueError):
        pixel, x, y, z = 0.0, 0.0, 0.0, 0.0
    if not min(pixel, x, y, z) > 0:
        return Frame((0, 0, 0), voxel_size)
    binning = voxel_size / pixel
    return Frame((round(z / binning), round(y / binning), round(x / binning)), voxel_size, (x, y, z), pixel)


def _settings(path: Path) -> dict[str, str]:
    """Read the parameters of a Warp project, the last of each name."""
    return {item.get("Name", ""): item.get("Value", "") for item in read_xml(path).iter("Param")}


def _settings_file(folder: Path) -> Path | None:
    files = [*folder.glob("*.settings"), *folder.parent.glob(f"{folder.name}.settings")]
    of_tilt_series = [path for path in files if "tilt" in path.stem.lower()] or files
    return of_tilt_series[0] if len(of_tilt_series) == 1 else None


def _warp_folder(folder: Path) -> Path | None:
    """Return the folder with Warp's reconstructions: this one, or the one that settings in it name."""
    if any((folder / "reconstruction").glob("*Apx.mrc")):
        return folder
    settings_file = _settings_file(folder)
    if settings_file is None or settings_file.parent != folder:
        return None
    try:
        processing = folder / _settings(settings_file).get("ProcessingFolder", settings_file.stem)
    except TomoPickerError:
        return None
    return processing if any((processing / "reconstruction").glob("*Apx.mrc")) else None


def _files_of_table(path: Path) -> list[NamedFile]:
    rows = _table(path)
    if rows is None:
        raise TomoPickerError(f"{path}: no columns 'tomogram' and 'file'; name them in its first line")
    files = []
    for number, row in enumerate(rows, start=2):
        if not row.get("tomogram") or not row.get("file"):
            raise TomoPickerError(f"{path}: line {number} does not give a tomogram and its file; correct it")
        try:
            frame = Frame((0, 0, 0), float(row["voxel_size"])) if row.get("voxel_size") else None
        except ValueError as error:
            raise TomoPickerError(f"{path}: line {number}: its voxel size is no number; correct it") from error
        files.append(NamedFile(path.parent / row["file"]).named(row["tomogram"], frame))
    return files


def _table(path: Path) -> list[dict[str, str]] | None:
    """Read a table of tomograms and files as rows by column, empty if fields are missing; None for any other text."""
    try:
        lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    except TomoPickerError:
        return None
    delimiter = next((mark for mark in "\t;," if lines and mark in lines[0]), None)
    rows = [[field.strip().strip('"') for field in line.split(delimiter)] for line in lines]
    names = [field.lower() for field in rows[0]] if rows else []
    if not {"tomogram", "file"} <= set(names) or "x" in names:
        return None
    return [dict(zip(names, row, strict=True)) if len(row) == len(names) else {} for row in rows[1:]]
