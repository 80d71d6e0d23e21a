"""Draws the figures of how-it-works.md.

    python docs/how_it_works.py MODEL TOMOGRAM TRUTH

with a model, a tomogram that it was not trained on and the true positions (CSV), such as `tomopicker demo` leaves.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from scipy.spatial import cKDTree

from tomopicker import api
from tomopicker.pretraining.molecules import draw_library
from tomopicker.pretraining.scenes import draw_scene
from tomopicker.workflow.pick import pick
from tomopicker.workflow.score import find_peaks

matplotlib.use("Agg")
import matplotlib.pyplot as plt

IMAGES = Path(__file__).parent / "images"
BLUE, GREY, GREEN = "#0072B2", "#999999", "#009E73"
plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})


def random_molecules() -> None:
    """Draw twelve of the random molecules, and sections of three scenes that hold them."""
    library = draw_library(12, 3, seed=5)
    figure = plt.figure(figsize=(7.2, 3.0), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 3])
    above.suptitle("Molecules that exist nowhere (projections)", x=0.01, ha="left", fontsize=8)
    for axis, rotated in zip(above.subplots(1, 12), library.densities, strict=True):
        axis.imshow(-rotated[0].astype(float).sum(axis=0), cmap="gray")
        axis.axis("off")
    below.suptitle("Scenes that the network learns from (xy sections)", x=0.01, ha="left", fontsize=8)
    rng = np.random.default_rng(8)
    for axis in below.subplots(1, 4):
        scene = draw_scene(library, rng)
        axis.imshow(scene.volume[36], cmap="gray", vmin=-3, vmax=3)
        here = np.abs(scene.positions[:, 0] - 36) <= 3
        axis.scatter(
            scene.positions[here, 2], scene.positions[here, 1], s=60, facecolors="none", edgecolors=BLUE, lw=0.8
        )
        axis.axis("off")
    figure.savefig(IMAGES / "random_molecules.png", dpi=200, bbox_inches="tight")


def two_hills(model_file: Path, tomogram_file: Path, truth_file: Path) -> None:
    """Draw the peaks' scores of a tomogram, which are particles, and the probability that does not know."""
    model, tomogram = api.load_model(model_file), api.open_tomogram(tomogram_file)
    truth = api.read_picks(truth_file, [tomogram])
    found = pick(tomogram, model, device="cpu")
    working = found.working
    peaks = find_peaks(found.logits, model.settings, model.radius, -np.inf, max_particles=20_000, mask=working.mask)
    away, _ = cKDTree(truth.positions).query(working.to_angstrom(peaks.positions_voxels))
    right = away < model.settings.particle_diameter / 2

    figure, (left, below) = plt.subplots(
        2, 1, figsize=(5.2, 3.6), height_ratios=[2.4, 1], sharex=True, layout="constrained"
    )
    bins = np.arange(np.floor(peaks.scores.min()), np.ceil(peaks.scores.max()) + 0.5, 0.5)
    left.hist(
        [peaks.scores[~right], peaks.scores[right]], bins, stacked=True, color=[GREY, GREEN],
        label=["other peaks", "particles (by the truth)"],
    )  # fmt: skip
    grid = np.linspace(bins[0], bins[-1], 400)
    left.set_ylabel("peaks")
    left.legend(frameon=False)
    left.set_title(f"counted without the truth: {found.count}; there are {len(truth)}", fontsize=8, loc="left")
    below.plot(grid, found.probability(grid), color=BLUE)
    below.set(xlabel="score (logit)", ylabel="probability", ylim=(0, 1.05))
    figure.savefig(IMAGES / "two_hills.png", dpi=200)


if __name__ == "__main__":
    random_molecules()
    two_hills(*map(Path, sys.argv[1:4]))
