"""Picks in XML: particle lists of PyTom, object lists of DeepFinder, markers of Chimera and ChimeraX."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS, TOM, angles_or_zeros, columns_if_any
from tomopicker.io.columns import Rows, column_or_default, infer_numeric, to_strings
from tomopicker.io.particles.tomogram_index import name_tomograms, number_tomograms
from tomopicker.io.text import read_xml
from tomopicker.picks import Picks
from tomopicker.types import Positions

_PYTOM_ANGLES = ("Z1", "X", "Z2")
_PYTOM_KEPT = {"Binning": "1", "RefMarkIndex": "1"}
_DEEPFINDER_KEPT = ("phi", "psi", "the", "cluster_size", "obj_id")
_MARKER_STYLE = {"r": 1.0, "g": 1.0, "b": 0.0, "radius": 50.0}


def read_pytom(path: Path) -> PickTable:
    """Read a PyTom list: ``PickPosition`` in voxels of the tomogram ``Origin``, ``Rotation``, ``Score``, ``Class``.

    A particle lies at its position plus its ``Shift``. 0 is the centre of the first voxel: PyTom indexes arrays.
    ``Binning`` is that of the picked tomogram; the positions are its voxels, so it is kept but not applied.
    """
    particles = list(read_xml(path).iter("Particle"))
    rows = Rows.counted(path, "particle", len(particles))

    def column(element: str, name: str, default: str = "") -> list[str]:
        children = [particle.find(element) for particle in particles]
        return [default if child is None else child.get(name, default) for child in children]

    def triple(element: str, attributes: Sequence[str], default: str) -> Positions:
        return rows.stack({f"{element} {name}": column(element, name, default) for name in attributes})

    coordinates = triple("PickPosition", "XYZ", "") + triple("Shift", "XYZ", "0")
    angles = rows.check_angles(triple("Rotation", _PYTOM_ANGLES, "0"))
    extra: dict[str, object] = dict(columns_if_any(angles, TOM))
    extra[CLASS] = infer_numeric(column("Class", "Name", "0"))
    extra |= {f"pytom_{name}": infer_numeric(column("PickPosition", name, kept)) for name, kept in _PYTOM_KEPT.items()}
    extra["pytom_Filename"] = to_strings(particle.get("Filename", "") for particle in particles)
    scores = rows.numbers(column("Score", "Value"), "Score", blank=np.nan)
    return rows.table(coordinates, Unit.VOXEL, column("PickPosition", "Origin"), scores, extra)


def write_pytom(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a PyTom list with shifts of 0; a click has no score."""
    points = to_file_units(picks, frames, Unit.VOXEL)
    angles = angles_or_zeros(picks, TOM)
    classes = column_or_default(picks, CLASS)
    kept = {name: column_or_default(picks, f"pytom_{name}", float(value)) for name, value in _PYTOM_KEPT.items()}
    files = to_strings(picks.extra["pytom_Filename"] if "pytom_Filename" in picks.extra else [""] * len(picks))
    root = ET.Element("ParticleList")
    for i, name in enumerate(picks.tomograms):
        particle = ET.SubElement(root, "Particle", Filename=files[i] or f"{name}/particle_{i}.mrc")
        rotation = {axis: f"{angle:.4f}" for axis, angle in zip(_PYTOM_ANGLES, angles[i], strict=True)}
        ET.SubElement(particle, "Rotation", rotation, Paradigm="ZXZ")
        ET.SubElement(particle, "Shift", X="0.0", Y="0.0", Z="0.0")
        position = {axis: f"{value:.4f}" for axis, value in zip("XYZ", points[i], strict=True)}
        position |= {"Origin": name} | {key: f"{values[i]:g}" for key, values in kept.items()}
        ET.SubElement(particle, "PickPosition", position)
        if not np.isnan(picks.scores[i]):
            ET.SubElement(particle, "Score", Type="FLCFScore", Value=f"{picks.scores[i]:.7g}")
        ET.SubElement(particle, "Class", Name=f"{classes[i]:g}")
    _write(root, path)


