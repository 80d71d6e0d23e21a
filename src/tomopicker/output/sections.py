"""Sections of a tomogram with axes in voxels, from which positions can be read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from tomopicker.errors import TomoPickerError
from tomopicker.files import refuse_to_replace
from tomopicker.output.figures import PERCENTILES, PICK_COLOUR, draw_circles, draw_scale_bar, save_figure
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions

DPI = 100
MAX_PIXELS, MAX_PIXELS_PER_VOXEL = 1600, 4
"""Maximum of the longer edge of the image, and of the edge of a voxel."""
LEFT, RIGHT, TOP, BOTTOM = 0.75, 0.25, 0.4, 0.65
"""Margins around the image in inches."""
GRID_COLOUR = "#ffd54a"


def sections_every(tomogram: Tomogram, distance: float) -> list[int]:
    """Return equally spaced sections (z, from 0), the first half a distance from the bottom.

    The distance in Å is rounded to whole sections, at least one.
    """
    sections = tomogram.shape[0]
    step = min(sections, max(1, round(distance / tomogram.voxel_size)))
    return list(range((step - 1) // 2, sections, step))


def draw_sections(
    tomograms: Sequence[Tomogram], distance: float, folder: Path, picks: Picks | None, *, overwrite: bool
) -> list[Path]:
    """Write PNG files of equally spaced xy sections, with picks marked; see `compose_section`.

    Parameters
    ----------
    tomograms : sequence of Tomogram
    distance : float
        Distance of two sections and thickness of each, Å.
    folder : Path
        Files are named ``TOMOGRAM_zZZZZ.png``.
    picks : Picks, optional
        Picks to mark.
    overwrite : bool
        Replace existing files.

    Returns
    -------
    list of Path

    Raises
    ------
    UsageError
        If a file exists already, unless `overwrite`.
    """
    planned = [(tomogram, z) for tomogram in tomograms for z in sections_every(tomogram, distance)]
    files = [folder / f"{tomogram.name}_z{z:04d}.png" for tomogram, z in planned]
    refuse_to_replace(files, overwrite)
    for (tomogram, z), file in zip(planned, files, strict=True):
        positions = None if picks is None else picks.in_tomogram(tomogram.name).positions
        save_figure(compose_section(tomogram, z, distance, positions), file, DPI)
    return files


def compose_section(tomogram: Tomogram, z: int, thickness: float, positions: Positions | None = None) -> Figure:
    """Draw one xy section with ticks and a grid in voxels.

    Parameters
    ----------
    tomogram : Tomogram
        Only the averaged sections are read.
    z : int
        Section, from 0.
    thickness : float
        Thickness of the averaged slab, Å.
    positions : Positions, optional
        (x, y, z) in Å from the centre of the first voxel; those inside the slab are marked.

    Returns
    -------
    Figure
        Its one axes is in voxels, x to the right, y upwards, 0 at the centre of the first voxel.

    Raises
    ------
    TomoPickerError
        If the section has no finite voxel.
    """
    sections, height, width = tomogram.shape
    reach = max(0, (round(thickness / tomogram.voxel_size) - 1) // 2)
    first, last = max(0, z - reach), min(sections - 1, z + reach)
    grey = tomogram.slab(first, last + 1).mean(axis=0)
    finite = grey[np.isfinite(grey)]
    if not finite.size:
        raise TomoPickerError(f"{tomogram.path or tomogram.name}: section {z} holds no finite voxel; repair the file")
    low, high = np.percentile(finite, PERCENTILES).tolist()

    scale = min(MAX_PIXELS_PER_VOXEL, MAX_PIXELS / max(width, height))
    across, up = width * scale / DPI, height * scale / DPI
    size = (across + LEFT + RIGHT, up + TOP + BOTTOM)
    figure = Figure(figsize=size, facecolor="white")
    axes = figure.add_axes((LEFT / size[0], BOTTOM / size[1], across / size[0], up / size[1]))
    axes.imshow(grey, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="nearest", aspect="auto")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, height - 0.5), xlabel="x (voxels)", ylabel="y (voxels)")
    major = _tick_step(max(width, height), scale)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(major))
        axis.set_minor_locator(MultipleLocator(major / 5))
        axis.set_tick_params(labelsize=8)
    axes.grid(color=GRID_COLOUR, alpha=0.5, linewidth=0.6)
    if positions is not None:
        voxels = tomogram.to_voxels(positions)
        near = voxels[np.abs(voxels[:, 2] - z) * tomogram.voxel_size <= thickness / 2, :2]
        draw_circles(axes, near, np.full(len(near), thickness / tomogram.voxel_size), linewidths=1.2)
        axes.plot(*near.T, "+", color=PICK_COLOUR, markersize=5, markeredgewidth=0.9)
    draw_scale_bar(axes, width, tomogram.voxel_size)
    averaged = f"sections {first} to {last} averaged" if last > first else "one section"
    figure.text(
        0.5, 1 - TOP / 2 / size[1], f"{tomogram.name}   z = {z}   ({averaged}; voxels of {tomogram.voxel_size:g} Å)",
        ha="center", va="center", fontsize=9,
    )  # fmt: skip
    return figure


def _tick_step(edge: int, scale: float) -> int:
    """Return a round number of voxels between ticks about 80 pixels apart."""
    ticks = MaxNLocator(nbins=max(2, int(edge * scale / 80)), integer=True, steps=[1, 2, 5, 10]).tick_values(0, edge)
    return max(1, round(float(ticks[1] - ticks[0])))
