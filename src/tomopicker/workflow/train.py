"""From clicks to a model: preprocess, count the particles by a cross-fit, train, make scores probabilities.

With the paper preset only the middle is done: one network on the clicks, with the count the user gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tomopicker.config import Settings
from tomopicker.data.labels import IGNORED, POSITIVE, ball_offsets, label_mask
from tomopicker.data.patches import LabelledVolume
from tomopicker.engine.checkpoint import Model
from tomopicker.engine.precision import choose_device
from tomopicker.engine.soup import fit_mean
from tomopicker.engine.state import History
from tomopicker.errors import UsageError
from tomopicker.picking.calibrate import (
    Ranking,
    click_scores,
    offset_for_count,
)
from tomopicker.picking.count import Count, count_particles
from tomopicker.picking.mixture import across_clicks, elsewhere, fit_mixture, positives_of
from tomopicker.picking.peaks import Peaks
from tomopicker.picks import Picks
from tomopicker.pu.positives import Positives
from tomopicker.pu.prior import Priors, class_priors
from tomopicker.tomogram import Tomogram
from tomopicker.types import VoxelMask
from tomopicker.workflow.clicked import (
    Clicked,
    clicks_outside,
    common_voxel_size,
    hold_out,
    load_clicked,
    warn_of_bright_clicks,
)
from tomopicker.workflow.listen import Listener, Silent
from tomopicker.workflow.provenance import provenance
from tomopicker.workflow.score import MOST, find_peaks, score

MISLAID = 0.05
"""Share of the clicks that may lie outside the lamella that was found, before it is not believed."""

CANDIDATES = 20
"""Peaks looked at for each click, at least, when particles are counted by a cross-fit."""


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
    if settings.training.hold_out and not watched:
        clicked, watched = hold_out(clicked, settings, listener)

    run = _Run(settings, radius, chosen, checkpoint, resume, listener)
    particles, counted = _expected(settings, clicked, run)
    training = [run.labelled(item) for item in clicked]
    validation = [run.labelled(item) for item in watched]
    priors = run.priors(training, particles)
    listener.say(f"Class priors: {priors}.")
    network, history = run.fit("train", training, validation, priors, settings)
    offset, threshold, positives = 0.0, None, None
    if settings.inference.adapt:
        positives, counted = run.by_clicks(network, clicked)
        if particles is None or counted.contradicts(particles):
            particles = counted.estimate
    else:
        offset, threshold = run.by_count(network, clicked, particles)
    facts = provenance(
        tomograms,
        picks,
        validation_tomograms,
        settings,
        priors,
        particles,
        history,
        rejected=rejected,
        inside={item.name: round(item.working.share, 4) for item in clicked},
        counted=counted,
    )
    return Model(network, settings, voxel_size, offset, threshold, facts, positives)


@dataclass(frozen=True)
class _Run:
    """The parts of one training run that share settings, device and checkpoints."""

    settings: Settings
    radius: float
    device: torch.device
    checkpoint: Path | None
    resume: bool
    listener: Listener

    def labelled(self, item: Clicked) -> LabelledVolume:
        """Label the clicks of a tomogram."""
        data, fraction = item.working.data, self.settings.labels.target_fraction
        mask = item.working.mask
        labels = label_mask(data.shape, item.clicks, self.radius, fraction, rejected=item.rejected, inside=mask)
        return LabelledVolume(data, labels, item.clicks, item.rejected, mask)

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
        settings: Settings,
    ) -> tuple[nn.Module, History]:
        """Train, with checkpoints of the job's own."""
        return fit_mean(
            training,
            validation,
            settings,
            priors,
            device=self.device,
            checkpoint=self.checkpoint and self.checkpoint.with_name(f"{self.checkpoint.name}.{job}.ckpt"),
            resume=self.resume,
            report=lambda line: self.listener.trained(job, line),
        )

    def peaks(self, network: nn.Module, item: Clicked, most: int) -> Peaks:
        """Give the best peaks of a training tomogram."""
        scores = score(network, item.working, self.settings, self.device)
        return find_peaks(scores, self.settings, self.radius, float("-inf"), max_particles=most, mask=item.working.mask)

    def by_count(
        self, network: nn.Module, clicked: Sequence[Clicked], particles: float | None
    ) -> tuple[float, float | None]:
        """Give the offset that makes scores probabilities; without a count, the network's own output and even odds."""
        if not particles:
            return 0.0, 0.5
        peaks = [self.peaks(network, item, _enough(item, particles / len(clicked))) for item in clicked]
        return offset_for_count(np.concatenate([found.scores for found in peaks]).astype(np.float64), particles), None

    def by_clicks(self, network: nn.Module, clicked: Sequence[Clicked]) -> tuple[Positives, Count]:
        """Learn where particles score, and count those of the training tomograms, starting from the clicks' scores."""
        peaks = [self.peaks(network, item, MOST) for item in clicked]
        scored = [click_scores(found, item.clicks, self.radius) for found, item in zip(peaks, clicked, strict=True)]
        expected = positives_of(np.concatenate(scored))
        freedom = across_clicks(sum(len(item.clicks) for item in clicked))
        scores, given = [found.scores.astype(np.float64) for found in peaks], self.settings.expected_particles
        fits = [fit_mixture(each, expected, None, freedom) for each in scores]
        counted = Count(*(sum(getattr(count, end) for _, count in fits) for end in ("estimate", "low", "high")))
        self.listener.say(f"About {counted} in the training tomograms.")
        # A wrong count forced on the mixture ruins every threshold, a right one moves it little (docs/experiments.md).
        if given is not None and not _contradicted(
            given * len(clicked), counted, "the clicks are believed", self.listener
        ):
            fits = [fit_mixture(each, expected, given, freedom) for each in scores]
        return elsewhere([mixture.particles for mixture, _ in fits]), counted

    def count(self, clicked: Sequence[Clicked], networks: int = 2) -> Count:
        """Count particles: networks, each trained on half of the clicks, rank the peaks and the other half."""
        seed, knobs = self.settings.seed, self.settings.training
        brief = knobs.model_copy(update={"steps": knobs.fold_steps, "networks": 1})
        rankings = []
        for number, chosen in enumerate(_folds([len(item.clicks) for item in clicked], seed)[:networks]):
            training = [
                self.labelled(replace(item, clicks=item.clicks[rows]))
                for item, rows in zip(clicked, chosen, strict=True)
            ]
            settings = self.settings.model_copy(update={"training": brief, "seed": seed + 101 + number})
            network, _ = self.fit(f"count{number + 1}", training, [], None, settings)
            peaks = [self.peaks(network, item, _enough(item)) for item in clicked]
            held_out = [
                click_scores(found, item.clicks[~rows], self.radius)
                for found, item, rows in zip(peaks, clicked, chosen, strict=True)
            ]
            ranked = np.concatenate([found.scores for found in peaks]).astype(np.float64)
            rankings.append(Ranking(ranked, np.concatenate(held_out)))
        return count_particles(rankings, least=sum(len(item.clicks) for item in clicked))


