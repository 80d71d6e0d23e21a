"""Files of other programs, read and written as by ``tomopicker convert``, and projects made from files of commands."""

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tomopicker import io
from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
from tomopicker.io.convert import IMPORT_LIST, write_folder
from tomopicker.picks import Picks
from tomopicker.studio.points import Point, Points, write_points
from tomopicker.studio.project import Project
from tomopicker.tomogram import Tomogram


@dataclass(frozen=True)
class Program:
    """A program that picks are saved for.

    Parameters
    ----------
    title : str
    format : str
        Name of a format in `registry.FORMATS`.
    suffix : str
        Suffix of the file with the picks of all tomograms; empty for a file per tomogram.
    advice : str
        How to use the files, one line.
    """

    title: str
    format: str
    suffix: str
    advice: str


PROGRAMS: Mapping[str, Program] = {
    "relion5": Program("RELION 5", "relion5", "", f"import {IMPORT_LIST} with 'Import coordinates'"),
    "warp": Program("Warp and M", "warp", ".star", "give the file to 'WarpTools ts_export_particles --input_star'"),
    "dynamo": Program("Dynamo", "dynamo", ".tbl", "the list of tomograms lies next to the table (.doc)"),
    "imod": Program("IMOD", "imod", "", "open each model on its tomogram: 3dmod TOMOGRAM MODEL"),
    "csv": Program("CSV", "csv", ".csv", "tomogram,x,y,z,score in voxels from 0"),
}


def read_upload(content: bytes, name: str, frames: Mapping[str, Frame]) -> tuple[dict[str, Points], list[str]]:
    """Read a file of picks that a page sent.

    Parameters
    ----------
    content : bytes
    name : str
        Name of the file, which shows its format and tomogram; folders in it are ignored.
    frames : mapping of str to Frame
        Geometry of the listed tomograms.

    Returns
    -------
    points : dict of str to tuple of Point
        By tomogram.
    warnings : list of str

    Raises
    ------
    TomoPickerError
        If it cannot be read, or holds no picks of these tomograms.
    """
    plain = name.replace("\\", "/").rpartition("/")[2]
    if not plain or plain.startswith(".") or any(ord(c) < 32 for c in plain) or len(plain.encode()) > 200:
        raise UsageError("a file of picks needs a plain name; rename it")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = Path(folder) / plain
        path.write_bytes(content)
        try:
            picks = io.read_picks(path, frames, ignore_unknown=True)
        except Exception as error:
            if folder in str(error):
                raise type(error)(str(error).replace(f"{folder}/", "")) from error
            raise
    messages = [str(w.message).replace(f"{folder}/", "") for w in caught if issubclass(w.category, UserWarning)]
    points = {
        tomogram: tuple(
            Point(x, y, z, "particle", plain) for x, y, z in picks.in_tomogram(tomogram).positions.round(3).tolist()
        )
        for tomogram in picks.tomogram_names
    }
    return points, messages


def save_for(program: str, picks: Picks, frames: Mapping[str, Frame], folder: Path) -> tuple[list[Path], str]:
    """Write picks for a program, a key of `PROGRAMS`, into a folder, replacing its earlier files.

    Returns the files, the one to open first first, and the advice.

    Raises `UsageError` if the program is unknown or there are no picks, `TomoPickerError` if a name is not valid in
    its files or they cannot be written.
    """
    if program not in PROGRAMS:
        raise UsageError(f"no program '{program[:40]}' is known here; use 'tomopicker convert'")
    if not len(picks):
        raise UsageError("there are no picks to save; click some, or pick first")
    target = PROGRAMS[program]
    if target.suffix:
        file = folder / f"picks{target.suffix}"
        io.write_picks(picks, frames, file, target.format)
        return [file], target.advice
    return write_folder(picks, frames, folder, target.format, overwrite=True), target.advice


def write_project(
    folder: Path, kind: str, diameter: float, clicks: Path, tomogram: Tomogram, model: Path, picks: Path
) -> Path:
    """Write a project of one kind of particle, replacing an earlier one; return its folder.

    It gets the clicks in a tomogram, the diameter in Å, a model file, and a folder that ``tomopicker pick`` wrote.
    """
    shutil.rmtree(folder, ignore_errors=True)
    Project.open(folder, lambda name: tomogram.frame).add_kind(kind, diameter)
    read = io.read_picks(clicks, [tomogram])
    points = tuple(Point(x, y, z, origin="demo") for x, y, z in read.positions.round(3).tolist())
    write_points(folder, kind, tomogram.name, tomogram.frame, points)
    (folder / "models").mkdir()
    shutil.copy(model, folder / "models" / f"{kind}.model")
    shutil.copytree(picks, folder / "picks" / kind)
    return folder
