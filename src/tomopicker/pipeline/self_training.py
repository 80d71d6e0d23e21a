"""Self-training: networks of later rounds also learn from pseudo-labels in the training tomograms.

Clicks cover few particles in few orientations, and every particle that was not clicked counts as background.
Pseudo-labels, the confident picks of the discriminant or of the networks of earlier rounds, cover the rest; ambiguous
picks are ignored. Networks that differ by their seeds seldom make the same errors, so picks are chosen by the mean of
their scores. Tomograms without clicks, and those for validation, get no pseudo-labels (cf. Xie et al., CVPR 2020, where
students are no smaller than their teachers, too).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from string import ascii_lowercase

from torch import nn

from tomopicker.config import Settings
from tomopicker.picking.calibration import Count
from tomopicker.pipeline.callbacks import Callback, NullCallback
from tomopicker.pipeline.instant_model import peaks_in_training
from tomopicker.pipeline.peak_calibration import calibrations
from tomopicker.pipeline.pseudo_labels import pseudo_label, pseudo_label_by_discriminant
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import TrainingTomogram, number_of_clicks
from tomopicker.pu.prior import Priors
from tomopicker.training.labels import LabelledVolume
from tomopicker.training.loop import History, Report

ROUND_SEED_STEP = 1000
"""Difference between the seeds of two rounds, so that trainings with seeds 0, 1, 2 have no seed in common."""
MEMBER_SEED_STEP = 333
"""Difference between the seeds of two networks of a round, likewise."""
COUNTING_SEED = 101
"""Difference between the seeds of a training and of its counting network, likewise."""

MIN_CLICKS_FOR_STEPS = 5
"""With pseudo-labels of the discriminant there are more labels than clicks: steps are those of at least 5 clicks."""


@dataclass(frozen=True)
class TrainResult:
    """The result of self-training.

    Parameters
    ----------
    network : Module
        The last one.
    history : History
        Of all rounds, one after the other.
    priors : Priors or None
        Of the first round: of the clicks, and of pseudo-labels of the discriminant, if any.
    """

    network: nn.Module
    history: History
    priors: Priors | None


def first_labels(run: Run, clicked: Sequence[TrainingTomogram]) -> Sequence[TrainingTomogram]:
    """Add instant picks to the clicks where the settings take the first pseudo-labels from them."""
    if not run.settings.starts_from_discriminant:
        return clicked
    # Computed only where needed: a resumed run reads its labels. Training has warned of clicks outside the specimen.
    return pseudo_label_by_discriminant(run, clicked, lambda: peaks_in_training(run, clicked, NullCallback()))


def needs_first_count(settings: Settings) -> bool:
    """Whether a first network has to count the particles: the loss has a class prior, and no count is stated."""
    return settings.objective.loss != "pn" and settings.expected_particles is None


def count_by_first_network(
    run: Run, labelled: Sequence[TrainingTomogram], validation: Sequence[LabelledVolume]
) -> Count:
    """Count the particles of the training tomograms with a network of the balanced PN loss, which needs no count.

    Parameters
    ----------
    run : Run
    labelled : sequence of TrainingTomogram
        The training tomograms, with the labels of the first round.
    validation : sequence of LabelledVolume
        For validation; never trained on.
    """
    settings, clicks = run.settings, number_of_clicks(labelled)
    length = steps_of_rounds(settings, clicks)[0][0]
    update = {
        "seed": settings.seed + COUNTING_SEED,
        "objective": settings.objective.model_copy(update={"loss": "pn", "balanced": True}),
        "training": settings.training if length is None else settings.training.model_copy(update={"steps": length}),
    }
    balanced_pn = replace(run, settings=settings.model_copy(update=update))
    training = [run.labelled(item) for item in labelled]
    network, _ = balanced_pn.fit(
        "count", training, validation, balanced_pn.priors(training, None), balanced_pn.settings
    )
    fits = calibrations([run.summarize([network], item) for item in labelled])
    counted = Count.total(fit.count for fit in fits).at_least(clicks)
    run.callback.log(
        f"A first network, with the PN loss, counts about {counted} in the training tomograms; "
        "--expected-particles saves that training."
    )
    return counted


def self_train(
    run: Run,
    clicked: Sequence[TrainingTomogram],
    first: Sequence[TrainingTomogram],
    validation: Sequence[LabelledVolume],
    particles: float | None,
) -> TrainResult:
    """Train `self_training.rounds` rounds of networks, `self_training.ensemble_size` in all but the last.

    Parameters
    ----------
    run : Run
    clicked : sequence of TrainingTomogram
        The training tomograms.
    first : sequence of TrainingTomogram
        The same, with the labels of the first round.
    validation : sequence of LabelledVolume
        For validation; never trained on.
    particles : float or None
        In all training tomograms together; None for a loss without a class prior.
    """
    rounds = steps_of_rounds(run.settings, number_of_clicks(clicked))
    steps = list(chain(*rounds))
    history: History = []
    networks: list[nn.Module] = []
    first_priors: Priors | None = None
    by_discriminant = run.settings.starts_from_discriminant
    for number, lengths in enumerate(rounds):
        items = pseudo_label(run, clicked, networks, number) if number else first
        training = [run.labelled(item) for item in items]
        priors = run.priors(training, particles, more_than_clicks=number > 0 or by_discriminant)
        if not number:
            first_priors = priors
            run.callback.log(f"Labels: {priors}.")
        if number or by_discriminant:
            run.callback.log(_summary(items, number + 1))
        for member, length in enumerate(lengths):
            report = partial(_report, run.callback, sum(each or 0 for each in steps[: len(networks)]), steps)
            settings = _member_settings(run.settings, number, member, length)
            network, lines = run.fit(_checkpoint_name(number, member), training, validation, priors, settings, report)
            history += [{**line, "round": number + 1} for line in lines]
            networks.append(network)
    return TrainResult(networks[-1], history, first_priors)


def steps_of_rounds(settings: Settings, clicks: int) -> Sequence[Sequence[int | None]]:
    """Give the optimiser steps of each network, round by round; None if the length is in epochs."""
    cfg = settings.self_training
    rounds = cfg.rounds_for(clicks)
    if settings.starts_from_discriminant:
        last = settings.training.steps_for(max(clicks, MIN_CLICKS_FOR_STEPS))
        each = last if last is None else max(1, round(last / cfg.final_steps_factor))
    else:
        each = settings.training.steps_for(clicks)
        last = each if each is None or rounds == 1 else max(1, round(each * cfg.final_steps_factor))
    return [[each] * cfg.ensemble_size] * (rounds - 1) + [[last]]


def _checkpoint_name(number: int, member: int) -> str:
    """Name of a network's checkpoint: train, and train_b for the second of the first round; train2, and so on."""
    return "train" + (f"{number + 1}" if number else "") + (f"_{ascii_lowercase[member]}" if member else "")


def _member_settings(settings: Settings, number: int, member: int, steps: int | None) -> Settings:
    length = {} if steps is None else {"steps": steps}
    training = settings.training.model_copy(update=length)
    seed = settings.seed + ROUND_SEED_STEP * number + MEMBER_SEED_STEP * member
    return settings.model_copy(update={"seed": seed, "training": training})


def _report(callback: Callback, done: int, steps: Sequence[int | None], line: Report) -> None:
    """Report the progress of a round, with the steps of earlier rounds added."""
    known = [each for each in steps if each is not None]
    callback.on_train("train", replace(line, step=line.step + done, steps=sum(known)) if known else line)


def _summary(items: Sequence[TrainingTomogram], number: int) -> str:
    pseudo_positives = sum(len(item.pseudo_positives) for item in items)
    ambiguous = sum(len(item.ambiguous) for item in items)
    return f"Round {number}: {pseudo_positives} pseudo-labels, {ambiguous} ambiguous picks ignored."
