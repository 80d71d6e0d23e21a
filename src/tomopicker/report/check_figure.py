"""The picture of `tomopicker check`: a section with a circle around each pick, the means, and single picks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tomopicker.data.subtomograms import subtomograms
from tomopicker.report.figures import PICK_COLOUR, draw_scale_bar, fullest_section, save_figure, section
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Volume

__all__ = ["check_figure", "mean_figure"]

WIDTH, HEIGHT = 7.2, 5.6
COLUMNS, ROWS = 9, 2
"""Of the gallery."""
GALLERY_EDGE = 1.6
"""Of a gallery's picture, in diameters."""
PLANES = (("x", "y", 0), ("x", "z", 1), ("y", "z", 2))
"""Horizontal axis, vertical axis, and the array axis that is cut."""


def check_figure(
    tomogram: Tomogram,
    positions: Positions,
    means: Mapping[str, Float32[np.ndarray, "z y x"]],
    mean_voxel_size: float,
    particle_diameter: float,
    path: Path,
) -> None:
    """Write the picture.

    Parameters
    ----------
    tomogram : Tomogram
        Of the section and the gallery.
    positions : Positions
        The picks in it, (x, y, z) in Å.
    means : mapping of str to array, (z, y, x)
        Mean subtomograms of one size, by name.
    mean_voxel_size : float
        Å, of the means.
    particle_diameter : float
        Å.
    path : Path
        ``.png``, ``.svg`` or ``.pdf``; written whole or not at all.

    Raises
    ------
    UsageError
        If the suffix is another.
    """
    figure = _figure(HEIGHT)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.3, 1.9)).flat
    left, right = top.subfigures(1, 2, squeeze=False, width_ratios=(1.0, 1.0)).flat
    _draw_section(left, tomogram, positions, particle_diameter)
    _draw_means(right, means, mean_voxel_size, particle_diameter)
    _draw_gallery(bottom, tomogram, positions, particle_diameter)
    save_figure(figure, path)


def mean_figure(means: Mapping[str, Float32[np.ndarray, "z y x"]], voxel_size: float, path: Path) -> None:
    """Write a picture of the central planes of mean subtomograms alone; as `check_figure`, without a particle's size.

    Raises
    ------
    UsageError
        If the suffix is another than those of `check_figure`.
    """
    figure = _figure(0.3 + len(means) * WIDTH / 3)
    _draw_means(figure, means, voxel_size, None)
    save_figure(figure, path)


def _figure(height: float) -> Figure:
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03)
    return Figure(figsize=(WIDTH, height), facecolor="white", layout=layout)


def _draw_section(place: SubFigure, tomogram: Tomogram, positions: Positions, diameter: float) -> None:
    """Draw the section that most picks lie near, a circle where each pick's ball is cut."""
    axes = place.subplots()
    z = fullest_section(tomogram, positions, diameter)
    _show(axes, section(tomogram, z, diameter), (1.0, 99.0))
    voxels = tomogram.to_voxels(positions)
    radius, above = diameter / 2 / tomogram.voxel_size, voxels[:, 2] - z
    cut = np.abs(above) < radius
    width = 2 * np.sqrt(radius**2 - np.square(above[cut]))
    circles = EllipseCollection(
        width, width, np.zeros_like(width), units="xy", offsets=voxels[cut, :2], offset_transform=axes.transData,
        facecolors="none", edgecolors=PICK_COLOUR, linewidths=1.1,
    )  # fmt: skip
    axes.add_collection(circles, autolim=False)
    height, width_voxels = tomogram.shape[1:]
    axes.set(xlim=(-0.5, width_voxels - 0.5), ylim=(-0.5, height - 0.5))
    draw_scale_bar(axes, width_voxels, tomogram.voxel_size)
    axes.set_title(f"{tomogram.name}, z = {z}: {cut.sum()} of {len(positions)} picks", fontsize=8)


def _draw_means(
    place: FigureBase, means: Mapping[str, Float32[np.ndarray, "z y x"]], voxel_size: float, diameter: float | None
) -> None:
    """Draw the central planes of each mean, a circle of the particle's size in the middle if it is known."""
    grid = place.subplots(len(means), 3, squeeze=False)
    edge = len(next(iter(means.values())))
    middle = edge // 2
    radius = None if diameter is None else diameter / 2 / voxel_size
    reach = (edge - 1) // 2 if radius is None else min(middle, int(np.ceil(1.5 * radius)))
    # One scale of grey for all: a mean of nothing then looks like nothing.
    limits = np.percentile(np.stack(list(means.values())), (0.2, 99.8)).tolist()
    for row, (words, mean) in zip(grid, means.items(), strict=True):
        inner = mean[(slice(middle - reach, middle + reach + 1),) * 3]
        for axes, (across, up, cut) in zip(row, PLANES, strict=True):
            plane = inner.take(reach, axis=cut)
            # The yz plane lies with y across: its rows are z already.
            axes.imshow(plane, cmap="gray", vmin=limits[0], vmax=limits[1], origin="lower", interpolation="bicubic")
            if radius is None:
                axes.plot([reach], [reach], "+", color=PICK_COLOUR, markersize=7, markeredgewidth=0.8)
            else:
                _circle(axes, reach, radius)
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(f"{across}{up}", fontsize=8, labelpad=2)
        row[1].set_title(f"mean {words}", fontsize=8)
    draw_scale_bar(grid[-1, 0], 2 * reach + 1, voxel_size, small=len(means) > 1)


def _circle(axes: Axes, middle: float, radius: float) -> None:
    ring = EllipseCollection(
        [2 * radius], [2 * radius], [0], units="xy", offsets=[(middle, middle)], offset_transform=axes.transData,
        facecolors="none", edgecolors=PICK_COLOUR, linewidths=0.8, linestyles="dashed",
    )  # fmt: skip
    axes.add_collection(ring, autolim=False)
    axes.plot([middle], [middle], "+", color=PICK_COLOUR, markersize=5, markeredgewidth=0.8)


def _draw_gallery(place: SubFigure, tomogram: Tomogram, positions: Positions, diameter: float) -> None:
    """Draw the middle of single picks, evenly chosen from the whole file."""
    grid = place.subplots(ROWS, COLUMNS)
    radius = diameter / 2 / tomogram.voxel_size
    box = 2 * int(np.ceil(GALLERY_EDGE * radius)) + 1
    chosen = np.unique(np.linspace(0, len(positions) - 1, ROWS * COLUMNS).round().astype(int))
    pictures = [_thick(cut, radius) for _, cut in subtomograms(tomogram, positions[chosen], box)]
    spread = np.percentile(pictures, (1, 99)).tolist() if pictures else [0.0, 1.0]
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture in zip(grid.flat, pictures, strict=False):
        axes.imshow(picture, cmap="gray", vmin=spread[0], vmax=spread[1], origin="lower", interpolation="bicubic")
    place.suptitle(f"single picks, xy, {len(pictures)} of {len(positions)}", fontsize=8)


def _thick(box: Volume, radius: float) -> Float32[np.ndarray, "y x"]:
    """Average the sections within a quarter of the radius of the middle."""
    middle, reach = len(box) // 2, int(radius / 4)
    picture: Float32[np.ndarray, "y x"] = box[middle - reach : middle + reach + 1].mean(axis=0)
    return picture


def _show(axes: Axes, picture: Float32[np.ndarray, "y x"], percentiles: Sequence[float]) -> None:
    low, high = np.percentile(picture, percentiles).tolist()
    axes.imshow(picture, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="bicubic")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
