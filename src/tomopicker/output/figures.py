"""The paper's figures 2 to 4: one section of a tomogram with a box around each particle, truth blue, picks green.

Figures neither use pyplot nor change rcParams, so that plots of a calling script are unaffected.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import ArrayLike

from tomopicker.errors import UsageError
from tomopicker.files import PICTURE_SUFFIXES, atomic_path, check_suffix
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions

TRUTH_COLOUR = "#2f7bff"
"""Blue, as ground truth in the paper."""
PICK_COLOUR = "#35d04a"
"""Green, as predictions in the paper."""

PERCENTILES = (1.0, 99.0)
DPI = 200
LINE_WIDTH, EXTRA_WIDTH = 1.1, 1.0
"""Width of the top layer's lines, and added width of each layer below, which shows where boxes coincide; points."""
AVERAGED_FRACTION = 0.25
"""Fraction of the particle's diameter over which sections are averaged."""

MARGIN, TITLE_HEIGHT, LEGEND_HEIGHT = 0.06, 0.24, 0.26
MIN_WIDTH, MAX_WIDTH, INCHES_PER_VOXEL = 4.0, 7.0, 1 / 100
BAR_FRACTION, SMALL_BAR_FRACTION, BAR_INSET, BAR_THICKNESS = 0.2, 0.45, 0.035, 0.012

Section = Float32[np.ndarray, "y x"]
Depths = Float64[np.ndarray, " n"]


@dataclass(frozen=True)
class Layer:
    """Positions (x, y, z), in Å from the centre of the first voxel, drawn in one colour, with a name for the legend."""

    name: str
    positions: Positions
    colour: str


def slice_figure(
    tomogram: Tomogram, z: int, layers: Sequence[Layer], particle_diameter: float, path: Path, title: str | None = None
) -> None:
    """Write one xy section with boxes around the particles it cuts (figures 2 to 4).

    Parameters
    ----------
    tomogram : Tomogram
        Only the sections around `z` are read.
    z : int
        Section, from 0.
    layers : sequence of Layer
        The last is drawn on top.
    particle_diameter : float
        Edge of the boxes, Å; particles within half of it from the section are drawn.
    path : Path
        A ``.png``, ``.svg`` or ``.pdf``, written whole or not at all.
    title : str, optional
        Tomogram and section if left out.

    Raises
    ------
    UsageError
        If the suffix is another one, or the tomogram has no such section.
    """
    save_figure(compose_slice(tomogram, z, layers, particle_diameter, title), path)


def save_figure(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a figure, whole or not at all, in the format of its suffix; equal figures give equal files.

    Raises `UsageError` if the suffix is not ``.png``, ``.svg`` or ``.pdf``.
    """
    check_suffix(path, PICTURE_SUFFIXES, "a picture")
    suffix = path.suffix.lower()
    without_date: dict[str, dict[str, str | None]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=without_date.get(suffix))


def compose_slice(
    tomogram: Tomogram, z: int, layers: Sequence[Layer], particle_diameter: float, title: str | None = None
) -> Figure:
    """Draw the figure that `slice_figure` writes.

    Its one axes is in voxels, x to the right, y upwards as in 3dmod, the first voxel's centre at 0. The boxes of each
    layer are a `PolyCollection` labelled with the layer's name.
    """
    sections, height, width = tomogram.shape
    if not 0 <= z < sections:
        raise UsageError(f"{tomogram.path or tomogram.name}: has sections 0 to {sections - 1}, not {z}")
    figure, axes = _canvas(width, height)
    grey = section(tomogram, z, particle_diameter)
    draw_grey(axes, grey, np.percentile(grey, PERCENTILES).tolist())
    axes.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, height - 0.5))
    counts = [
        _draw_boxes(axes, layer, tomogram, z, particle_diameter, LINE_WIDTH + EXTRA_WIDTH * (len(layers) - 1 - index))
        for index, layer in enumerate(layers)
    ]
    draw_scale_bar(axes, width, tomogram.voxel_size)
    middle = 1 - (MARGIN + TITLE_HEIGHT / 2) / figure.get_figheight()
    title = f"{tomogram.name}, section z = {z}" if title is None else title
    figure.text(0.5, middle, title, ha="center", va="center", fontsize=9)
    _draw_legend(figure, layers, counts)
    return figure


def best_section(depths: Depths, n_sections: int, reach: float = 10) -> int:
    """Return the section, from 0, near which most particles lie; among equals the one closest to the middle.

    Depths are in voxels from the first section; particles within `reach` voxels of a section count.
    """
    candidates = np.arange(n_sections)
    counts = (np.abs(depths[None, :] - candidates[:, None]) <= reach).sum(axis=1)
    nearness = -np.abs(candidates - (n_sections - 1) / 2)
    return int(np.lexsort((nearness, counts))[-1])


def fullest_section(tomogram: Tomogram, positions: Positions, particle_diameter: float) -> int:
    """Return the section in which `slice_figure` draws most positions (Å); see `best_section`."""
    depths = tomogram.to_voxels(positions)[:, 2]
    return best_section(depths, tomogram.shape[0], particle_diameter / 2 / tomogram.voxel_size)


def _canvas(width: int, height: int) -> tuple[Figure, Axes]:
    """Create a figure filled by the image, with a line of text above and one below it."""
    inches = min(max(width * INCHES_PER_VOXEL, MIN_WIDTH), MAX_WIDTH)
    image = (inches - 2 * MARGIN) * height / width
    total = image + 2 * MARGIN + TITLE_HEIGHT + LEGEND_HEIGHT
    figure = Figure(figsize=(inches, total), facecolor="white")
    bottom = (MARGIN + LEGEND_HEIGHT) / total
    axes = figure.add_axes((MARGIN / inches, bottom, 1 - 2 * MARGIN / inches, image / total))
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def section(tomogram: Tomogram, z: int, particle_diameter: float) -> Section:
    """Average the sections within an eighth of the particle's diameter, for contrast."""
    reach = int(particle_diameter * AVERAGED_FRACTION / 2 / tomogram.voxel_size)
    mean: Section = tomogram.slab(max(0, z - reach), min(tomogram.shape[0], z + reach + 1)).mean(axis=0)
    return mean


def _draw_boxes(axes: Axes, layer: Layer, tomogram: Tomogram, z: int, particle_diameter: float, line: float) -> int:
    """Draw the boxes of a layer; return their number."""
    voxels = tomogram.to_voxels(layer.positions)
    half = particle_diameter / 2 / tomogram.voxel_size
    centres = voxels[np.abs(voxels[:, 2] - z) <= half][:, :2]
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    boxes = PolyCollection(
        list(centres[:, None] + corners[None]), label=layer.name, facecolors="none", edgecolors=layer.colour,
        linewidths=line,
    )  # fmt: skip
    axes.add_collection(boxes, autolim=False)
    return len(centres)


def draw_circles(axes: Axes, centres: ArrayLike, diameters: ArrayLike, **style: Any) -> None:
    """Draw circles in the colour of picks; centres (n, 2) and diameters (n,) are in units of the axes."""
    circles = EllipseCollection(
        diameters, diameters, np.zeros_like(diameters), units="xy", offsets=centres, offset_transform=axes.transData,
        facecolors="none", edgecolors=PICK_COLOUR, **style,
    )  # fmt: skip
    axes.add_collection(circles, autolim=False)


def draw_grey(axes: Axes, picture: Section, limits: Sequence[float]) -> None:
    """Draw a picture in grey between two limits, y upwards, without ticks."""
    axes.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1], origin="lower", interpolation="bicubic")
    axes.set(xticks=[], yticks=[])


