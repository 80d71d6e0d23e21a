"""The picture of `tomopicker check`: a section with a circle around each pick, the means, and single picks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tomopicker.diagnostics.check import Checked
from tomopicker.output import figures
from tomopicker.picks import Picks
from tomopicker.preprocessing.subtomograms import subtomograms
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions, Volume

WIDTH, HEIGHT = 7.2, 5.6
N_COLUMNS, N_ROWS = 9, 2
"""Size of the gallery."""
GALLERY_EDGE = 1.6
"""Edge of a picture in the gallery, in particle diameters."""
PLANES = (("x", "y", 0), ("x", "z", 1), ("y", "z", 2))
"""Horizontal and vertical axis, and the array axis perpendicular to both."""


def check_figure(
    checked: Checked, tomograms: Sequence[Tomogram], picks: Picks, particle_diameter: float, path: Path
) -> None:
    """Write the picture of a check: mean subtomograms, and a section and a gallery of the tomogram with most picks.

    The diameter is in Å; the path is as for `save_figure`.
    """
    name = max(picks.tomogram_names, key=lambda name: len(picks.in_tomogram(name)))
    tomogram = next(tomogram for tomogram in tomograms if tomogram.name == name)
    positions = picks.in_tomogram(name).positions
    figure = _figure(HEIGHT)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.3, 1.9)).flat
    left, right = top.subfigures(1, 2, squeeze=False, width_ratios=(1.0, 1.0)).flat
    _draw_section(left, tomogram, positions, particle_diameter)
    _draw_means(right, checked.means, checked.mean_voxel_size, particle_diameter)
    _draw_gallery(bottom, tomogram, positions, particle_diameter)
    figures.save_figure(figure, path)


def mean_figure(means: Mapping[str, Float32[np.ndarray, "z y x"]], voxel_size: float, path: Path) -> None:
    """Write the central planes of mean subtomograms, as in `check_figure`, without circles."""
    figure = _figure(0.3 + len(means) * WIDTH / 3)
    _draw_means(figure, means, voxel_size, None)
    figures.save_figure(figure, path)


def _figure(height: float) -> Figure:
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03)
    return Figure(figsize=(WIDTH, height), facecolor="white", layout=layout)


def _draw_section(place: SubFigure, tomogram: Tomogram, positions: Positions, diameter: float) -> None:
    """Draw the section near which most picks lie, with the circle in which it cuts the ball of each."""
    axes = place.subplots()
    z = figures.fullest_section(tomogram, positions, diameter)
    grey = figures.section(tomogram, z, diameter)
    figures.draw_grey(axes, grey, np.percentile(grey, (1.0, 99.0)).tolist())
    for spine in axes.spines.values():
        spine.set_visible(False)
    voxels = tomogram.to_voxels(positions)
    radius, above = diameter / 2 / tomogram.voxel_size, voxels[:, 2] - z
    cut = np.abs(above) < radius
    figures.draw_circles(axes, voxels[cut, :2], 2 * np.sqrt(radius**2 - np.square(above[cut])), linewidths=1.1)
    height, width_voxels = tomogram.shape[1:]
    axes.set(xlim=(-0.5, width_voxels - 0.5), ylim=(-0.5, height - 0.5))
    figures.draw_scale_bar(axes, width_voxels, tomogram.voxel_size)
    axes.set_title(f"{tomogram.name}, z = {z}: {cut.sum()} of {len(positions)} picks", fontsize=8)


def _draw_means(
    place: FigureBase, means: Mapping[str, Float32[np.ndarray, "z y x"]], voxel_size: float, diameter: float | None
) -> None:
    """Draw the central planes of each mean, with a circle of the particle's diameter if it is known."""
    grid = place.subplots(len(means), 3, squeeze=False)
    edge = len(next(iter(means.values())))
    middle = edge // 2
    radius = None if diameter is None else diameter / 2 / voxel_size
    reach = (edge - 1) // 2 if radius is None else min(middle, int(np.ceil(1.5 * radius)))
    # One grey scale for all, on which a mean of background looks empty.
    limits = np.percentile(np.stack(list(means.values())), (0.2, 99.8)).tolist()
    for row, (name, mean) in zip(grid, means.items(), strict=True):
        inner = mean[(slice(middle - reach, middle + reach + 1),) * 3]
        for axes, (across, up, cut) in zip(row, PLANES, strict=True):
            # Rows of the yz plane are z already.
            figures.draw_grey(axes, inner.take(reach, axis=cut), limits)
            if radius is not None:
                figures.draw_circles(axes, [(reach, reach)], [2 * radius], linewidths=0.8, linestyles="dashed")
            size = 7 if radius is None else 5
            axes.plot([reach], [reach], "+", color=figures.PICK_COLOUR, markersize=size, markeredgewidth=0.8)
            axes.set_xlabel(f"{across}{up}", fontsize=8, labelpad=2)
        row[1].set_title(f"mean {name}", fontsize=8)
    figures.draw_scale_bar(grid[-1, 0], 2 * reach + 1, voxel_size, small=len(means) > 1)


def _draw_gallery(place: SubFigure, tomogram: Tomogram, positions: Positions, diameter: float) -> None:
    """Draw the central sections of single picks, evenly spaced in their list."""
    grid = place.subplots(N_ROWS, N_COLUMNS)
    radius = diameter / 2 / tomogram.voxel_size
    box = 2 * int(np.ceil(GALLERY_EDGE * radius)) + 1
    chosen = np.unique(np.linspace(0, len(positions) - 1, N_ROWS * N_COLUMNS).round().astype(int))
    pictures = [_central_slab(cut, radius) for _, cut in subtomograms(tomogram, positions[chosen], box)]
    limits = np.percentile(pictures, (1, 99)).tolist() if pictures else [0.0, 1.0]
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture in zip(grid.flat, pictures, strict=False):
        figures.draw_grey(axes, picture, limits)
    place.suptitle(f"single picks, xy, {len(pictures)} of {len(positions)}", fontsize=8)


def _central_slab(box: Volume, radius: float) -> Float32[np.ndarray, "y x"]:
    """Average the sections within a quarter of the radius from the middle."""
    middle, reach = len(box) // 2, int(radius / 4)
    picture: Float32[np.ndarray, "y x"] = box[middle - reach : middle + reach + 1].mean(axis=0)
    return picture