def _enough(item: Clicked, particles: float = 0.0) -> int:
    """Say how many of the best peaks are enough to find so many particles of a tomogram, or to count them."""
    return int(max(CANDIDATES * len(item.clicks), 3 * particles, 400))


def _folds(counts: Sequence[int], seed: int) -> list[list[np.ndarray]]:
    """Split the clicks in two at random: for each fold and tomogram, the rows trained on."""
    total = sum(counts)
    first = np.zeros(total, dtype=bool)
    first[np.random.default_rng([seed, 7]).permutation(total)[: (total + 1) // 2]] = True
    starts = np.cumsum([0, *counts])
    return [[side[start:stop] for start, stop in pairwise(starts)] for side in (first, ~first if total > 1 else first)]


def counts_afterwards(settings: Settings) -> bool:
    """Say whether particles are counted by the scores of the trained network, before which no count is needed."""
    return settings.objective.kind == "pn" and settings.inference.adapt


def _expected(settings: Settings, clicked: Sequence[Clicked], run: _Run) -> tuple[float | None, Count | None]:
    """Give the particles in all training tomograms together, as told, as counted, or unknown; and what was counted."""
    if settings.expected_particles is not None:
        given, clicks = settings.expected_particles * len(clicked), sum(len(item.clicks) for item in clicked)
        if given < clicks:
            raise UsageError(
                f"--expected-particles {settings.expected_particles:g} is less than the {clicks} clicks given; "
                "raise it or leave it out to have it estimated"
            )
        return given, _checked(given, clicked, run)
    if counts_afterwards(settings):
        return None, None  # The balanced risk needs no count; it is read off the scores afterwards.
    if settings.training.fold_steps:
        counted = run.count(clicked)
        run.listener.say(f"About {counted} in the training tomograms.")
        return counted.estimate, counted
    if settings.objective.kind != "pn":
        raise UsageError(
            f"--objective {settings.objective.kind} without cross-fitting needs --expected-particles, "
            "about how many particles a training tomogram holds"
        )
    return None, None


def _checked(given: float, clicked: Sequence[Clicked], run: _Run) -> Count | None:
    """Count with one network, half as dear as an estimate that is used, and say where the count given is far off.

    The network trained on all clicks could count for nothing, but it scores them far above other particles.
    """
    counts_later = run.settings.inference.adapt
    if counts_later or not run.settings.training.fold_steps or sum(len(item.clicks) for item in clicked) < 2:
        return None
    counted = run.count(clicked, networks=1)
    _contradicted(given, counted, f"{given:g} is used, leave it out to use the estimate", run.listener)
    return counted


def _contradicted(given: float, counted: Count, consequence: str, listener: Listener) -> bool:
    """Tell whether what was counted contradicts the count given; if so, say it, and what follows."""
    contradicted = counted.contradicts(given)
    if contradicted:
        listener.warn(
            f"--expected-particles says {given:g} in the training tomograms, the clicks say about {counted}; "
            f"{consequence}"
        )
    return contradicted
