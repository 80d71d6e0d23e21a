"""Draw the figures of method.md, from what examples/quick_start.sh leaves:

    python docs/method_figures.py MODEL TRAINING_TOMOGRAM CLICKS TOMOGRAM TRUTH

TOMOGRAM is one that the model was not trained on; CLICKS and TRUTH are files of positions.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from scipy.spatial import cKDTree

from tomopicker import api
from tomopicker.models.precision import choose_device
from tomopicker.pipeline.scoring import decoy_of, find_peaks, prepare_network, score_working_volume
from tomopicker.preprocessing.decoys import decoy_volume
from tomopicker.preprocessing.preprocess import preprocess
from tomopicker.pretraining.molecules import draw_library
from tomopicker.pretraining.scenes import draw_scene
from tomopicker.training.labels import label_mask

matplotlib.use("Agg")
import matplotlib.pyplot as plt

IMAGES = Path(__file__).parent / "images"
BLUE, GREY, GREEN, ORANGE = "#0072B2", "#999999", "#009E73", "#D55E00"
plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})


def random_molecules() -> None:
    """Draw twelve of the random molecules, and sections of scenes that hold them."""
    library = draw_library(12, 3, seed=5)
    figure = plt.figure(figsize=(7.2, 3.0), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 3])
    above.suptitle("Random molecules (projections)", x=0.01, ha="left", fontsize=8)
    for axis, kind in zip(above.subplots(1, 12), library.densities, strict=True):
        axis.imshow(-kind[0].astype(float).sum(axis=0), cmap="gray")
        axis.axis("off")
    below.suptitle("Training scenes of the shipped network (xy sections)", x=0.01, ha="left", fontsize=8)
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


def labels(model: api.Model, tomogram: api.Tomogram, clicks: api.Picks) -> None:
    """Draw a section of the working volume and its labels."""
    working = preprocess(tomogram, model.voxel_size, model.settings.preprocess.clip_sd, "auto")
    centres = working.from_angstrom(clicks.positions)
    mask = label_mask(
        working.data.shape, centres, model.radius, model.settings.labels.radius_fraction, inside=working.mask
    )
    z = int(np.argmax((mask == 1).sum(axis=(1, 2))))
    figure, (left, right) = plt.subplots(1, 2, figsize=(5.6, 2.9), layout="constrained")
    left.imshow(working.data[z], cmap="gray", vmin=-3, vmax=3, origin="lower")
    right.imshow(working.data[z], cmap="gray", vmin=-3, vmax=3, origin="lower", alpha=0.55)
    ignored = (mask[z] == -1) if working.mask is None else (mask[z] == -1) & working.mask[z]
    for where, colour in ((mask[z] == 1, GREEN), (ignored, ORANGE)):
        tint = np.zeros((*where.shape, 4))
        tint[where] = (*matplotlib.colors.to_rgb(colour), 0.75)
        right.imshow(tint, origin="lower")
    left.set_title("working volume, one section", fontsize=8)
    right.set_title("labels: positive green, ignored orange", fontsize=8)
    for axis in (left, right):
        axis.axis("off")
    figure.savefig(IMAGES / "labels.png", dpi=180)


def decoy(model: api.Model, found: api.Picked) -> None:
    """Draw the middle section of a tomogram and of its decoy."""
    volume = decoy_volume(found.working.data, found.working.statistics_mask, model.settings.seed)
    figure, (left, right) = plt.subplots(1, 2, figsize=(5.6, 2.9), layout="constrained")
    for axis, data, title in ((left, found.working.data, "tomogram"), (right, volume, "decoy")):
        axis.imshow(data[len(data) // 2], cmap="gray", vmin=-3, vmax=3, origin="lower")
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    figure.savefig(IMAGES / "decoy.png", dpi=180)


def scores(model: api.Model, found: api.Picked, truth: api.Picks) -> None:
    """Draw the scores of the peaks of tomogram and decoy, and the probability that is made of them."""
    working, settings, device = found.working, model.settings, choose_device("cpu")
    peaks = find_peaks(found.logits, settings, model.radius, mask=working.mask)
    away, _ = cKDTree(truth.positions).query(working.to_angstrom(peaks.positions_voxels))
    right = away < settings.particle_diameter / 2
    network = prepare_network(model.network, working, settings, device)
    decoy_scores = score_working_volume(network, decoy_of(working, settings), settings, device)[0]
    decoys = find_peaks(decoy_scores, settings, model.radius).scores

    figure, (above, below) = plt.subplots(
        2, 1, figsize=(5.6, 3.6), height_ratios=[2.4, 1], sharex=True, layout="constrained"
    )
    bins = np.arange(np.floor(peaks.scores.min()), np.ceil(peaks.scores.max()) + 0.5, 0.5)
    above.hist(
        [peaks.scores[~right], peaks.scores[right]], bins, stacked=True, color=[GREY, GREEN],
        label=["other peaks", "particles (by the truth)"],
    )  # fmt: skip
    above.hist(decoys, bins, histtype="step", color=ORANGE, lw=1.4, label="peaks of the decoy")
    above.set_ylabel("peaks")
    above.legend(frameon=False)
    above.set_title(f"estimated without the truth: {found.count}; true number {len(truth)}", fontsize=8, loc="left")
    grid = np.linspace(bins[0], bins[-1], 400)
    below.plot(grid, found.probability(grid), color=BLUE)
    below.set(xlabel="score (logit)", ylabel="probability", ylim=(0, 1.05))
    figure.savefig(IMAGES / "scores.png", dpi=180)


def threshold(found: api.Picked, truth: api.Picks) -> None:
    """Draw expected and true F1 against the number of picks."""
    candidates = found.candidates
    assert found.count is not None
    kept = np.arange(1, len(candidates) + 1)
    total = np.cumsum(candidates.scores)
    expected = 2 * total / (kept + found.count.estimate)
    true = []
    for k in kept:
        _, mean = api.evaluate(candidates.select(np.arange(k)), truth, tolerance=135)
        true.append(mean.f1)
    figure, axis = plt.subplots(figsize=(5.6, 2.4), layout="constrained")
    axis.plot(kept, expected, color=BLUE, label="expected F1")
    axis.plot(kept, true, color=GREEN, label="true F1")
    axis.axvline(len(found.picks), color=GREY, lw=1, ls="--", label="picks written")
    axis.set(xlabel="candidates kept, most probable first", ylabel="F1", ylim=(0, 1.02))
    axis.legend(frameon=False, loc="upper left")
    figure.savefig(IMAGES / "threshold.png", dpi=180)


def main(model_file: Path, training_file: Path, clicks_file: Path, tomogram_file: Path, truth_file: Path) -> None:
    """Draw all."""
    model, training = api.load_model(model_file), api.open_tomogram(training_file)
    tomogram = api.open_tomogram(tomogram_file)
    truth = api.read_picks(truth_file, [tomogram])
    random_molecules()
    labels(model, training, api.read_picks(clicks_file, [training]))
    found = api.pick(tomogram, model, device="cpu")
    decoy(model, found)
    scores(model, found, truth)
    threshold(found, truth)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:6]))
