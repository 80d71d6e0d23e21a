"""Demonstration project: simulated tomograms, clicks, and a baseline and a figure to compare the picks with."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tomopicker import io
from tomopicker.benchmark.candidates import ball_candidates
from tomopicker.benchmark.threshold import threshold_from_clicks
from tomopicker.geometry import voxels_to_angstrom
from tomopicker.output.compare import gather
from tomopicker.output.evaluate import Criterion, evaluate_compared
from tomopicker.output.figures import PICK_COLOUR, TRUTH_COLOUR, Layer, fullest_section, slice_figure
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.simulation.tomogram import simulate_tomogram
from tomopicker.tomogram import Tomogram

NAMES = ("TS_demo_1", "TS_demo_2", "TS_demo_3")
PRESET, SHAPE, VOXEL_SIZE, TARGETS = "vpp", (64, 192, 192), 13.48, 32
DIAMETER, CLICKS, JITTER_VOXELS, SEED = 300.0, 10, 0.8, 5
TOLERANCE_VOXELS = 10.0


def simulate(output: Path, callback: Callback) -> list[Tomogram]:
    """Simulate the tomograms, and write them and their truth."""
    tomograms = []
    for number, name in enumerate(NAMES, start=1):
        simulated = simulate_tomogram(PRESET, SHAPE, VOXEL_SIZE, SEED + number, n_targets=TARGETS)
        file = output / "tomograms" / f"{name}.mrc"
        io.write_mrc(file, simulated.volume, VOXEL_SIZE)
        tomogram = io.open_tomogram(file)
        truth = Picks.of(name, voxels_to_angstrom(simulated.targets.positions, VOXEL_SIZE))
        io.write_picks(truth, {name: tomogram.frame}, output / "truth" / f"{name}.csv")
        z, y, x = SHAPE
        others = len(simulated.distractors.positions)
        callback.log(f"{file}: {x} × {y} × {z} voxels, {len(truth)} ribosomes among {others} other molecules.")
        tomograms.append(tomogram)
    return tomograms


def click(output: Path, first: Tomogram, callback: Callback) -> Path:
    """Write clicks on some particles of the first tomogram, displaced by normally distributed errors."""
    truth = io.read_picks(output / "truth" / f"{first.name}.csv", [first])
    rng = np.random.default_rng(SEED)
    drawn = truth.positions[rng.permutation(len(truth))[:CLICKS]]
    clicks = np.clip(drawn + rng.normal(0, JITTER_VOXELS * VOXEL_SIZE, drawn.shape), 0, first.frame.last_voxel)
    file = output / f"clicks_{first.name}.csv"
    io.write_picks(Picks.of(first.name, clicks), {first.name: first.frame}, file)
    callback.log(f"{file}: {len(clicks)} clicks.")
    return file


def compare(output: Path, folder: Path, tomograms: list[Tomogram], clicks: Path, callback: Callback) -> None:
    """Evaluate a ball as template, with a threshold from the same clicks, and draw a section of an unseen tomogram."""
    first, second, *others = tomograms
    compared = gather(folder, [output / "truth"], exclude=[first.name])
    threshold = threshold_from_clicks(ball_candidates(first, DIAMETER), io.read_picks(clicks, [first]), DIAMETER / 2)
    candidates = Picks.concatenate([ball_candidates(tomogram, DIAMETER) for tomogram in (second, *others)])
    ball = replace(compared, picks=candidates.select(candidates.scores > threshold), candidates=candidates)
    mean = evaluate_compared(ball, Criterion(TOLERANCE_VOXELS)).mean
    callback.log(
        f"\nA ball of the particle's size as template, with a threshold from the same {CLICKS} clicks: precision "
        f"{mean.precision:.3f}, recall {mean.recall:.3f}, F1 {mean.f1:.3f}."
    )
    truth, picks = (part.in_tomogram(second.name).positions for part in (compared.truth, compared.picks))
    layers = [Layer("truth", truth, TRUTH_COLOUR), Layer("picks", picks, PICK_COLOUR)]
    slice_figure(second, fullest_section(second, truth, DIAMETER), layers, DIAMETER, output / "picture.png")
