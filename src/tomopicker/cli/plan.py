"""``train --dry-run``: what a training would do, and what it cannot know yet."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from tomopicker.cli.progress import Reporter
from tomopicker.config import Settings
from tomopicker.data.labels import ball_offsets
from tomopicker.data.preprocess import check_mask, working_voxel_size
from tomopicker.pu.prior import Priors, class_priors
from tomopicker.workflow.clicked import check_clash
from tomopicker.workflow.inputs import check_diameter, check_voxel_size, doubtful_diameter, doubtful_spread

if TYPE_CHECKING:
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram
    from tomopicker.types import VoxelMask


def print_plan(
    tomograms: "list[Tomogram]",
    clicks: "Picks",
    validation: "list[Tomogram]",
    validation_picks: "Picks | None",
    settings: Settings,
    output: Path,
    reporter: Reporter,
    rejected: "Picks | None" = None,
    masks: "Mapping[str, VoxelMask] | None" = None,
) -> None:
    """Print the resolved plan of a training.

    Raises
    ------
    TomoPickerError
        If the training would refuse its input.
    """
    for tomogram in tomograms:
        if masks and tomogram.name in masks:
            check_mask(masks[tomogram.name], tomogram)
        check_diameter(settings.particle_diameter, tomogram)
    finest = min(tomogram.voxel_size for tomogram in tomograms)
    voxel_size = working_voxel_size(finest, settings.particle_diameter, settings.preprocess.working_diameter)
    for tomogram in [*tomograms, *validation]:
        check_voxel_size(tomogram, voxel_size, settings.particle_diameter)
        if doubt := doubtful_diameter(settings.particle_diameter, tomogram):
            reporter.warn(doubt)
    for tomogram in tomograms:
        if doubt := doubtful_spread(tomogram, clicks.in_tomogram(tomogram.name).positions, settings.particle_diameter):
            reporter.warn(doubt)
        if rejected is not None:
            mine, others = (part.in_tomogram(tomogram.name).positions for part in (clicks, rejected))
            check_clash(tomogram, mine, others, settings.particle_diameter)

    table = Table.grid(padding=(0, 3))
    for tomogram in tomograms:
        negative = 0 if rejected is None else len(rejected.in_tomogram(tomogram.name))
        against = f", {negative} rejected picks" if negative else ""
        table.add_row("tomogram", f"{_described(tomogram)}, {len(clicks.in_tomogram(tomogram.name))} clicks{against}")
    for tomogram in validation:
        known = 0 if validation_picks is None else len(validation_picks.in_tomogram(tomogram.name))
        table.add_row("validation", f"{_described(tomogram)}, {known} picks")
    wide = settings.particle_diameter / voxel_size
    table.add_row("particle", f"{settings.particle_diameter:g} Å, {wide:.3g} voxels at {voxel_size:.4g} Å")
    table.add_row("preset", f"{settings.preset}, objective {settings.objective.kind}, seed {settings.seed}")
    table.add_row("patches", f"{settings.patches.size}³ voxels, {settings.patches.batch} a step")
    table.add_row("network", _network(settings))
    table.add_row("length", _length(settings, len(clicks)))
    table.add_row("class priors", _priors(tomograms, clicks, settings, voxel_size))
    table.add_row("model", f"{output} (not written: this is a dry run)")
    reporter.console.print(table, markup=False)


def _described(tomogram: "Tomogram") -> str:
    z, y, x = tomogram.shape
    return f"{tomogram.path}, {x} × {y} × {z} voxels of {tomogram.voxel_size:g} Å"


def _network(settings: Settings) -> str:
    from tomopicker.engine.checkpoint import build_network

    weights = sum(parameter.numel() for parameter in build_network(settings).parameters())
    channels = "-".join(map(str, settings.network.channels))
    return f"{settings.network.block} {channels}, {weights / 1e6:.2f} million weights"


def _length(settings: Settings, clicks: int) -> str:
    from tomopicker.workflow.rounds import steps_of_rounds
    from tomopicker.workflow.train import counts_afterwards

    knobs = settings.training
    steps = knobs.steps_for(clicks)
    last = f"{steps} steps" if steps is not None else f"{knobs.epochs} epochs"
    each = steps_of_rounds(settings, clicks)
    if len(each) > 1:
        lengths = " + ".join(f"{len(one)} × {one[0]}" if len(one) > 1 else f"{one[0]}" for one in each)
        networks = sum(map(len, each))
        last = (
            f"{len(each)} rounds of {lengths} steps"
            if steps
            else f"{networks} networks in {len(each)} rounds, {last} each"
        )
    if counts_afterwards(settings) or not knobs.fold_steps:
        return last
    if settings.expected_particles is None:
        return f"twice {knobs.fold_steps} steps to count particles, then {last}"
    checked = not settings.inference.adapt and clicks > 1
    return f"{knobs.fold_steps} steps to check the count given, then {last}" if checked else last


def _priors(tomograms: "list[Tomogram]", clicks: "Picks", settings: Settings, voxel_size: float) -> str:
    """Say what training will say of them, as far as it is known: neither the lamella nor the count of particles is."""
    kind, given = settings.objective.kind, settings.expected_particles
    if kind != "pn" and given is None and not settings.training.fold_steps:
        return f"{kind} needs --expected-particles"
    ball = len(ball_offsets(max(1.0, settings.particle_diameter / 2 / voxel_size * settings.labels.target_fraction)))
    voxels = sum(float(np.prod(tomogram.shape)) * (tomogram.voxel_size / voxel_size) ** 3 for tomogram in tomograms)
    labelled = len(clicks) * ball / voxels
    if given is None:
        only = Priors(labelled, math.nan, math.nan)
        return f"about {only}" + ("" if kind == "pn" else "; the others once the particles are counted")
    if kind == "pn":
        expected = given * len(tomograms) * ball / voxels
        return f"about {Priors(labelled, expected, expected - labelled)}"
    priors = class_priors(
        len(clicks) * ball, round(voxels), ball, given * len(tomograms), settings.objective.prior_denominator
    )
    return f"about {priors}"
