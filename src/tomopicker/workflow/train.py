"""From clicks to a model: preprocess, cross-fit to count, train, learn from more than the clicks, set the threshold.

With the paper preset only the middle is done: one network on the clicks, with the count the user gives.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tomopicker import __version__
from tomopicker.config import Settings
from tomopicker.data.labels import IGNORED, POSITIVE, UNLABELLED, ball_offsets, label_mask, paint
from tomopicker.data.patches import LabelledVolume
from tomopicker.data.preprocess import WorkingVolume, preprocess, working_voxel_size
from tomopicker.engine.checkpoint import Model
from tomopicker.engine.precision import choose_device
from tomopicker.engine.train import History, fit
from tomopicker.errors import UsageError
from tomopicker.picking.calibrate import Ranking, click_scores, estimate_count, threshold_for_count
from tomopicker.picking.peaks import Peaks
from tomopicker.picks import Picks
from tomopicker.pu.prior import Priors, class_priors
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions
from tomopicker.workflow.inputs import bright_clicks, check_diameter, check_voxel_size
from tomopicker.workflow.listen import Listener, Silent
from tomopicker.workflow.score import find_peaks, score

CANDIDATES = 20
"""Peaks looked at for each click, at least, when particles are counted."""


@dataclass(frozen=True)
class Clicked:
    """A training tomogram: its working volume and its clicks in working voxels, (x, y, z)."""

    name: str
    working: WorkingVolume
    clicks: Positions


@dataclass(frozen=True)
class Found:
    """Peaks of one tomogram to learn from (confident) and not to learn from (doubtful), in working voxels."""

    confident: Positions
    doubtful: Positions


def train(
    tomograms: Sequence[Tomogram],
    picks: Picks,
    settings: Settings,
    *,
    validation_tomograms: Sequence[Tomogram] = (),
    validation_picks: Picks | None = None,
    device: str | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    listener: Listener | None = None,
) -> Model:
    """Train a picker from clicks.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Those that were clicked in.
    picks : Picks
        The clicks: centres of particles.
    settings : Settings
        From `tomopicker.config.resolve`.
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
    voxel_size = _working_voxel_size(tomograms, settings)
    clicked = _load(tomograms, picks, settings, voxel_size, listener)
    watched = _load(validation_tomograms, validation_picks, settings, voxel_size, listener)
    radius = settings.particle_diameter / 2 / voxel_size
    _say_contrast(clicked, radius, listener)
    if settings.training.hold_out and not watched:
        clicked, watched = _hold_out(clicked, settings, listener)

    run = _Run(settings, radius, chosen, checkpoint, resume, listener)
    particles = _expected(settings, clicked, run)
    training = [run.labelled(item) for item in clicked]
    validation = [run.labelled(item) for item in watched]
    priors = run.priors(training, particles)
    listener.say(f"Class priors: {priors}.")
    network, history = run.fit("train", training, validation, priors, settings.training.steps)
    if settings.training.round_steps and particles:
        found = run.self_label(network, clicked, particles)
        listener.say(f"{sum(len(item.confident) for item in found)} confident peaks are added to the clicks.")
        training = [run.labelled(item, more) for item, more in zip(clicked, found, strict=True)]
        priors = run.priors(training, particles)
        network, more = run.fit("round", training, validation, priors, settings.training.round_steps, network=network)
        history = history + more

    peaks = [run.peaks(network, item, particles, len(clicked)) for item in clicked]
    scores = np.concatenate([item.scores for item in peaks])
    threshold = threshold_for_count(scores, particles) if particles else 0.0
    facts = _provenance(tomograms, picks, validation_tomograms, settings, priors, particles, history)
    return Model(network, settings, voxel_size, threshold, facts)


