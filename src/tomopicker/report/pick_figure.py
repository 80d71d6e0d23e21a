"""The picture that `pick` leaves of each tomogram: the section that most picks lie near, a box around each of them."""

from pathlib import Path

import numpy as np

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
