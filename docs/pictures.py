"""Draws the pictures of commands/pick.md and commands/train.md.

    python docs/pictures.py pick TOMOGRAM TRUTH PICKS
    python docs/pictures.py lamella TOMOGRAM TRUTH TOMOGRAM TRUTH

TRUTH and PICKS are files of positions; those of pick.png are data/truth/TS_0002.csv and picks/TS_0002.star of the quick
start (docs/record.py). The lamellae of the page are TS_0001 of ``tomopicker simulate --preset vpp`` and
that of ``tomopicker simulate --output tilted --preset defocus --thickness 700 --lamella-tilt 8 --shape 224,224,160``.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from tomopicker import api
from tomopicker.output.figures import PICK_COLOUR, TRUTH_COLOUR, Layer, best_section, fullest_section, slice_figure
from tomopicker.preprocessing.preprocess import preprocess

IMAGES = Path(__file__).with_name("images")
DIAMETER, WORKING, CLIP_SD = 300.0, 26.96, 3.0
MASK_COLOUR = "#f0a202"


def draw_picks(tomogram_file: Path, truth_file: Path, picks_file: Path) -> None:
    """Draw a section with all that lies within a particle's radius of it."""
    tomogram = api.open_tomogram(tomogram_file)
    truth, picks = (api.read_picks(file, [tomogram]).positions for file in (truth_file, picks_file))
    z = fullest_section(tomogram, truth, DIAMETER)
    layers = [Layer("truth", truth, TRUTH_COLOUR), Layer("picks", picks, PICK_COLOUR)]
    slice_figure(tomogram, z, layers, DIAMETER, IMAGES / "pick.png")
    print(f"section {z}")


def draw_lamellae(*files: Path) -> None:
    """Draw sections along z: the tomogram a particle's radius thick, the mask found, and the particles cut."""
    tomograms = [api.open_tomogram(file) for file in files[::2]]
    widths = [tomogram.shape[2] for tomogram in tomograms]
    highest = max(tomogram.shape[0] for tomogram in tomograms)
    figure = Figure(figsize=(7.2, 7.2 * highest / sum(widths) + 0.55), facecolor="white", layout="constrained")
    panels = figure.subplots(1, len(tomograms), width_ratios=widths)
    titles = ("phase plate", "defocus, a thin and tilted lamella")
    for axes, tomogram, truth, title in zip(panels, tomograms, files[1::2], titles, strict=True):
        _draw_lamella(axes, tomogram, api.read_picks(truth, [tomogram]).positions)
        axes.set_title(title, fontsize=8)
    figure.savefig(IMAGES / "lamella.png", dpi=200)


def _draw_lamella(axes, tomogram, truth) -> None:
    size, (sections, height, width) = tomogram.voxel_size, tomogram.shape
    radius = DIAMETER / 2 / size
    voxels = tomogram.to_voxels(truth)
    y = best_section(voxels[:, 1], height, radius)
    reach = round(radius / 2)
    volume = np.asarray(tomogram.slab(0, sections))
    picture = volume[:, max(0, y - reach) : y + reach + 1].mean(axis=1)
    low, high = np.percentile(picture, (1, 99))
    axes.imshow(picture, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="bicubic")
    working = preprocess(tomogram, WORKING, CLIP_SD, "auto")
    mask = working.mask[:, round(y / working.ratio)]
    across = (np.arange(mask.shape[1]) + 0.5) * working.ratio - 0.5
    for edge in (mask.argmax(axis=0), len(mask) - mask[::-1].argmax(axis=0)):
        axes.plot(across, edge * working.ratio - 0.5, color=MASK_COLOUR, lw=1.5)
    beside = np.abs(voxels[:, 1] - y)
    cut = beside < radius
    wide = 2 * np.sqrt(radius**2 - beside[cut] ** 2)
    axes.add_collection(
        EllipseCollection(
            wide, wide, np.zeros_like(wide), units="xy", offsets=voxels[cut][:, [0, 2]],
            offset_transform=axes.transData, facecolors="none", edgecolors=TRUTH_COLOUR, linewidths=1.1,
        ),
        autolim=False,
    )  # fmt: skip
    axes.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, sections - 0.5), xticks=[], yticks=[])
    axes.set_xlabel("x", fontsize=8)
    axes.set_ylabel("z", fontsize=8)


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    {"pick": draw_picks, "lamella": draw_lamellae}[what](*map(Path, given))