def read_deepfinder(path: Path) -> PickTable:
    """Read an object list: voxels, 0 at the centre of the first (it indexes arrays), class, and perhaps angles.

    The tomograms' names come from ``<stem>.doc`` if it exists. The angles are kept as the columns phi, psi and the, not
    converted: their frame depends on the origin of the list.
    """
    objects = list(read_xml(path).iter("object"))
    rows = Rows.counted(path, "object", len(objects))
    index = rows.numbers([element.get("tomo_idx", "0") for element in objects], "tomo_idx", blank=0.0)
    extra: dict[str, object] = {CLASS: infer_numeric(element.get("class_label", "1") for element in objects)}
    extra |= _present_attributes(objects, _DEEPFINDER_KEPT)
    return rows.table(_x_y_z(objects, rows), Unit.VOXEL, name_tomograms(index, path), extra=extra)


def write_deepfinder(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write an object list, and ``<stem>.doc`` next to it."""
    index = number_tomograms(picks.tomogram_names, path)
    classes = column_or_default(picks, CLASS, 1.0)
    kept = {name: column_or_default(picks, name) for name in _DEEPFINDER_KEPT if name in picks.extra}
    root = ET.Element("objlist")
    for i, point in enumerate(to_file_units(picks, frames, Unit.VOXEL)):
        label = {"tomo_idx": str(index[picks.tomograms[i]]), "class_label": f"{classes[i]:g}"}
        position = {axis: f"{value:.4f}" for axis, value in zip("xyz", point, strict=True)}
        ET.SubElement(root, "object", label | position | {name: f"{values[i]:g}" for name, values in kept.items()})
    _write(root, path)


def read_markers(path: Path) -> PickTable:
    """Read all markers of all sets of ChimeraX, in Å of the scene, one tomogram per file; links are left out.

    ChimeraX puts a map whose header has no origin with the centre of its first voxel at 0, so markers clicked on it are
    Å from there. If the header has an origin, or the map was moved, markers are moved with it: see ``--shift``.
    """
    markers = list(read_xml(path).iter("marker"))
    rows = Rows.counted(path, "marker", len(markers))
    extra = _present_attributes(markers, ("id", *_MARKER_STYLE, "note"))
    return rows.table(
        _x_y_z(markers, rows), Unit.ANGSTROM, extra={f"marker_{name}": column for name, column in extra.items()}
    )


def write_markers(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write one set of yellow markers of 50 Å in radius, unless the picks came with colours and radii."""
    title = picks.tomogram_names[0] if len(picks) else "picks"
    if any(ord(character) < 32 for character in title):
        raise TomoPickerError(f"{path}: the tomogram name {title!r} is not valid in XML; rename it")
    style = {name: column_or_default(picks, f"marker_{name}", value) for name, value in _MARKER_STYLE.items()}
    lines = [f"<marker_set name={quoteattr(title)}>"]
    for i, (x, y, z) in enumerate(to_file_units(picks, frames, Unit.ANGSTROM)):
        look = " ".join(f'{name}="{values[i]:g}"' for name, values in style.items())
        lines.append(f'<marker id="{i + 1}" x="{x:.4f}" y="{y:.4f}" z="{z:.4f}" {look}/>')
    write_text(path, "\n".join([*lines, "</marker_set>"]) + "\n")


def _x_y_z(elements: Sequence[ET.Element], rows: Rows) -> Positions:
    return rows.stack({axis: [element.get(axis, "") for element in elements] for axis in "xyz"})


def _present_attributes(elements: Sequence[ET.Element], names: Sequence[str]) -> dict[str, object]:
    """Return as columns the attributes that at least one element has."""
    present = [name for name in names if any(name in element.attrib for element in elements)]
    return {name: infer_numeric(element.get(name, "") for element in elements) for name in present}


def _write(root: ET.Element, path: Path) -> None:
    ET.indent(root)
    write_text(path, ET.tostring(root, encoding="unicode") + "\n")
