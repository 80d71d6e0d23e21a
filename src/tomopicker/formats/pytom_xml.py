"""PyTom particle lists: ``PickPosition`` in voxels of the tomogram ``Origin``, ``Rotation``, ``Score``, ``Class``.

A particle lies at its position plus its ``Shift``. 0 is the centre of the first voxel: PyTom indexes arrays.
``Binning`` says how the picked tomogram was binned; the positions are its voxels, so it is carried along and not
applied.
"""

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd

from tomopicker.files import write_text
from tomopicker.formats import xmltext
from tomopicker.formats.angles import CLASS, checked, from_tom, orientations, relion_columns, to_tom
from tomopicker.formats.columns import carried, check_coordinates, names, natural, numbers
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks
from tomopicker.types import Positions

_ANGLES = ("Z1", "X", "Z2")
_KEPT = {"Binning": "1", "RefMarkIndex": "1"}


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its first element."""
    return xmltext.starts_with(head, b"ParticleList")


def read(path: Path) -> PickTable:
    """Read a list.

    Raises
    ------
    TomoPickerError
        If it is no XML, or a position or an angle is no number.
    """
    source = str(path)
    particles = list(xmltext.read_root(path).iter("Particle"))
    rows = [f"particle {i + 1}" for i in range(len(particles))]

    def column(element: str, name: str, default: str = "") -> list[str]:
        found = [particle.find(element) for particle in particles]
        return [default if one is None else one.get(name, default) for one in found]

    def triple(element: str, attributes: tuple[str, ...], default: str) -> Positions:
        columns = [numbers(column(element, name, default), f"{element} {name}", source, rows) for name in attributes]
        return np.stack(columns, axis=1)

    coordinates = triple("PickPosition", ("X", "Y", "Z"), "") + triple("Shift", ("X", "Y", "Z"), "0")
    check_coordinates(coordinates, source, rows)
    angles = triple("Rotation", _ANGLES, "0")
    extra: dict[str, object] = {}
    if angles.any():
        extra |= relion_columns(from_tom(checked(angles, source, rows)))
    extra[CLASS] = natural(column("Class", "Name", "0"))
    extra |= {f"pytom_{name}": natural(column("PickPosition", name, kept)) for name, kept in _KEPT.items()}
    extra["pytom_Filename"] = names([particle.get("Filename", "") for particle in particles])
    return PickTable(
        coordinates,
        Unit.VOXEL,
        names(column("PickPosition", "Origin")),
        numbers(column("Score", "Value"), "Score", source, rows, blank=np.nan),
        extra=pd.DataFrame(extra, index=range(len(particles))),
        source=source,
    )


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a list with shifts of 0; a click has no score."""
    n = len(picks)
    points = express(picks, frames, Unit.VOXEL)
    rotations = orientations(picks.extra)
    angles = np.zeros((n, 3)) if rotations is None else to_tom(rotations)
    classes = carried(picks.extra, CLASS, n)
    kept = {name: carried(picks.extra, f"pytom_{name}", n, float(value)) for name, value in _KEPT.items()}
    files = names(picks.extra["pytom_Filename"].tolist()) if "pytom_Filename" in picks.extra else [""] * n
    root = ET.Element("ParticleList")
    for i, name in enumerate(picks.tomograms):
        particle = ET.SubElement(root, "Particle", Filename=files[i] or f"{name}/particle_{i}.mrc")
        turn = {axis: f"{angle:.4f}" for axis, angle in zip(_ANGLES, angles[i], strict=True)}
        ET.SubElement(particle, "Rotation", turn, Paradigm="ZXZ")
        ET.SubElement(particle, "Shift", X="0.0", Y="0.0", Z="0.0")
        place = {axis: f"{value:.4f}" for axis, value in zip("XYZ", points[i], strict=True)}
        place |= {"Origin": name} | {key: f"{values[i]:g}" for key, values in kept.items()}
        ET.SubElement(particle, "PickPosition", place)
        if not np.isnan(picks.scores[i]):
            ET.SubElement(particle, "Score", Type="FLCFScore", Value=f"{picks.scores[i]:.7g}")
        ET.SubElement(particle, "Class", Name=f"{classes[i]:g}")
    ET.indent(root)
    write_text(path, ET.tostring(root, encoding="unicode") + "\n")
