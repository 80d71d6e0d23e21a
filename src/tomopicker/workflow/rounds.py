"""Training in rounds: each network also learns from what those before it are sure of in the tomograms clicked in.

Clicks show a few particles in a few orientations, and every particle that was not clicked is taken for background. The
first network's confident picks in the same tomograms show the rest; what it doubts is left out of the background.
Tomograms that nobody clicked in, those to follow the training on among them, teach nothing (self-training of a
picker; cf. Xie et al., CVPR 2020, whose students, too, are no smaller than their teachers).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from tomopicker.config import Settings
from tomopicker.data.patches import LabelledVolume
from tomopicker.engine.state import History
from tomopicker.engine.train import Report
from tomopicker.pu.prior import Priors
from tomopicker.workflow.clicked import Clicked, number_of_clicks
from tomopicker.workflow.listen import Listener
from tomopicker.workflow.run import Run
from tomopicker.workflow.taught import taught

APART = 1000
"""Between the seeds of two rounds, so that trainings with seeds 0, 1, 2 share none."""


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
        Of the clicks alone.
    """

    network: nn.Module
    history: History
    priors: Priors | None


def train_in_rounds(
    run: Run, clicked: Sequence[Clicked], validation: Sequence[LabelledVolume], particles: float | None
) -> Outcome:
    """Train `training.rounds` networks, one after the other.

    Parameters
    ----------
    run : Run
    clicked : sequence of Clicked
        The tomograms to learn from.
    validation : sequence of LabelledVolume
        To follow the training; never learnt from.
    particles : float or None
        In all tomograms clicked in together, for objectives with a class prior.
    """
    steps = steps_of_rounds(run.settings, number_of_clicks(clicked))
    history: History = []
    networks: list[nn.Module] = []
    of_clicks: Priors | None = None
    for number, length in enumerate(steps):
        items = taught(run, clicked, networks) if number else clicked
        training = [run.labelled(item) for item in items]
        priors = run.priors(training, particles, more_than_clicks=number > 0)
        if not number:
            of_clicks = priors
        run.listener.say(_said(items, number + 1) if number else f"Class priors: {priors}.")
        job = f"train{number + 1}" if number else "train"
        tell = partial(_tell, run.listener, sum(each or 0 for each in steps[:number]), steps)
        network, lines = run.fit(job, training, validation, priors, _of_round(run.settings, number, length), tell)
        history += [{**line, "round": number + 1} for line in lines]
        networks.append(network)
    return Outcome(networks[-1], history, of_clicks)


def steps_of_rounds(settings: Settings, clicks: int) -> Sequence[int | None]:
    """Give the optimiser steps of each round; none where epochs are counted."""
    knobs = settings.training
    each, rounds = knobs.steps_for(clicks), knobs.rounds_for(clicks)
    if each is None or rounds == 1:
        return [each] * rounds
    return [each] * (rounds - 1) + [max(1, round(each * knobs.last_round))]


def _of_round(settings: Settings, number: int, steps: int | None) -> Settings:
    length = {} if steps is None else {"steps": steps}
    training = settings.training.model_copy(update=length)
    return settings.model_copy(update={"seed": settings.seed + APART * number, "training": training})


def _tell(listener: Listener, done: int, steps: Sequence[int | None], line: Report) -> None:
    """Tell how a round stands, its steps counted on from the rounds before."""
    known = [each for each in steps if each is not None]
    listener.trained("train", replace(line, step=line.step + done, steps=sum(known)) if known else line)


def _said(items: Sequence[Clicked], number: int) -> str:
    sure, doubtful = (sum(len(getattr(item, kind)) for item in items) for kind in ("sure", "doubtful"))
    return f"Round {number}: {sure} confident picks are learnt from as well, {doubtful} doubtful ones left out."
