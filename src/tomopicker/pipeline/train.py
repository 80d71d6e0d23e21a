"""From clicks to a model: preprocess, label, train, calibrate.

A loss with a class prior needs the number of particles, given by the user or counted by a first network with the PN
loss. Each kind of particle gets a network of its own, with the clicks of the other kinds as negatives.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from tomopicker.config import Settings
from tomopicker.fewshot.features import Features
from tomopicker.models.precision import choose_device
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback, NullCallback, Prefixed
from tomopicker.pipeline.displacement import network_displacement
from tomopicker.pipeline.first_count import count_by_first_network, needs_first_count
from tomopicker.pipeline.instant_model import instant_model
from tomopicker.pipeline.provenance import provenance
from tomopicker.pipeline.pseudo_labels import with_pseudo_labels
from tomopicker.pipeline.resume import checkpoint_of_kind, discard_checkpoints, remove_checkpoints
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import (
    TrainingTomogram,
    clicks_outside,
    common_voxel_size,
    hold_out,
    load_training_tomograms,
    number_of_clicks,
    remove_repeated_clicks,
    warn_bright_clicks,
)
from tomopicker.pipeline.training_input import TrainingInput, by_kind, check_expected
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model, save_model
from tomopicker.training.labels import LabelledVolume
from tomopicker.types import VoxelMask

MAX_CLICKS_OUTSIDE = 0.05
"""Maximum fraction of clicks outside the detected lamella for the lamella to be used."""


def train(
    tomograms: Sequence[Tomogram],
    picks: Picks,
    settings: Settings,
    *,
    particle_diameters: Mapping[str, float] | None = None,
    negatives: Picks | None = None,
    masks: Mapping[str, VoxelMask] | None = None,
    validation_tomograms: Sequence[Tomogram] = (),
    validation_picks: Picks | None = None,
    device: str | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    callback: Callback | None = None,
) -> Model:
    """Train a picker from clicks; clicks of several kinds (column ``kind``) give one model that picks all of them.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        The training tomograms. Each kind is trained on those with clicks of that kind.
    picks : Picks
        The clicks, at particle centres.
    settings : Settings
        From `tomopicker.config.resolve`.
    particle_diameters : mapping of str to float, optional
        Å, of kinds whose diameter differs from that of the settings.
    negatives : Picks, optional
        Known background: positions that look like the particle but are not. Negatives with a kind apply to that kind
        only.
    masks : mapping of str to VoxelMask, optional
        Specimen masks by tomogram name, (z, y, x) of the tomogram; determined by the settings if left out.
    validation_tomograms, validation_picks : optional
        For validation, and for the learning rate of the paper preset; never trained on.
    device : str, optional
        ``cpu``, ``cuda`` or ``mps``; the best available if left out.
    checkpoint : Path, optional
        Prefix of the checkpoint files; with several kinds, the kind's name is added.
    resume : bool
        Continue from the checkpoints.
    callback : Callback, optional
        Receives progress and warnings.

    Returns
    -------
    Model
        The model of the first kind, with the others in `Model.others`.

    Raises
    ------
    TomoPickerError
        One line with the remedy, if the input is not suitable.
    """
    given = TrainingInput(
        list(tomograms),
        picks,
        settings,
        negatives=negatives,
        masks=masks or {},
        validation_tomograms=list(validation_tomograms),
        validation_picks=validation_picks,
    )
    callback = callback or NullCallback()
    inputs = by_kind(given, particle_diameters or {})
    return train_kinds(inputs, device=device, checkpoint=checkpoint, resume=resume, callback=callback)


def train_kinds(
    inputs: Sequence[TrainingInput],
    *,
    device: str | None,
    checkpoint: Path | None,
    resume: bool,
    callback: Callback,
) -> Model:
    """Train a network for each kind of particle; parameters as for `train`."""
    chosen = choose_device(device)
    features: dict[str, Features] | None = {} if len(inputs) > 1 else None  # Computed once for all kinds.
    models = []
    for each in inputs:
        own = Prefixed(callback, each.kind) if each.kind else callback
        prefix = checkpoint and checkpoint_of_kind(checkpoint, each.kind)
        model = _train_kind(each, features, device=chosen, checkpoint=prefix, resume=resume, callback=own)
        models.append(replace(model, kind=each.kind))
    return replace(models[0], others=tuple(models[1:]))


def train_to_file(
    inputs: Sequence[TrainingInput],
    output: Path,
    *,
    files: Mapping[str, Sequence[Path]],
    device: str | None,
    resume: bool,
    callback: Callback,
) -> None:
    """Train, write the model and remove the checkpoints.

    Parameters
    ----------
    inputs : sequence of TrainingInput
        Input of each kind.
    output : Path
        The model file; checkpoints are written next to it.
    files : mapping of str to sequence of Path
        Files of clicks and negatives, recorded in the model's provenance.
    device : str, optional
        As for `train`.
    resume : bool
        Continue from the checkpoints, which are otherwise discarded.

    Raises
    ------
    TomoPickerError
        As `train`, or if the file cannot be written.
    """
    started = time.monotonic()
    if not resume:
        discard_checkpoints(output, callback)
    model = train_kinds(inputs, device=device, checkpoint=output, resume=resume, callback=callback)
    named = {name: [str(path.absolute()) for path in paths] for name, paths in files.items()}
    first, *others = (replace(each, provenance={**each.provenance, "files": named}) for each in (model, *model.others))
    save_model(output, replace(first, others=tuple(others)))
    remove_checkpoints(output)
    callback.log(f"Model: {output}, after {time.monotonic() - started:.0f} s.")


def _train_kind(
    inputs: TrainingInput,
    features: dict[str, Features] | None,
    *,
    device: torch.device,
    checkpoint: Path | None,
    resume: bool,
    callback: Callback,
) -> Model:
    inputs = replace(inputs, clicks=remove_repeated_clicks(inputs.clicks, inputs.settings.particle_diameter, callback))
    voxel_size = common_voxel_size(inputs.tomograms, inputs.settings)
    settings, clicked = _load(inputs, voxel_size, callback)
    validation = load_training_tomograms(
        inputs.validation_tomograms, inputs.validation_picks, settings, voxel_size, callback
    )
    run = Run(settings, settings.particle_diameter / 2 / voxel_size, device, checkpoint, resume, callback)
    warn_bright_clicks(clicked, run.radius, callback)
    if settings.network.head == "discriminant":
        return instant_model(run, inputs, clicked, features)
    if settings.training.validation_fraction and not validation:
        clicked, validation = hold_out(clicked, settings, callback)
    return _train_network(run, inputs, clicked, [run.labelled(item) for item in validation], voxel_size, features)


def _load(inputs: TrainingInput, voxel_size: float, callback: Callback) -> tuple[Settings, list[TrainingTomogram]]:
    """Preprocess the training tomograms; ignore the detected lamella if too many clicks lie outside it."""
    settings = inputs.settings
    clicked = load_training_tomograms(
        inputs.tomograms, inputs.clicks, settings, voxel_size, callback, rejected=inputs.negatives, masks=inputs.masks
    )
    outside, clicks = clicks_outside(clicked)
    if outside > MAX_CLICKS_OUTSIDE * clicks and not inputs.masks:
        callback.warn(
            f"{outside} of {clicks} clicks lie outside the detected lamella, so the whole volume is used; "
            "--mask none does so without this warning, --mask FILE uses a better mask"
        )
        unmasked = settings.preprocess.model_copy(update={"mask": "none"})
        settings = settings.model_copy(update={"preprocess": unmasked})
        return settings, load_training_tomograms(
            inputs.tomograms, inputs.clicks, settings, voxel_size, callback, rejected=inputs.negatives
        )
    if outside:
        callback.warn(
            f"{outside} of {clicks} clicks lie outside the mask; they are trained on, but nothing is picked there"
        )
    return settings, clicked


def _train_network(
    run: Run,
    inputs: TrainingInput,
    clicked: Sequence[TrainingTomogram],
    validation: Sequence[LabelledVolume],
    voxel_size: float,
    features: dict[str, Features] | None,
) -> Model:
    """Train a network, calibrate it on the training tomograms, and measure its displacement."""
    settings, clicks = run.settings, number_of_clicks(clicked)
    check_expected(settings, clicks, len(clicked))
    labelled = with_pseudo_labels(run, clicked, features)
    particles, counted = settings.particles_in(len(clicked)), None
    if needs_first_count(settings):
        counted = count_by_first_network(run, labelled, validation)
        particles = counted.estimate
    training = [run.labelled(item) for item in labelled]
    priors = run.priors(training, particles)
    run.callback.log(f"Labels: {priors}.")
    network, history = run.fit("train", training, validation, priors, clicks)
    offset, threshold, particle_scores = 0.0, None, None
    if settings.inference.adabn:
        summaries = [run.summarize(network, item) for item in clicked]
        particle_scores, counted, particles = run.calibrate(summaries, clicks)
    else:
        offset, threshold = run.offset_by_count(network, clicked, particles)
    facts = provenance(inputs, clicked, particles, counted, priors=priors, history=history)
    displacement = network_displacement(run, network, clicked[0])
    return Model(
        network,
        settings,
        voxel_size,
        offset=offset,
        threshold=threshold,
        provenance=facts,
        particle_scores=particle_scores,
        displacement=displacement,
        warnings=tuple(run.warnings),
    )
