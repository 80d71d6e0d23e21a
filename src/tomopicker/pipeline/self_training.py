"""Training in rounds: each network also learns from what those before it are sure of in the tomograms clicked in.

Clicks show a few particles in a few orientations, and every particle that was not clicked is taken for background. The
first networks' confident picks in the same tomograms, or those of the discriminant, show the rest; what they doubt is
left out of the background.
Two networks that differ by their seeds seldom err alike, so picks are judged by the mean of their scores.
Tomograms that nobody clicked in, those to follow the training on among them, teach nothing (self-training of a
picker; cf. Xie et al., CVPR 2020, whose students, too, are no smaller than their teachers).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from string import ascii_lowercase

from torch import nn

from tomopicker.config import Settings
from tomopicker.geometry import Frame
from tomopicker.picking.calibration import Count
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.pseudo_labels import pseudo_label, pseudo_label_by_discriminant
from tomopicker.pipeline.trainer import Run, calibrations, total_count
from tomopicker.pipeline.training_data import TrainingTomogram, at_least, number_of_clicks
from tomopicker.pu.prior import Priors
from tomopicker.training.labels import LabelledVolume
from tomopicker.training.loop import History, Report

ROUND_SEED_STEP = 1000
"""Between the seeds of two rounds, so that trainings with seeds 0, 1, 2 share none."""
MEMBER_SEED_STEP = 333
"""Between the seeds of two networks of a round, likewise."""
COUNTING_SEED = 101
"""Between the seeds of a training and of the network that counts for it, likewise."""

FEWEST = 5
"""Clicks whose steps are the least with pseudo-labels of the discriminant: there are many more labels than clicks."""


@dataclass(frozen=True)
class TrainResult:
    """What the rounds gave.

    Parameters
    ----------
    network : Module
        The last one.
    history : History
        Of all rounds, one after the other.
    priors : Priors or None
        Of the first round: of the clicks, and of what the discriminant is sure of where it is the first teacher.
    """

    network: nn.Module
    history: History
    priors: Priors | None


def first_labels(run: Run, clicked: Sequence[TrainingTomogram], frames: Sequence[Frame]) -> Sequence[TrainingTomogram]:
    """Add instant picks to the clicks where the settings take the first pseudo-labels from them.

    Parameters
    ----------
    run : Run
    clicked : sequence of TrainingTomogram
    frames : sequence of Frame
        Of the same tomograms.
    """
    if run.settings.starts_from_discriminant(number_of_clicks(clicked)):
        return pseudo_label_by_discriminant(run, clicked, frames)
    return clicked


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
        To follow the training; never learnt from.
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
    counted = at_least(total_count(calibrations([run.seen([network], item) for item in labelled])), clicks)
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
        The tomograms to learn from.
    first : sequence of TrainingTomogram
        The same tomograms with the labels of the first round, as `first_labels` gives them.
    validation : sequence of LabelledVolume
        To follow the training; never learnt from.
    particles : float or None
        In all tomograms clicked in together; None for a loss without a class prior.
    """
    rounds = steps_of_rounds(run.settings, number_of_clicks(clicked))
    steps = list(chain(*rounds))
    history: History = []
    networks: list[nn.Module] = []
    of_clicks: Priors | None = None
    by_discriminant = run.settings.starts_from_discriminant(number_of_clicks(clicked))
    for number, lengths in enumerate(rounds):
        items = pseudo_label(run, clicked, networks, number) if number else first
        training = [run.labelled(item) for item in items]
        priors = run.priors(training, particles, more_than_clicks=number > 0 or by_discriminant)
        if not number:
            of_clicks = priors
            run.callback.log(f"Labels: {priors}.")
        if number or by_discriminant:
            run.callback.log(_said(items, number + 1))
        for member, length in enumerate(lengths):
            tell = partial(_report, run.callback, sum(each or 0 for each in steps[: len(networks)]), steps)
            settings = _of_network(run.settings, number, member, length)
            network, lines = run.fit(_job(number, member), training, validation, priors, settings, tell)
            history += [{**line, "round": number + 1} for line in lines]
            networks.append(network)
    return TrainResult(networks[-1], history, of_clicks)


def steps_of_rounds(settings: Settings, clicks: int) -> Sequence[Sequence[int | None]]:
    """Give the optimiser steps of each network, round by round; none where epochs are counted."""
    cfg = settings.self_training
    rounds = cfg.rounds_for(clicks)
    if settings.starts_from_discriminant(clicks):
        last = settings.training.steps_for(max(clicks, FEWEST))
        each = last if last is None else max(1, round(last / cfg.final_steps_factor))
    else:
        each = settings.training.steps_for(clicks)
        last = each if each is None or rounds == 1 else max(1, round(each * cfg.final_steps_factor))
    return [[each] * cfg.ensemble_size] * (rounds - 1) + [[last]]


def _job(number: int, member: int) -> str:
    """Name a network of a round after both, as its checkpoint is: train, train2, and train_b beside the first."""
    return "train" + (f"{number + 1}" if number else "") + (f"_{ascii_lowercase[member]}" if member else "")


def _of_network(settings: Settings, number: int, member: int, steps: int | None) -> Settings:
    length = {} if steps is None else {"steps": steps}
    training = settings.training.model_copy(update=length)
    seed = settings.seed + ROUND_SEED_STEP * number + MEMBER_SEED_STEP * member
    return settings.model_copy(update={"seed": seed, "training": training})


def _report(callback: Callback, done: int, steps: Sequence[int | None], line: Report) -> None:
    """Tell how a round stands, its steps counted on from the rounds before."""
    known = [each for each in steps if each is not None]
    callback.on_train("train", replace(line, step=line.step + done, steps=sum(known)) if known else line)


def _said(items: Sequence[TrainingTomogram], number: int) -> str:
    sure, doubtful = (sum(len(getattr(item, kind)) for item in items) for kind in ("sure", "doubtful"))
    return f"Round {number}: {sure} confident picks are learnt from as well, {doubtful} doubtful ones left out."
