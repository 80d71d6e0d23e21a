"""The demonstration's results as a project of the studio."""

import shutil
from pathlib import Path

from tomopicker import io
from tomopicker.studio.point_files import write_csv
from tomopicker.studio.points import Point
from tomopicker.studio.project import Project
from tomopicker.tomogram import Tomogram

KIND, DIAMETER = "ribosome", 300.0


def prepare_demo(output: Path, clicks: Path, first: Tomogram) -> Path:
    """Lay the clicks, model and picks of ``tomopicker demo`` out as a project; give its folder."""
    folder = output / "studio"
    shutil.rmtree(folder, ignore_errors=True)  # Of an earlier demo in this folder.
    Project.open(folder, lambda name: first.frame).add_kind(KIND, DIAMETER)
    found = io.read_picks(clicks, [first])
    points = tuple(Point(x, y, z, origin="demo") for x, y, z in found.positions.round(3).tolist())
    write_csv(folder, KIND, first.name, first.frame, points)
    (folder / "models").mkdir()
    shutil.copy(output / "ribosome.model", folder / "models" / f"{KIND}.model")
    shutil.copytree(output / "picks", folder / "picks" / KIND)
    return folder
