"""From clicks to a model: preprocess, label, train in rounds, make scores probabilities.

A loss with a class prior needs the number of particles: as stated, or counted by a first network with the PN loss.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tomopicker.config import Settings
from tomopicker.errors import UsageError
from tomopicker.fewshot.features import Features
from tomopicker.models.precision import choose_device
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback, NullCallback
from tomopicker.pipeline.displacement import network_displacement
from tomopicker.pipeline.instant_model import instant_model
from tomopicker.pipeline.provenance import provenance
from tomopicker.pipeline.self_training import count_by_first_network, first_labels, self_train
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import (
    clicks_outside,
    common_voxel_size,
    hold_out,
    load_training_tomograms,
    number_of_clicks,
    warn_bright_clicks,
    without_repeats,
)
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.types import VoxelMask

MAX_CLICKS_OUTSIDE = 0.05
"""Fraction of clicks outside the detected lamella above which the lamella is not used."""


def train(
    tomograms: Sequence[Tomogram],
    picks: Picks,
    settings: Settings,
    *,
    rejected: Picks | None = None,
    masks: Mapping[str, VoxelMask] | None = None,
    validation_tomograms: Sequence[Tomogram] = (),
    validation_picks: Picks | None = None,
    device: str | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    callback: Callback | None = None,
    features: dict[str, Features] | None = None,
) -> Model:
    """Train a picker from clicks of one kind; `tomopicker.pipeline.kinds.train` takes several.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        The training tomograms.
    picks : Picks
        The clicks: centres of particles.
    settings : Settings
        From `tomopicker.config.resolve`.
    rejected : Picks, optional
        Positions that look like the particle and are not: known background.
    masks : mapping of str to VoxelMask, optional
        Where the specimen is, by the tomogram's name, (z, y, x) of the tomogram; by the settings if left out.
    validation_tomograms, validation_picks : optional
        For validation, and the learning rate of the paper preset; never trained on.
    device : str, optional
        ``cpu``, ``cuda``, ``mps``; the best there is if left out.
    checkpoint : Path, optional
        Prefix of the checkpoint files.
    resume : bool
        Go on from them.
    callback : Callback, optional
        Receives progress and warnings.
    features : dict of str to Features, optional
        For the discriminant: features that are computed already; others are added.

    Returns
    -------
    Model

    Raises
    ------
    TomoPickerError
        If the input cannot be trained on; one line that names the remedy.
    """
    callback = callback or NullCallback()
    chosen = choose_device(device)
    picks = without_repeats(picks, settings.particle_diameter, callback)
    voxel_size = common_voxel_size(tomograms, settings)
    clicked = load_training_tomograms(tomograms, picks, settings, voxel_size, callback, rejected=rejected, masks=masks)
    outside, clicks = clicks_outside(clicked)
    if outside > MAX_CLICKS_OUTSIDE * clicks and not masks:
        callback.warn(
            f"{outside} of {clicks} clicks lie outside the detected lamella, so the whole volume is used; "
            "--mask none does so without this warning, --mask FILE uses a better mask"
        )
        unmasked = settings.preprocess.model_copy(update={"mask": "none"})
        settings = settings.model_copy(update={"preprocess": unmasked})
        clicked = load_training_tomograms(tomograms, picks, settings, voxel_size, callback, rejected=rejected)
    elif outside:
        callback.warn(
            f"{outside} of {clicks} clicks lie outside the mask; they are trained on, but nothing is picked there"
        )
    validation_items = load_training_tomograms(validation_tomograms, validation_picks, settings, voxel_size, callback)
    radius = settings.particle_diameter / 2 / voxel_size
    warn_bright_clicks(clicked, radius, callback)
    if settings.training.validation_fraction and not validation_items:
        clicked, validation_items = hold_out(clicked, settings, callback)

    run = Run(settings, radius, chosen, checkpoint, resume, callback)
    if settings.network.head == "discriminant":
        return instant_model(run, tomograms, picks, clicked, rejected, {} if features is None else features)
    check_expected(settings, number_of_clicks(clicked), len(clicked))
    validation = [run.labelled(item) for item in validation_items]
    first = first_labels(run, clicked, [tomogram.frame for tomogram in tomograms])
    stated, counted = settings.expected_particles, None
    if needs_first_count(settings):
        counted = count_by_first_network(run, first, validation)
        particles: float | None = counted.estimate
    else:
        particles = None if stated is None else stated * len(clicked)
    result = self_train(run, clicked, first, validation, particles)
    network = result.network
    offset, threshold, particle_scores = 0.0, None, None
    if settings.inference.adabn:
        particle_scores, counted = run.calibrate(network, clicked)
        if stated is None or particles is None or counted.contradicts(particles):
            particles = counted.estimate
    else:
        offset, threshold = run.offset_by_count(network, clicked, particles)
    facts = provenance(
        tomograms,
        picks,
        validation_tomograms,
        settings,
        result.priors,
        particles,
        result.history,
        rejected=rejected,
        inside={item.name: round(item.working.mask_fraction, 4) for item in clicked},
        counted=counted,
    )
    displacement = network_displacement(run, network, clicked[0])
    return Model(
        network, settings, voxel_size, offset, threshold, facts, particle_scores, displacement, tuple(run.warnings)
    )


def needs_first_count(settings: Settings) -> bool:
    """Whether a first network has to count the particles: the loss has a class prior, and no count is stated."""
    return settings.objective.loss != "pn" and settings.expected_particles is None


def check_expected(settings: Settings, clicks: int, tomograms: int) -> None:
    """Refuse an expected number of particles that is below the clicks.

    Raises
    ------
    UsageError
        One line with the remedy.
    """
    stated = settings.expected_particles
    if stated is not None and stated * tomograms < clicks:
        raise UsageError(
            f"--expected-particles {stated:g} is less than the {clicks} clicks; "
            "raise it or leave it out to have it estimated"
        )