@dataclass(frozen=True)
class _Run:
    """The parts of one training run that share settings, device and checkpoints."""

    settings: Settings
    radius: float
    device: torch.device
    checkpoint: Path | None
    resume: bool
    listener: Listener

    def labelled(self, item: Clicked, found: Found | None = None) -> LabelledVolume:
        """Label the clicks of a tomogram, and the peaks that self-training found there."""
        confident = item.clicks if found is None else np.concatenate([item.clicks, found.confident])
        shape = item.working.data.shape
        labels = label_mask(shape, confident, self.radius, self.settings.labels.target_fraction)
        if found is not None:
            ignored = np.zeros_like(labels)
            paint(ignored, found.doubtful, self.radius, IGNORED)
            labels[(labels == UNLABELLED) & (ignored == IGNORED)] = IGNORED
        return LabelledVolume(item.working.data, labels, confident)

    def priors(self, training: Sequence[LabelledVolume], particles: float | None) -> Priors | None:
        """Class priors of the labelled volumes; none if no count is known."""
        positive = sum(int((item.labels == POSITIVE).sum()) for item in training)
        everything = sum(int((item.labels != IGNORED).sum()) for item in training)
        ball = len(ball_offsets(max(1.0, self.radius * self.settings.labels.target_fraction)))
        knobs = self.settings.objective
        if knobs.kind == "pn":
            expected = float("nan") if particles is None else particles * ball / everything
            return Priors(positive / everything, expected, expected - positive / everything)
        if particles is None:
            return None
        if self.settings.expected_particles is None:
            particles = max(particles, 1.1 * positive / ball)
        return class_priors(positive, everything, ball, particles, knobs.prior_denominator)

    def fit(
        self,
        job: str,
        training: Sequence[LabelledVolume],
        validation: Sequence[LabelledVolume],
        priors: Priors | None,
        steps: int | None,
        seed: int | None = None,
        network: nn.Module | None = None,
    ) -> tuple[nn.Module, History]:
        """Train one network, with its own checkpoint."""
        path = self.checkpoint and self.checkpoint.with_name(f"{self.checkpoint.name}.{job}.ckpt")
        return fit(
            training,
            validation,
            self.settings if seed is None else self.settings.model_copy(update={"seed": seed}),
            priors,
            device=self.device,
            steps=steps,
            network=network,
            checkpoint=path,
            resume=self.resume,
            report=lambda line: self.listener.trained(job, line),
        )

    def peaks(self, network: nn.Module, item: Clicked, particles: float | None, tomograms: int) -> Peaks:
        """Give enough of the best peaks of a training tomogram to count particles among them."""
        scores = score(network, item.working.data, self.settings, self.device)
        enough = int(max(CANDIDATES * len(item.clicks), 3 * (particles or 0) / tomograms, 400))
        return find_peaks(scores, self.settings, self.radius, float("-inf"), max_particles=enough)

    def count(self, clicked: Sequence[Clicked]) -> float:
        """Count particles: two networks, each trained on half of the clicks, rank the peaks and the other half."""
        steps, seed = self.settings.training.fold_steps, self.settings.seed
        rankings = []
        for number, chosen in enumerate(_folds([len(item.clicks) for item in clicked], seed)):
            training = [
                self.labelled(replace(item, clicks=item.clicks[rows]))
                for item, rows in zip(clicked, chosen, strict=True)
            ]
            network, _ = self.fit(f"count{number + 1}", training, [], None, steps, seed=seed + 101 + number)
            peaks = [self.peaks(network, item, None, len(clicked)) for item in clicked]
            held_out = [
                click_scores(found, item.clicks[~rows], self.radius)
                for found, item, rows in zip(peaks, clicked, chosen, strict=True)
            ]
            ranked = np.concatenate([found.scores for found in peaks]).astype(np.float64)
            rankings.append(Ranking(ranked, np.concatenate(held_out)))
        return estimate_count(rankings, least=sum(len(item.clicks) for item in clicked))

    def self_label(self, network: nn.Module, clicked: Sequence[Clicked], particles: float) -> list[Found]:
        """Sort the peaks of a network, over all training tomograms, into confident, doubtful and the rest."""
        peaks = [self.peaks(network, item, particles, len(clicked)) for item in clicked]
        ranked = np.sort(np.concatenate([item.scores for item in peaks]))[::-1]
        knobs = self.settings.training
        sure, unsure = (
            float(ranked[min(len(ranked) - 1, int(share * particles))])
            for share in (knobs.confident, max(knobs.confident, knobs.doubtful))
        )
        found = []
        for item, clicks in zip(peaks, clicked, strict=True):
            confident, above = item.scores > sure, item.scores > unsure
            new = _away_from(item.positions_voxels[confident], clicks.clicks, self.radius)
            found.append(Found(new, item.positions_voxels[above & ~confident]))
        return found


def _away_from(positions: Positions, clicks: Positions, radius: float) -> Positions:
    """Keep the positions that are not a click again."""
    if not len(clicks):
        return positions
    distance = np.linalg.norm(positions[:, None] - clicks[None], axis=2).min(axis=1) if len(positions) else np.zeros(0)
    kept: Positions = positions[distance > radius]
    return kept


