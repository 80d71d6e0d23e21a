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
from tomopicker.pipeline.callbacks import Listener
from tomopicker.pipeline.pseudo_labels import label_by_discriminant, taught
from tomopicker.pipeline.trainer import Run
from tomopicker.pipeline.training_data import Clicked, number_of_clicks
from tomopicker.pu.prior import Priors
from tomopicker.training.labels import LabelledVolume
from tomopicker.training.loop import History, Report

APART = 1000
"""Between the seeds of two rounds, so that trainings with seeds 0, 1, 2 share none."""
BESIDE = 333
"""Between the seeds of two networks of a round, likewise."""

FEWEST = 5
"""Clicks whose steps are the least with pseudo-labels of the discriminant: there are many more labels than clicks."""


@dataclass(frozen=True)
class Outcome:
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


def train_in_rounds(
    run: Run,
    clicked: Sequence[Clicked],
    frames: Sequence[Frame],
    validation: Sequence[LabelledVolume],
    particles: float | None,
) -> Outcome:
    """Train `self_training.rounds` rounds of networks, `self_training.ensemble_size` in all but the last.

    Parameters
    ----------
    run : Run
    clicked : sequence of Clicked
        The tomograms to learn from.
    frames : sequence of Frame
        Of the same tomograms.
    validation : sequence of LabelledVolume
        To follow the training; never learnt from.
    particles : float or None
        In all tomograms clicked in together, for objectives with a class prior.
    """
    rounds = steps_of_rounds(run.settings, number_of_clicks(clicked))
    steps = list(chain(*rounds))
    history: History = []
    networks: list[nn.Module] = []
    of_clicks: Priors | None = None
    by_discriminant = run.settings.starts_from_discriminant(number_of_clicks(clicked))
    for number, lengths in enumerate(rounds):
        items: Sequence[Clicked]
        if number:
            items = taught(run, clicked, networks, number)
        else:
            items = label_by_discriminant(run, clicked, frames) if by_discriminant else clicked
        training = [run.labelled(item) for item in items]
        priors = run.priors(training, particles, more_than_clicks=number > 0 or by_discriminant)
        if not number:
            of_clicks = priors
            run.listener.say(f"Labels: {priors}.")
        if number or by_discriminant:
            run.listener.say(_said(items, number + 1))
        for member, length in enumerate(lengths):
            tell = partial(_tell, run.listener, sum(each or 0 for each in steps[: len(networks)]), steps)
            settings = _of_network(run.settings, number, member, length)
            network, lines = run.fit(_job(number, member), training, validation, priors, settings, tell)
            history += [{**line, "round": number + 1} for line in lines]
            networks.append(network)
    return Outcome(networks[-1], history, of_clicks)


def steps_of_rounds(settings: Settings, clicks: int) -> Sequence[Sequence[int | None]]:
    """Give the optimiser steps of each network, round by round; none where epochs are counted."""
    knobs = settings.self_training
    rounds = knobs.rounds_for(clicks)
    if settings.starts_from_discriminant(clicks):
        last = settings.training.steps_for(max(clicks, FEWEST))
        each = last if last is None else max(1, round(last / knobs.final_steps_factor))
    else:
        each = settings.training.steps_for(clicks)
        last = each if each is None or rounds == 1 else max(1, round(each * knobs.final_steps_factor))
    return [[each] * knobs.ensemble_size] * (rounds - 1) + [[last]]


def _job(number: int, member: int) -> str:
    """Name a network of a round after both, as its checkpoint is: train, train2, and train_b beside the first."""
    return "train" + (f"{number + 1}" if number else "") + (f"_{ascii_lowercase[member]}" if member else "")


def _of_network(settings: Settings, number: int, member: int, steps: int | None) -> Settings:
    length = {} if steps is None else {"steps": steps}
    training = settings.training.model_copy(update=length)
    seed = settings.seed + APART * number + BESIDE * member
    return settings.model_copy(update={"seed": seed, "training": training})


def _tell(listener: Listener, done: int, steps: Sequence[int | None], line: Report) -> None:
    """Tell how a round stands, its steps counted on from the rounds before."""
    known = [each for each in steps if each is not None]
    listener.trained("train", replace(line, step=line.step + done, steps=sum(known)) if known else line)


def _said(items: Sequence[Clicked], number: int) -> str:
    sure, doubtful = (sum(len(getattr(item, kind)) for item in items) for kind in ("sure", "doubtful"))
    return f"Round {number}: {sure} confident picks are learnt from as well, {doubtful} doubtful ones left out."