def draw_scale_bar(axes: Axes, width: int, voxel_size: float, *, small: bool = False) -> None:
    """Draw a white, outlined bar of a round number of nm.

    The axes are in voxels, the picture `width` voxels wide, the voxel size in Å. In a picture of less than two inches
    (`small`) the bar is longer and its label smaller.
    """
    nanometres = _round_length((SMALL_BAR_FRACTION if small else BAR_FRACTION) * width * voxel_size / 10)
    length = nanometres * 10 / voxel_size
    thickness, inset = BAR_THICKNESS * width * (2 if small else 1), BAR_INSET * width * (1.5 if small else 1)
    left, bottom = -0.5 + inset, -0.5 + inset
    bar = Rectangle((left, bottom), length, thickness, facecolor="white", edgecolor="black", linewidth=0.8, zorder=5)
    bar.set_gid("scale-bar")
    axes.add_patch(bar)
    label = axes.text(  # Aligned to the left: the label may be wider than the bar.
        left, bottom + 1.6 * thickness, f"{nanometres:g} nm", color="white", fontsize=6.5 if small else 8.5,
        fontweight="bold", ha="left", va="bottom", zorder=5,
    )  # fmt: skip
    label.set_path_effects([Stroke(linewidth=2, foreground="black"), Normal()])


def _round_length(maximum: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50, … up to a maximum."""
    power = 10.0 ** math.floor(math.log10(maximum))
    return max(step * power for step in (1, 2, 5) if step * power <= maximum * (1 + 1e-9))


def _draw_legend(figure: Figure, layers: Sequence[Layer], counts: Sequence[int]) -> None:
    """Write names and numbers of boxes of the layers below the image."""
    if not layers:
        return
    squares = [
        Line2D([], [], linestyle="none", marker="s", markersize=8, markeredgewidth=1.5, markerfacecolor="none",
               markeredgecolor=layer.colour)
        for layer in layers
    ]  # fmt: skip
    figure.legend(
        squares, [f"{layer.name} ({count})" for layer, count in zip(layers, counts, strict=True)], loc="center",
        bbox_to_anchor=(0.5, (MARGIN + LEGEND_HEIGHT / 2) / figure.get_figheight()), ncols=len(layers), frameon=False,
        fontsize=9, borderpad=0, handletextpad=0.3, columnspacing=2.0,
    )  # fmt: skip


def pick_figure(tomogram: Tomogram, positions: Positions, particle_diameter: float, path: Path) -> None:
    """Write the section of a tomogram near which most picks lie; without picks, the middle one.

    Positions (x, y, z) are in Å; the other parameters and errors are as for `slice_figure`.
    """
    z = fullest_section(tomogram, positions, particle_diameter)
    distance = np.abs(tomogram.to_voxels(positions)[:, 2] - z) * tomogram.voxel_size
    near = int((distance <= particle_diameter / 2).sum())
    count = f"{near} of {len(positions)} picks within {particle_diameter / 20:.3g} nm"
    scale = f" (voxels of {tomogram.voxel_size:g} Å)" if tomogram.finest is not None else ""
    layers = [Layer("picks", positions, PICK_COLOUR)]
    slice_figure(tomogram, z, layers, particle_diameter, path, f"{tomogram.name}, section z = {z}{scale}: {count}")
