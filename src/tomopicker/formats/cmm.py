"""Markers of Chimera and ChimeraX: x, y, z in Å of the scene, one tomogram a file.

ChimeraX puts a map whose header has no origin with the centre of its first voxel at 0, so markers clicked on it are Å
from there. If the header has an origin, or the map was moved, markers are moved with it: see ``--shift``.
"""

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.formats import xmltext
from tomopicker.formats.columns import carried, check_coordinates, names, natural, numbers
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks

_LOOKS = {"r": 1.0, "g": 1.0, "b": 0.0, "radius": 50.0}


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its suffix or its first element."""
    return path.suffix.lower() == ".cmm" or xmltext.starts_with(head, b"marker_set", b"marker_sets")


def read(path: Path) -> PickTable:
    """Read all markers of all sets; links between them are left out.

    Raises
    ------
    TomoPickerError
        If it is no XML, or a marker has no position.
    """
    source = str(path)
    markers = list(xmltext.read_root(path).iter("marker"))
    rows = [f"marker {i + 1}" for i in range(len(markers))]
    columns = [numbers([m.get(axis, "") for m in markers], axis, source, rows) for axis in "xyz"]
    coordinates = np.stack(columns, axis=1)
    check_coordinates(coordinates, source, rows)
    others = [name for name in ("id", *_LOOKS, "note") if any(name in m.attrib for m in markers)]
    extra = {f"marker_{name}": natural([m.get(name, "") for m in markers]) for name in others}
    return PickTable(
        coordinates,
        Unit.ANGSTROM,
        names([""] * len(markers)),
        np.full(len(markers), np.nan),
        extra=pd.DataFrame(extra, index=range(len(markers))),
        source=source,
    )


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write one set of yellow markers, 50 Å wide in radius unless the picks came with colours and radii."""
    n = len(picks)
    title = picks.tomogram_names[0] if n else "picks"
    if any(ord(character) < 32 for character in title):
        raise TomoPickerError(f"{path}: the tomogram name {title!r} cannot stand in XML; rename it")
    looks = {name: carried(picks.extra, f"marker_{name}", n, default) for name, default in _LOOKS.items()}
    points = express(picks, frames, Unit.ANGSTROM)
    lines = [f"<marker_set name={quoteattr(title)}>"]
    for i, (x, y, z) in enumerate(points):
        look = " ".join(f'{name}="{values[i]:g}"' for name, values in looks.items())
        lines.append(f'<marker id="{i + 1}" x="{x:.4f}" y="{y:.4f}" z="{z:.4f}" {look}/>')
    write_text(path, "\n".join([*lines, "</marker_set>"]) + "\n")
