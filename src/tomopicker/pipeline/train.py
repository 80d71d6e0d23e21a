"""From clicks to a model: preprocess, count the particles by a cross-fit, train in rounds, make scores probabilities.

With the paper preset only the middle is done: one network on the clicks, with the count the user gives.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tomopicker.config import Settings
from tomopicker.errors import UsageError
from tomopicker.fewshot.features import Features
from tomopicker.models.precision import choose_device
from tomopicker.picking.calibration import Count
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Listener, Silent
from tomopicker.pipeline.displacement import network_displacement
from tomopicker.pipeline.instant_model import instant_model
from tomopicker.pipeline.provenance import provenance
from tomopicker.pipeline.self_training import train_in_rounds
from tomopicker.pipeline.trainer import Run, contradicted
from tomopicker.pipeline.training_data import (
    Clicked,
    clicks_outside,
    common_voxel_size,
    hold_out,
    load_clicked,
    warn_of_bright_clicks,
    without_repeats,
)
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.types import VoxelMask

MISLAID = 0.05
"""Share of the clicks that may lie outside the lamella that was found, before it is not believed."""


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
    listener: Listener | None = None,
    features: dict[str, Features] | None = None,
) -> Model:
    """Train a picker from clicks of one kind; `tomopicker.pipeline.kinds.train` takes several.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Those that were clicked in.
    picks : Picks
        The clicks: centres of particles.
    settings : Settings
        From `tomopicker.config.resolve`.
    rejected : Picks, optional
        What looks like the particle and is not: known background.
    masks : mapping of str to VoxelMask, optional
        Where the specimen is, by the tomogram's name, (z, y, x) of the tomogram; the settings' way if left out.
    validation_tomograms, validation_picks : optional
        To follow the training, and for the paper preset's learning rate; never trained on.
    device : str, optional
        ``cpu``, ``cuda``, ``mps``; the best there is if left out.
    checkpoint : Path, optional
        Prefix of the checkpoint files.
    resume : bool
        Go on from them.
    listener : Listener, optional
        Hears what is done.
    features : dict of str to Features, optional
        Without training: features that are known, as `instant_model` keeps them; those computed are added.

    Returns
    -------
    Model

    Raises
    ------
    TomoPickerError
        If the input cannot be trained on; one line says what to change.
    """
    listener = listener or Silent()
    chosen = choose_device(device)
    picks = without_repeats(picks, settings.particle_diameter, listener)
    voxel_size = common_voxel_size(tomograms, settings)
    clicked = load_clicked(tomograms, picks, settings, voxel_size, listener, rejected=rejected, masks=masks)
    outside, clicks = clicks_outside(clicked)
    if outside > MISLAID * clicks and not masks:
        listener.warn(
            f"{outside} of {clicks} clicks lie outside the lamella that was found, so it is not used; "
            "--mask none says so beforehand, --mask FILE gives a better one"
        )
        unmasked = settings.preprocess.model_copy(update={"mask": "none"})
        settings = settings.model_copy(update={"preprocess": unmasked})
        clicked = load_clicked(tomograms, picks, settings, voxel_size, listener, rejected=rejected)
    elif outside:
        listener.warn(f"{outside} of {clicks} clicks lie outside the mask; they are learnt from, but not picked there")
    watched = load_clicked(validation_tomograms, validation_picks, settings, voxel_size, listener)
    radius = settings.particle_diameter / 2 / voxel_size
    warn_of_bright_clicks(clicked, radius, listener)
    if settings.training.validation_fraction and not watched:
        clicked, watched = hold_out(clicked, settings, listener)

    run = Run(settings, radius, chosen, checkpoint, resume, listener)
    if settings.network.head == "discriminant":
        return instant_model(run, tomograms, picks, clicked, rejected, {} if features is None else features)
    particles, counted = _expected(settings, clicked, run)
    frames = [tomogram.frame for tomogram in tomograms]
    outcome = train_in_rounds(run, clicked, frames, [run.labelled(item) for item in watched], particles)
    network = outcome.network
    offset, threshold, particle_scores = 0.0, None, None
    if settings.inference.adabn:
        particle_scores, counted = run.by_clicks(network, clicked)
        if particles is None or counted.contradicts(particles):
            particles = counted.estimate
    else:
        offset, threshold = run.by_count(network, clicked, particles)
    facts = provenance(
        tomograms,
        picks,
        validation_tomograms,
        settings,
        outcome.priors,
        particles,
        outcome.history,
        rejected=rejected,
        inside={item.name: round(item.working.mask_fraction, 4) for item in clicked},
        counted=counted,
    )
    displacement = network_displacement(run, network, clicked[0])
    return Model(
        network, settings, voxel_size, offset, threshold, facts, particle_scores, displacement, tuple(run.warnings)
    )


def counts_afterwards(settings: Settings) -> bool:
    """Say whether particles are counted by the scores of the trained network, before which no count is needed."""
    return settings.objective.loss == "pn" and settings.inference.adabn


def check_expected(settings: Settings, clicks: int, tomograms: int) -> None:
    """Refuse an expected number of particles that is below the clicks, or missing where nothing estimates it.

    Raises
    ------
    UsageError
        One line that says what to give.
    """
    given = settings.expected_particles
    if given is not None and given * tomograms < clicks:
        raise UsageError(
            f"--expected-particles {given:g} is less than the {clicks} clicks given; "
            "raise it or leave it out to have it estimated"
        )
    if given is None and settings.objective.loss != "pn" and not settings.training.fold_steps:
        raise UsageError(
            f"--loss {settings.objective.loss} without cross-fitting needs --expected-particles, "
            "about how many particles a training tomogram holds"
        )


def _expected(settings: Settings, clicked: Sequence[Clicked], run: Run) -> tuple[float | None, Count | None]:
    """Give the particles in all training tomograms together, as told, as counted, or unknown; and what was counted."""
    check_expected(settings, sum(len(item.clicks) for item in clicked), len(clicked))
    if settings.expected_particles is not None:
        given = settings.expected_particles * len(clicked)
        return given, _checked(given, clicked, run)
    if counts_afterwards(settings):
        return None, None  # The balanced risk needs no count; it is read off the scores afterwards.
    if settings.training.fold_steps:
        counted = run.count(clicked)
        run.listener.say(f"About {counted} in the training tomograms.")
        return counted.estimate, counted
    return None, None


def _checked(given: float, clicked: Sequence[Clicked], run: Run) -> Count | None:
    """Count with one network, half as dear as an estimate that is used, and say where the count given is far off.

    The network trained on all clicks could count for nothing, but it scores them far above other particles.
    """
    counts_later = run.settings.inference.adabn
    if counts_later or not run.settings.training.fold_steps or sum(len(item.clicks) for item in clicked) < 2:
        return None
    counted = run.count(clicked, networks=1)
    contradicted(given, counted, f"{given:g} is used, leave it out to use the estimate", run.listener)
    return counted
