"""The picture that `pick` leaves of each tomogram: the section that most picks lie near, a box around each of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import formats
from tomopicker.errors import TomoPickerError
from tomopicker.folder.one_tomogram import files_of, picture_of
from tomopicker.formats.stored import Stored
from tomopicker.picks import Picks
from tomopicker.report.figures import PICK_COLOUR, Layer, fullest_section, slice_figure
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions


def pick_figure(tomogram: Tomogram, positions: Positions, particle_diameter: float, path: Path) -> None:
    """Write the picture; without picks, the middle section.

    Parameters
    ----------
    tomogram : Tomogram
        Only a few sections are read.
    positions : Positions
        The picks in it, (x, y, z) in Å.
    particle_diameter : float
        Å: the edge of the boxes, and twice the distance from the section within which picks are drawn.
    path : Path
        ``.png``, ``.svg`` or ``.pdf``; written whole or not at all.

    Raises
    ------
    TomoPickerError
        If it cannot be written, or the sections cannot be read.
    """
    z = fullest_section(tomogram, positions, particle_diameter)
    away = np.abs(tomogram.to_voxels(positions)[:, 2] - z) * tomogram.voxel_size
    near = int((away <= particle_diameter / 2).sum())
    of = f"{near} of {len(positions)} picks within {particle_diameter / 20:.3g} nm"
    scale = f" (voxels of {tomogram.voxel_size:g} Å)" if tomogram.finest is not None else ""
    layers = [Layer("picks", positions, PICK_COLOUR)]
    slice_figure(tomogram, z, layers, particle_diameter, path, f"{tomogram.name}, section z = {z}{scale}: {of}")


def draw_again(folder: Path, name: str, record: Mapping[str, Any]) -> str | None:
    """Draw a tomogram's picks of a results folder once more, if its file is still there.

    Parameters
    ----------
    folder : Path
        Results of ``tomopicker pick``.
    name : str
        Of the tomogram.
    record : mapping
        Content of the folder's ``picks.json``.

    Returns
    -------
    str or None
        In a line, why it could not be drawn.
    """
    entry, asked, picture = record["tomograms"][name], record["settings"], picture_of(folder, name)
    stored = Stored(asked.get("dataset"), asked.get("axes"))
    try:
        tomogram = formats.open_tomogram(
            entry["path"], voxel_size=entry["voxel_size_angstrom"], invert=entry["inverted"], stored=stored
        )
        if tomogram.name != name or list(tomogram.shape) != entry["shape_zyx"]:
            raise TomoPickerError(f"{entry['path']}: is another tomogram now")
        csv = files_of(folder, name)[1]
        picks = formats.read_picks(csv, [tomogram]) if entry["picks"] else Picks.concatenate([])
    except (TomoPickerError, KeyError, TypeError) as error:
        return f"{picture}: removed, for it cannot be drawn again ({error})"
    try:
        pick_figure(tomogram, picks.positions, record["model"]["settings"]["particle_diameter"], picture)
    except Exception as error:  # The picks stand without it.
        return f"{picture}: not drawn ({' '.join(str(error).split()) or type(error).__name__})"
    return None
