"""Training in rounds: each network also learns from what those before it are sure of in the tomograms clicked in.

Clicks show a few particles in a few orientations, and every particle that was not clicked is taken for background. The
first network's confident picks in the same tomograms show the rest; what it doubts is left out of the background.
Tomograms that nobody clicked in, those to follow the training on among them, teach nothing (self-training of a
picker; cf. Xie et al., CVPR 2020, whose students, too, are no smaller than their teachers).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64
from scipy.spatial import cKDTree
from torch import nn

from tomopicker.config import Settings
from tomopicker.data.patches import LabelledVolume
from tomopicker.engine.state import History
from tomopicker.engine.train import Report
from tomopicker.picking.peaks import Peaks
from tomopicker.pu.prior import Priors
from tomopicker.types import Doubtful, Positions, Scores, Sure, Volume
from tomopicker.workflow.clicked import Clicked
from tomopicker.workflow.listen import Listener
from tomopicker.workflow.run import Run
from tomopicker.workflow.score import MOST, find_peaks, score

Known: TypeAlias = Float64[np.ndarray, "known 3"]

APART = 1000
"""Between the seeds of two rounds, so that trainings with seeds 0, 1, 2 share none."""


@dataclass(frozen=True)
class Taught:
    """What the rounds gave.

    Parameters
    ----------
    network : Module
        The last one.
    history : History
        Of all rounds, one after the other.
    priors : Priors or None
        Of the last round's labels.
    """

    network: nn.Module
    history: History
    priors: Priors | None


def train_in_rounds(
    run: Run, clicked: Sequence[Clicked], validation: Sequence[LabelledVolume], particles: float | None
) -> Taught:
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
    steps = steps_of_rounds(run.settings, sum(len(item.clicks) for item in clicked))
    history: History = []
    sums: list[Volume] = []
    items = list(clicked)
    for number, length in enumerate(steps):
        training = [run.labelled(item) for item in items]
        priors = run.priors(training, particles)
        run.listener.say(f"Class priors: {priors}." if not number else _said(items, number + 1))
        job = "train" if not number else f"train{number + 1}"
        tell = partial(_tell, run.listener, sum(steps[:number]), sum(steps))
        network, lines = run.fit(job, training, validation, priors, _of_round(run.settings, number, length), tell)
        history += [{**line, "round": number + 1} for line in lines]
        if number + 1 < len(steps):
            volumes = [score(network, item.working, run.settings, run.device) for item in items]
            sums = [before + now for before, now in zip(sums, volumes, strict=True)] if sums else volumes
            means = [total / (number + 1) for total in sums]
            items = [_taught(run, item, mean, number + 1) for item, mean in zip(clicked, means, strict=True)]
    return Taught(network, history, priors)


def steps_of_rounds(settings: Settings, clicks: int) -> list[int]:
    """Give the optimiser steps of each round; 0 where epochs are counted."""
    knobs = settings.training
    each, rounds = knobs.steps_for(clicks) or 0, knobs.rounds_for(clicks)
    return [each] * (rounds - 1) + [round(each * knobs.last_round) if rounds > 1 else each]


def sure_and_doubtful(
    peaks: Peaks, probability: Scores, known: Known, radius: float, settings: Settings, most: int
) -> tuple[Sure, Doubtful]:
    """Choose what the next round learns from, and what it takes neither for a particle nor for background.

    Parameters
    ----------
    peaks : Peaks
        Best first.
    probability : array, shape (n,)
        Of each peak.
    known : Known
        Clicks and rejected picks, in the voxels of the peaks: nearer to them than `radius` nothing is added.
    radius : float
        The particle's, in voxels.
    settings : Settings
    most : int
        Of the sure ones.

    Returns
    -------
    sure : Sure
    doubtful : Doubtful
    """
    free = _away_from(peaks.positions_voxels, known, radius)
    sure = free & (probability >= settings.training.confident)
    sure &= np.cumsum(sure) <= most
    doubtful = free & (probability >= settings.training.doubtful) & ~sure
    return peaks.positions_voxels[sure], peaks.positions_voxels[doubtful]


def _away_from(positions: Positions, known: Known, radius: float) -> Bool[np.ndarray, " n"]:
    if not len(known) or not len(positions):
        return np.ones(len(positions), dtype=bool)
    distance, _ = cKDTree(known).query(positions)
    return np.asarray(distance > radius)


def _taught(run: Run, item: Clicked, scores: Volume, rounds: int) -> Clicked:
    """Add to a tomogram what the mean scores of some rounds are sure of, and what they doubt."""
    peaks = find_peaks(scores, run.settings, run.radius, float("-inf"), max_particles=MOST, mask=item.working.mask)
    mixture, _ = run.mixture_of(peaks, item)
    known = np.concatenate([item.clicks, item.rejected])
    most = round(len(item.clicks) * (run.settings.training.growth**rounds - 1))
    probability = mixture.probability(peaks.scores.astype(np.float64))
    sure, doubtful = sure_and_doubtful(peaks, probability, known, run.radius, run.settings, most)
    return replace(item, sure=sure, doubtful=doubtful)


def _of_round(settings: Settings, number: int, steps: int) -> Settings:
    length = {"steps": steps} if steps else {}
    training = settings.training.model_copy(update=length)
    return settings.model_copy(update={"seed": settings.seed + APART * number, "training": training})


def _tell(listener: Listener, done: int, total: int, line: Report) -> None:
    """Tell how a round stands, its steps counted on from the rounds before."""
    listener.trained("train", replace(line, step=line.step + done, steps=total) if total else line)


def _said(items: Sequence[Clicked], number: int) -> str:
    sure, doubtful = (sum(len(getattr(item, kind)) for item in items) for kind in ("sure", "doubtful"))
    return f"Round {number}: {sure} confident picks are learnt from as well, {doubtful} doubtful ones left out."
