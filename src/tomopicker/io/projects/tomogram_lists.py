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
from tomopicker.io.tomogram_names import NamedFile, cleaned

_TABLES = (".csv", ".tsv", ".txt")
_APIX = re.compile(r"_(\d+(?:\.\d+)?)Apx$")


def is_list(path: Path) -> bool:
    """Whether a file lists tomograms, or a folder is that of a Warp project."""
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
    return suffix == ".settings" or (suffix in _TABLES and _table(path) is not None)


def only_list(paths: Sequence[Path]) -> Path | None:
    """Return the tomograms.star of RELION 5 that is the only list of tomograms given; None if there is none."""
    return paths[0].absolute() if len(paths) == 1 and paths[0].suffix.lower() == ".star" else None


def files_of_list(path: Path) -> list[NamedFile]:
    """List the tomograms of a list, as it names them.

    Raises `TomoPickerError` if it names no files, or one that is not there.
    """
    if path.is_dir() or path.suffix.lower() == ".settings":
        return _of_warp(path)
    return _of_relion(path) if path.suffix.lower() == ".star" else _of_table(path)


def _of_relion(path: Path) -> list[NamedFile]:
    from tomopicker.io.projects import relion  # noqa: PLC0415

    frames = relion.read_frames(path)
    files = relion.reconstructions(path)
    if not files:
        raise TomoPickerError(
            f"{path}: it names no reconstructions (rlnTomoReconstructedTomogram); give the tomograms themselves"
        )
    return [NamedFile(file).named(name, frames[name]) for name, file in files.items()]


def _of_warp(path: Path) -> list[NamedFile]:
    settings = path if path.is_file() else _settings_of(path)
    stated = _warp_settings(settings) if settings else {}
    folder = _warp_folder(path) if path.is_dir() else path.parent / stated.get("ProcessingFolder", path.stem)
    inside = sorted((folder / "reconstruction").glob("*.mrc")) if folder else []
    if not inside:
        raise TomoPickerError(f"{path}: no reconstruction in {folder}/reconstruction; run 'WarpTools ts_reconstruct'")
    try:
        pixel = float(stated["PixelSize"])
        size = tuple(float(stated[f"Dimensions{axis}"]) for axis in "XYZ")
    except (KeyError, ValueError):
        pixel, size = 0.0, ()
    named = []
    for file in inside:
        voxel = _APIX.search(file.stem)
        frame = None
        if voxel and float(voxel.group(1)) > 0:
            edge = float(voxel.group(1))
            x, y, z = size if pixel > 0 and len(size) == 3 and min(size) > 0 else (0.0, 0.0, 0.0)
            shape = round(z * pixel / edge), round(y * pixel / edge), round(x * pixel / edge)
            frame = Frame(shape, edge, (x, y, z), pixel) if x else Frame((0, 0, 0), edge)
        named.append(NamedFile(file).named(cleaned(file.stem), frame))
    return named


def _warp_settings(path: Path) -> dict[str, str]:
    """Read the parameters of a Warp project, the last of each name."""
    return {item.get("Name", ""): item.get("Value", "") for item in read_xml(path).iter("Param")}


def _settings_of(folder: Path) -> Path | None:
    found = [*folder.glob("*.settings"), *folder.parent.glob(f"{folder.name}.settings")]
    tilt_series = [path for path in found if "tilt" in path.stem.lower()] or found
    return tilt_series[0] if len(tilt_series) == 1 else None


def _warp_folder(folder: Path) -> Path | None:
    """Find the folder with Warp's reconstructions: this one, or the one that settings in it name."""
    if any((folder / "reconstruction").glob("*Apx.mrc")):
        return folder
    settings = _settings_of(folder)
    if settings is None or settings.parent != folder:
        return None
    try:
        named = folder / _warp_settings(settings).get("ProcessingFolder", settings.stem)
    except TomoPickerError:
        return None
    return named if any((named / "reconstruction").glob("*Apx.mrc")) else None


def _of_table(path: Path) -> list[NamedFile]:
    rows = _table(path)
    if rows is None:
        raise TomoPickerError(f"{path}: no columns 'tomogram' and 'file'; name them in its first line")
    named = []
    for number, row in enumerate(rows, start=2):
        if not row.get("tomogram") or not row.get("file"):
            raise TomoPickerError(f"{path}: line {number} does not give a tomogram and its file; correct it")
        frame = None
        if row.get("voxel_size"):
            try:
                frame = Frame((0, 0, 0), float(row["voxel_size"]))
            except ValueError as error:
                raise TomoPickerError(f"{path}: line {number}: its voxel size is no number; correct it") from error
        named.append(NamedFile(path.parent / row["file"]).named(row["tomogram"], frame))
    return named


def _table(path: Path) -> list[dict[str, str]] | None:
    """Read a table of tomograms and files: rows by column, one that lacks fields empty; None if it is another text."""
    try:
        lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    except TomoPickerError:
        return None
    delimiter = next((mark for mark in "\t;," if lines and mark in lines[0]), None)
    rows = [[field.strip().strip('"') for field in line.split(delimiter)] for line in lines]
    if not rows or not {"tomogram", "file"} <= (header := {field.lower() for field in rows[0]}) or "x" in header:
        return None
    names = [field.lower() for field in rows[0]]
    return [dict(zip(names, row, strict=True)) if len(row) == len(names) else {} for row in rows[1:]]
