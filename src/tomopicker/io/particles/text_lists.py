"""Lists of positions as text, each with the columns of one program; voxels, 0 at the centre of the first.

TomoTwin, DeepETPicker, RELION's import and many scripts have ``x y z`` without a header, perhaps with labels first
(DeepETPicker's class, IMOD's contour). napari and Topaz have headers, and are read as any delimited text.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS
from tomopicker.io.columns import Rows, column_or_default, to_strings
from tomopicker.io.particles.delimited import format_fixed, format_scores, read_columns, write_table
from tomopicker.io.particles.imod import INDEX_ORIGIN as IMOD_ORIGIN
from tomopicker.io.text import read_text
from tomopicker.picks import Picks

_COORDS = {4: (CLASS, "x", "y", "z"), 5: ("object", CLASS, "x", "y", "z")}
_SHREC = {7: ("class", "x", "y", "z", "angle_1", "angle_2", "angle_3")}
_TOMONAME = re.compile(r"^#\s*TOMONAME[ \t]+(\S.*?)\s*$", re.MULTILINE)


def read_coords(path: Path) -> PickTable:
    """Read three columns, or four or five with labels first."""
    return read_columns(path, _COORDS)


def read_box(path: Path) -> PickTable:
    """Read the centres in crYOLO's ``EMAN_3D/*.box``; EMAN's 2D boxes, ``x y width height``, are refused."""
    _, lines = Rows.of_lines(path)
    if lines and len(lines[0].split()) > 3:
        raise TomoPickerError(f"{path}: these are boxes on a 2D image, without z; give crYOLO's .cbox or EMAN_3D/*.box")
    return read_coords(path)


def read_pytom(path: Path) -> PickTable:
    """Read coordinates of PyTom's picker, and the tomogram's name from the comment above them."""
    table = read_coords(path)
    name = _TOMONAME.search(read_text(path))
    return table if name is None else replace(table, tomograms=to_strings([name.group(1)] * len(table)))


def read_shrec(path: Path) -> PickTable:
    """Read SHREC's ``class x y z`` and three angles.

    The class is a PDB code; the angles are kept as columns and not converted, because their meaning changed over the
    years of the challenge.
    """
    return read_columns(path, _SHREC)


def read_imod(path: Path) -> PickTable:
    """Read the output of ``model2point``, ``[[object] contour] x y z`` in a model's coordinates.

    They are half a voxel more in x and y than plain lists, which look the same, so the format must be named.
    """
    return replace(read_coords(path), index_origin=IMOD_ORIGIN)


def refuse_pickle(path: Path) -> NoReturn:
    """Refuse TomoTwin's ``.tloc``, a Python pickle that can run any code when it is loaded."""
    remedy = "give the .coords or .cbox that tomotwin_pick.py wrote with it"
    raise TomoPickerError(f"{path}: it is a Python pickle, which may run code when it is read; {remedy}")


def write_coords(
    picks: Picks, frames: Mapping[str, Frame], path: Path, index_origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> None:
    """Write x, y and z alone: RELION's import takes columns after the third for angles."""
    points = to_file_units(picks, frames, Unit.VOXEL, index_origin=index_origin)
    write_text(path, "".join(" ".join(format_fixed(point)) + "\n" for point in points))


def write_imod(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write x, y and z for ``point2model``."""
    write_coords(picks, frames, path, IMOD_ORIGIN)


def write_deepetpicker(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write class (1 if unknown), x, y and z, separated by tabs."""
    classes = column_or_default(picks, CLASS, 1.0)
    points = to_file_units(picks, frames, Unit.VOXEL)
    lines = ["\t".join([f"{label:.0f}", *format_fixed(point)]) for label, point in zip(classes, points, strict=True)]
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_napari(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write napari's points: ``index``, z, y, x and the score; in voxels, as its CSV leaves out a layer's scale."""
    z_y_x = to_file_units(picks, frames, Unit.VOXEL)[:, ::-1]
    columns: dict[str, object] = {"index": np.arange(len(picks), dtype=np.int64)}
    columns |= {f"axis-{i}": format_fixed(values) for i, values in enumerate(z_y_x.T)}
    if not np.isnan(picks.scores).all():
        columns["score"] = format_scores(picks.scores, missing="")
    write_table(columns, path)


def write_topaz(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write Topaz' 3D columns, separated by tabs; a missing score is nan, which pandas reads.

    The image is the tomogram without its suffix. Topaz' own tables lack z and cannot be read.
    """
    columns: dict[str, object] = {"image_name": [" ".join(str(name).split()) for name in picks.tomograms]}
    for axis, values in zip("xyz", to_file_units(picks, frames, Unit.VOXEL).T, strict=True):
        columns[f"{axis}_coord"] = format_fixed(values)
    if not np.isnan(picks.scores).all():
        columns["score"] = format_scores(picks.scores, missing="nan")
    write_table(columns, path, "\t")
