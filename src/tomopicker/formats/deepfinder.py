"""DeepFinder's object lists: voxels, 0 at the centre of the first (it indexes arrays), class, and perhaps angles.

The angles are carried as the columns phi, psi and the, unturned: what frame they are in depends on where the list
came from.
"""

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd

from tomopicker.files import write_text
from tomopicker.formats import tomogram_index, xmltext
from tomopicker.formats.angles import CLASS
from tomopicker.formats.columns import carried, check_coordinates, natural, numbers
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks

_KEPT = ("phi", "psi", "the", "cluster_size", "obj_id")


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its first element."""
    return xmltext.starts_with(head, b"objlist")


def read(path: Path) -> PickTable:
    """Read a list; the tomograms' names from ``<stem>.doc`` if it is there.

    Raises
    ------
    TomoPickerError
        If it is no XML, or a position is no number.
    """
    source = str(path)
    objects = list(xmltext.read_root(path).iter("object"))
    rows = [f"object {i + 1}" for i in range(len(objects))]
    columns = [numbers([one.get(axis, "") for one in objects], axis, source, rows) for axis in "xyz"]
    coordinates = np.stack(columns, axis=1)
    check_coordinates(coordinates, source, rows)
    index = numbers([one.get("tomo_idx", "0") for one in objects], "tomo_idx", source, rows, blank=0.0)
    extra = {CLASS: natural([one.get("class_label", "1") for one in objects])}
    present = [name for name in _KEPT if any(name in one.attrib for one in objects)]
    extra |= {name: natural([one.get(name, "") for one in objects]) for name in present}
    return PickTable(
        coordinates,
        Unit.VOXEL,
        tomogram_index.named(index, path),
        np.full(len(objects), np.nan),
        extra=pd.DataFrame(extra, index=range(len(objects))),
        source=source,
    )


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a list, and ``<stem>.doc`` beside it."""
    n = len(picks)
    index = tomogram_index.numbered(picks.tomogram_names, path) if n else {}
    classes = carried(picks.extra, CLASS, n, default=1.0)
    kept = {name: carried(picks.extra, name, n) for name in _KEPT if name in picks.extra}
    root = ET.Element("objlist")
    for i, point in enumerate(express(picks, frames, Unit.VOXEL)):
        label = {"tomo_idx": str(index[picks.tomograms[i]]), "class_label": f"{classes[i]:g}"}
        place = {axis: f"{value:.4f}" for axis, value in zip("xyz", point, strict=True)}
        ET.SubElement(root, "object", label | place | {name: f"{values[i]:g}" for name, values in kept.items()})
    ET.indent(root)
    write_text(path, ET.tostring(root, encoding="unicode") + "\n")
