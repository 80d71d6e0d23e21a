"""The training plan that ``train --dry-run`` prints."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomopicker.config import Settings
from tomopicker.io.projects.relion import is_project
from tomopicker.io.read_options import CoordinateUnits
from tomopicker.io.registry import FORMATS, for_input, recognise_format
from tomopicker.io.tomogram_names import contained, join_names
from tomopicker.picks import Picks
from tomopicker.pipeline.first_count import needs_first_count
from tomopicker.pipeline.trainer import class_priors_for
from tomopicker.pipeline.training_data import common_voxel_size
from tomopicker.pipeline.training_input import TrainingInput
from tomopicker.pu.objective import LOSSES
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import build_body
from tomopicker.training.labels import positive_voxels
from tomopicker.wording import number_of


def training_plan(inputs: TrainingInput, files: Sequence[Path], units: CoordinateUnits) -> list[tuple[str, str]]:
    """Describe a training that `checked_input` accepts.

    Parameters
    ----------
    files : sequence of Path
        Files of clicks.
    units : CoordinateUnits
        Units and format with which they were read.

    Returns
    -------
    list of (str, str)
        Name and description of each part.
    """
    tomograms, clicks, settings = inputs.tomograms, inputs.clicks, inputs.settings
    voxel_size = common_voxel_size(tomograms, settings)
    rows = []
    for tomogram in tomograms:
        negative = 0 if inputs.negatives is None else len(inputs.negatives.in_tomogram(tomogram.name))
        against = f", {number_of(negative, 'negative')}" if negative else ""
        clicked = number_of(len(clicks.in_tomogram(tomogram.name)), "click")
        rows.append(("tomogram", f"{_described(tomogram)}, {clicked}{against}"))
    rows += [("clicks", _how_read(path, tomograms, units)) for path in files]
    rows.append(("", f"in voxels: {_first(tomograms, clicks)}"))
    for tomogram in inputs.validation_tomograms:
        known = 0 if inputs.validation_picks is None else len(inputs.validation_picks.in_tomogram(tomogram.name))
        rows.append(("validation", f"{_described(tomogram)}, {number_of(known, 'pick')}"))
    wide = settings.particle_diameter / voxel_size
    trained = settings.network.head == "trained"
    loss = f", {LOSSES[settings.objective.loss].title}" if trained else ""
    return [
        *rows,
        ("particle", f"{settings.particle_diameter:g} Å, {wide:.3g} voxels at {voxel_size:.4g} Å"),
        ("preset", f"{settings.preset}{loss}, seed {settings.seed}"),
        *([("patches", f"{settings.patches.size}³ voxels, {settings.patches.batch} a step")] if trained else []),
        ("network", _network(settings)),
        ("length", _length(settings, len(clicks))),
        *([("labels", _priors(tomograms, clicks, settings, voxel_size))] if trained else []),
    ]


def _how_read(path: Path, tomograms: Sequence[Tomogram], units: CoordinateUnits) -> str:
    """Describe how a file of clicks is read: format, unit, and the tomogram that it is assigned to."""
    if is_project(path):
        return f"{path}: the sizes of tomograms, from whose centres clicks are counted"
    found = for_input(units.format) if units.format else recognise_format("picks", path)
    reader = "" if found is None else str(found.reader)
    titles = [entry.title for entry in FORMATS if entry.kind == "picks" and entry.reader == reader]
    shared = {"particles.relion_read.read": "STAR", "particles.delimited.read": "columns with or without a header"}
    kind = titles[0] if len(titles) == 1 else shared.get(reader, "x y z without a header")
    stated = units.read_table(path)
    unit = stated.unit.value if units.pixel_size is None else f"pixels of {units.pixel_size:g} Å"
    at_hand = [tomogram.name for tomogram in tomograms]
    words = f"{path}: {kind}, in {unit}"
    if not any(stated.tomograms.tolist()) and not contained(path.name, at_hand):
        words += f"; neither its name nor its contents name a tomogram; taken for {join_names(at_hand)}"
    return words


def _first(tomograms: Sequence[Tomogram], clicks: Picks) -> str:
    """Return the first two positions of each tomogram in its voxels."""
    shown = []
    for tomogram in tomograms:
        voxels = clicks.in_tomogram(tomogram.name).positions[:2] / tomogram.voxel_size
        places = ", ".join("({:.1f}, {:.1f}, {:.1f})".format(*row) for row in voxels)
        shown.append(f"{tomogram.name} {places}{', …' if len(clicks.in_tomogram(tomogram.name)) > 2 else ''}")
    return "; ".join(shown)


def _described(tomogram: Tomogram) -> str:
    z, y, x = tomogram.shape
    return f"{tomogram.path}, {x} × {y} × {z} voxels of {tomogram.voxel_size:g} Å"


def _network(settings: Settings) -> str:
    weights = sum(parameter.numel() for parameter in build_body(settings).parameters())
    channels = "-".join(map(str, settings.network.channels))
    return f"{settings.network.block} {channels}, {weights / 1e6:.2f} million weights"


def _length(settings: Settings, clicks: int) -> str:
    cfg = settings.training
    if settings.network.head == "discriminant":
        return "none: a discriminant in closed form"
    steps = settings.steps_for(clicks, settings.pseudo_labels.limit if settings.has_pseudo_labels else 0)
    length = f"{steps} steps" if steps is not None else f"{cfg.epochs} epochs"
    return (
        f"{length} of a first network that counts the particles, then {length}"
        if needs_first_count(settings)
        else length
    )


def _priors(tomograms: Sequence[Tomogram], clicks: Picks, settings: Settings, voxel_size: float) -> str:
    """Describe the class priors as training does, but without the lamella mask and the particle count."""
    radius, given = settings.particle_diameter / 2 / voxel_size, settings.particles_in(len(tomograms))
    voxels = sum(float(np.prod(tomogram.shape)) * (tomogram.voxel_size / voxel_size) ** 3 for tomogram in tomograms)
    labelled = len(clicks) * positive_voxels(radius, settings.labels.radius_fraction)
    priors = class_priors_for(settings, labelled, round(voxels), radius, given)
    is_partial = given is None and LOSSES[settings.objective.loss].needs_count
    return f"about {priors}" + ("; the others once the particles are counted" if is_partial else "")
