"""Amira and Avizo: landmarks (``.landmarkAscii``) and spatial graphs (``.am``) as ASCII, one tomogram per file.

Coordinates are Å of the scene, where a tomogram opened in Å has the centre of its first voxel at 0: Amira's bounding
box goes from the centre of the first voxel to that of the last. Of a spatial graph, such as traced filaments, the
points along its edges are read, or its vertices if there are no points. Binary files are refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.columns import Rows
from tomopicker.io.text import read_bytes, read_text
from tomopicker.picks import Picks

_DECLARATION = re.compile(
    r"^[ \t]*(\w+)[ \t]*\{[ \t]*(?:float|double)\[3\][ \t]+(\w+)[ \t]*\}[ \t]*=?[ \t]*(@\d+)", re.M
)
_COUNT = re.compile(r"^[ \t]*define[ \t]+(\w+)[ \t]+(\d{1,9})", re.M)
_POSITIONS = (
    ("Markers", "Coordinates"), ("POINT", "EdgePointCoordinates"), ("VERTEX", "VertexCoordinates"),
    ("Vertices", "Coordinates"), ("Vertices", "VertexCoordinates"),
)  # fmt: skip
"""Declared arrays of positions, in order of preference."""


def read(path: Path) -> PickTable:
    """Read the positions; raises `TomoPickerError` if there are not as many as declared."""
    if b"BINARY" in read_bytes(path, 200).partition(b"\n")[0]:
        raise TomoPickerError(f"{path}: it is a binary file of Amira; save it there as ASCII")
    text = read_text(path)
    sections = {(kind, name): section for kind, name, section in _DECLARATION.findall(text)}
    kind, section = next(((key[0], sections[key]) for key in _POSITIONS if key in sections), ("", ""))
    if not section:
        raise TomoPickerError(f"{path}: it has neither landmarks nor points of a graph; give another file of Amira")
    points = _section(text, section)
    if any(len(fields) != 3 for fields in points):
        raise TomoPickerError(f"{path}: section {section} has not three numbers in each line; correct the file")
    counts = dict(_COUNT.findall(text))
    if int(counts.get(kind, len(points))) != len(points):
        raise TomoPickerError(f"{path}: it states {counts[kind]} {kind} and has {len(points)}; copy it again")
    rows = Rows.counted(path, "point", len(points))
    columns = {axis: [fields[i] for fields in points] for i, axis in enumerate("xyz")}
    return rows.table(rows.stack(columns), Unit.ANGSTROM)


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a set of landmarks."""
    header = (
        f"# AmiraMesh 3D ASCII 2.0\n\n\ndefine Markers {len(picks)}\n\n"
        'Parameters {\n    NumSets 1,\n    ContentType "LandmarkSet"\n}\n\n'
        "Markers { float[3] Coordinates } @1\n\n# Data section follows\n@1\n"
    )
    points = to_file_units(picks, frames, Unit.ANGSTROM)
    write_text(path, header + "".join(f"{x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in points))


def _section(text: str, mark: str) -> list[list[str]]:
    """Return the fields of each line of the section that begins with `mark`."""
    rows: list[list[str]] = []
    is_inside = False
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 1 and fields[0].startswith("@"):
            is_inside = fields[0] == mark
        elif is_inside and fields and not fields[0].startswith("#"):
            rows.append(fields)
    return rows
