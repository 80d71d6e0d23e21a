"""Amira and Avizo: landmarks (``.landmarkAscii``) and spatial graphs (``.am``) as ASCII, one tomogram a file.

Coordinates are Å of the scene, where a tomogram opened in Å has the centre of its first voxel at 0: Amira's bounding
box goes from the centre of the first voxel to that of the last. Of a spatial graph, such as traced filaments, the
points along its edges are read, or its vertices where there are no points. Binary files are refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.columns import Rows
from tomopicker.io.text import read_text
from tomopicker.picks import Picks

_DECLARED = re.compile(r"^[ \t]*(\w+)[ \t]*\{[ \t]*(?:float|double)\[3\][ \t]+(\w+)[ \t]*\}[ \t]*=?[ \t]*(@\d+)", re.M)
_COUNT = re.compile(r"^[ \t]*define[ \t]+(\w+)[ \t]+(\d{1,9})", re.M)
_HOLD_POSITIONS = (
    ("Markers", "Coordinates"), ("POINT", "EdgePointCoordinates"), ("VERTEX", "VertexCoordinates"),
    ("Vertices", "Coordinates"), ("Vertices", "VertexCoordinates"),
)  # fmt: skip
"""Kinds of positions in the order of preference."""


def read(path: Path) -> PickTable:
    """Read the positions.

    Raises `TomoPickerError` if it is binary, holds no positions, or not as many as it states.
    """
    source = str(path)
    with path.open("rb") as stream:
        if b"BINARY" in stream.readline(200):
            raise TomoPickerError(f"{source}: it is a binary file of Amira; save it there as ASCII")
    text = read_text(path)
    declared = {(kind, name): section for kind, name, section in _DECLARED.findall(text)}
    found = next((each for each in _HOLD_POSITIONS if each in declared), None)
    if found is None:
        raise TomoPickerError(f"{source}: it has neither landmarks nor points of a graph; give another file of Amira")
    lines = _section(text, declared[found])
    if any(len(fields) != 3 for fields in lines):
        raise TomoPickerError(
            f"{source}: section {declared[found]} has not three numbers in each line; correct the file"
        )
    counts = dict(_COUNT.findall(text))
    if int(counts.get(found[0], len(lines))) != len(lines):
        raise TomoPickerError(f"{source}: it states {counts[found[0]]} {found[0]} and has {len(lines)}; copy it again")
    rows = Rows.counted(path, "point", len(lines))
    return rows.table(
        rows.stack({axis: [fields[i] for fields in lines] for i, axis in enumerate("xyz")}), Unit.ANGSTROM
    )


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
    """Return the fields of each line below a mark, up to the next one."""
    wanted: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 1 and fields[0].startswith("@"):
            inside = fields[0] == mark
        elif inside and fields and not fields[0].startswith("#"):
            wanted.append(fields)
    return wanted
