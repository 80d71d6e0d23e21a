"""A project made of clicks, a model and picks that the commands wrote."""

import shutil
from pathlib import Path

from tomopicker import io
from tomopicker.studio.point_files import write_csv
from tomopicker.studio.points import Point
from tomopicker.studio.project import Project
from tomopicker.tomogram import Tomogram


def write_project(
    folder: Path, kind: str, diameter: float, clicks: Path, tomogram: Tomogram, model: Path, picks: Path
) -> Path:
    """Write a project of one kind of particle in place of an earlier one; give its folder.

    Parameters
    ----------
    folder : Path
    kind : str
    diameter : float
        Å.
    clicks, tomogram : Path and Tomogram
        The clicks, and the tomogram that they are in.
    model, picks : Path
        The model file, and the folder that ``tomopicker pick`` wrote.
    """
    shutil.rmtree(folder, ignore_errors=True)
    Project.open(folder, lambda name: tomogram.frame).add_kind(kind, diameter)
    found = io.read_picks(clicks, [tomogram])
    points = tuple(Point(x, y, z, origin="demo") for x, y, z in found.positions.round(3).tolist())
    write_csv(folder, kind, tomogram.name, tomogram.frame, points)
    (folder / "models").mkdir()
    shutil.copy(model, folder / "models" / f"{kind}.model")
    shutil.copytree(picks, folder / "picks" / kind)
    return folder
