"""Draw the score volume after 1, 2 and 5 clicks, docs/images/instant.png, for docs/instant.md.

    python docs/instant_picture.py TOMOGRAM TRUTH

The clicks are drawn from the truth, 1.5 voxels off; the section is the one with most particles.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

from tomopicker import api
from tomopicker.benchmark.dataset import draw_clicks

mpl.use("Agg")
import matplotlib.pyplot as plt

DIAMETER, JITTER_VOXELS, SEED, CLICKS = 300.0, 1.5, 1, (1, 2, 5)
IMAGE = Path(__file__).with_name("images") / "instant.png"


def main(tomogram_file: str, truth_file: str) -> None:
    """Draw a section of the tomogram and of each score volume; circles: clicks yellow, picks green."""
    tomogram = api.open_tomogram(tomogram_file)
    truth = api.read_picks(truth_file, [tomogram])
    features = api.features(tomogram, DIAMETER)
    found = []
    for clicks in CLICKS:
        given = draw_clicks(truth, tomogram.frame, clicks, SEED, JITTER_VOXELS)
        found.append((given, api.instant(features, given)))
    size, radius = features.working_voxel_size, features.radius
    planes = truth.positions[:, 2] / size
    z = max(range(features.working.data.shape[0]), key=lambda each: int((abs(planes - each) < radius / 2).sum()))
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), dpi=160)
    axes[0].imshow(features.working.data[z], cmap="gray", vmin=-2.5, vmax=2.5)
    axes[0].set_title("tomogram")
    for axis, (given, instant) in zip(axes[1:], found, strict=True):
        axis.imshow(instant.score_volume(tomogram.name)[z], cmap="magma", vmin=-1, vmax=6)
        for picks, colour in ((instant.picked[tomogram.name].picks, "#5fd35f"), (given, "#ffe14d")):
            voxels = features.working.from_angstrom(picks.positions)
            for x, y, _ in voxels[np.abs(voxels[:, 2] - z) < radius]:
                axis.add_patch(plt.Circle((x, y), radius, fill=False, color=colour, linewidth=1))
        axis.set_title(f"score after {len(given)} click{'' if len(given) == 1 else 's'}")
    for axis in axes:
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(IMAGE)
    print(f"{IMAGE}: section {z} of {features.working.data.shape[0]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