def _folds(counts: Sequence[int], seed: int) -> list[list[np.ndarray]]:
    """Split the clicks in two at random: for each fold and tomogram, the rows trained on."""
    total = sum(counts)
    first = np.zeros(total, dtype=bool)
    first[np.random.default_rng([seed, 7]).permutation(total)[: (total + 1) // 2]] = True
    starts = np.cumsum([0, *counts])
    return [[side[start:stop] for start, stop in pairwise(starts)] for side in (first, ~first if total > 1 else first)]


def _working_voxel_size(tomograms: Sequence[Tomogram], settings: Settings) -> float:
    for tomogram in tomograms:
        check_diameter(settings.particle_diameter, tomogram)
    finest = min(tomogram.voxel_size for tomogram in tomograms)
    return working_voxel_size(finest, settings.particle_diameter, settings.preprocess.working_diameter)


def _load(
    tomograms: Sequence[Tomogram], picks: Picks | None, settings: Settings, voxel_size: float, listener: Listener
) -> list[Clicked]:
    loaded = []
    for tomogram in tomograms:
        check_voxel_size(tomogram, voxel_size, settings.particle_diameter)
        mine = picks.in_tomogram(tomogram.name) if picks is not None else Picks.of(tomogram.name, np.empty((0, 3)))
        if not len(mine):
            raise UsageError(
                f"{tomogram.path or tomogram.name}: none of the picks given lies in it; leave it out or add picks"
            )
        working = preprocess(tomogram, voxel_size, settings.preprocess.clip_sd)
        resampled = (
            "" if working.ratio == 1 else f", resampled from {tomogram.voxel_size:.4g} to {voxel_size:.4g} Å voxels"
        )
        listener.say(f"{tomogram.name}: {len(mine)} clicks{resampled}.")
        loaded.append(Clicked(tomogram.name, working, working.from_angstrom(mine.positions)))
    return loaded


def _say_contrast(clicked: Sequence[Clicked], radius: float, listener: Listener) -> None:
    for item in clicked:
        if bright_clicks(item.working, item.clicks, radius):
            listener.warn(
                f"{item.name}: the clicks are brighter than their surroundings; if protein is bright use --invert"
            )


def _hold_out(clicked: list[Clicked], settings: Settings, listener: Listener) -> tuple[list[Clicked], list[Clicked]]:
    total = sum(len(item.clicks) for item in clicked)
    if total < 10:
        return clicked, []
    share = settings.training.hold_out
    kept, held = [], []
    for index, item in enumerate(clicked):
        order = np.random.default_rng([settings.seed, 11, index]).permutation(len(item.clicks))
        out = round(share * len(order))
        kept.append(replace(item, clicks=item.clicks[order[out:]]))
        if out:
            held.append(replace(item, clicks=item.clicks[order[:out]]))
    listener.say(f"{sum(len(item.clicks) for item in held)} of {total} clicks are held out to follow the training.")
    return kept, held


def _expected(settings: Settings, clicked: Sequence[Clicked], run: _Run) -> float | None:
    """Give the particles in all training tomograms together: as told, as counted, or unknown."""
    if settings.expected_particles is not None:
        given, clicks = settings.expected_particles * len(clicked), sum(len(item.clicks) for item in clicked)
        if given < clicks:
            raise UsageError(
                f"--expected-particles {settings.expected_particles:g} a tomogram is fewer than the {clicks} clicks given; "
                "raise it or leave it out to have it estimated"
            )
        return given
    if settings.training.fold_steps:
        particles = run.count(clicked)
        run.listener.say(f"About {particles:.0f} particles are estimated in the training tomograms.")
        return particles
    if settings.objective.kind != "pn":
        raise UsageError(
            f"--objective {settings.objective.kind} without cross-fitting needs --expected-particles, "
            "about how many particles a training tomogram holds"
        )
    return None


def _provenance(
    tomograms: Sequence[Tomogram],
    picks: Picks,
    validation: Sequence[Tomogram],
    settings: Settings,
    priors: Priors | None,
    particles: float | None,
    history: History,
) -> dict[str, Any]:
    def describe(tomogram: Tomogram) -> dict[str, Any]:
        return {
            "name": tomogram.name,
            "file": str(tomogram.path) if tomogram.path else None,
            "shape_zyx": list(tomogram.shape),
            "voxel_size_angstrom": tomogram.voxel_size,
            "clicks": int((picks.tomograms == tomogram.name).sum()),
        }

    return {
        "tomopicker": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "training": [describe(tomogram) for tomogram in tomograms],
        "validation": [tomogram.name for tomogram in validation],
        "particles": particles,
        "particles_estimated": settings.expected_particles is None,
        "priors": None if priors is None else {"pi": priors.labelled, "pi1": priors.expected, "pi2": priors.unlabelled},
        "history": history,
    }
