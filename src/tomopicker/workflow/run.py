"""The parts of a training that share settings, device and checkpoints: labels, priors, networks, peaks and counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import nn

from tomopicker.config import Settings
from tomopicker.data.labels import IGNORED, POSITIVE, ball_offsets, label_mask
from tomopicker.data.noise import noise_like
from tomopicker.data.patches import LabelledVolume
from tomopicker.engine.state import History
from tomopicker.engine.train import Report, fit
from tomopicker.picking.calibrate import Ranking, click_scores, nearest_peaks, offset_for_count
from tomopicker.picking.count import Count, count_particles
from tomopicker.picking.expected_scores import Freedom, across_clicks, beside, elsewhere, positives_of
from tomopicker.picking.fit_mixture import fit_mixture
from tomopicker.picking.mixture import Mixture
from tomopicker.picking.noise_in import NoiseIn, tells_from_noise
from tomopicker.picking.peaks import Peaks
from tomopicker.pu.noise import Noise, together
from tomopicker.pu.positives import Positives
from tomopicker.pu.prior import Priors, class_priors
from tomopicker.types import Scores, Volume, VoxelMask
from tomopicker.workflow.clicked import Clicked, at_least, number_of_clicks
from tomopicker.workflow.listen import Listener
from tomopicker.workflow.score import MOST, as_it_scores, find_peaks, score_as, searched

CANDIDATES = 20
"""Peaks looked at for each click, at least, when particles are counted by a cross-fit."""


@dataclass(frozen=True)
class Seen:
    """What networks see in a training tomogram.

    Parameters
    ----------
    peaks : Peaks
        Best first.
    clicked : array, shape (peaks,)
        Those that a person clicked.
    missed : int
        Clicks without a peak.
    noise : NoiseIn
        What the networks find in noise of its power spectrum.
    """

    peaks: Peaks
    clicked: Bool[np.ndarray, " peaks"]
    missed: int
    noise: NoiseIn

    @property
    def scores(self) -> Scores:
        """The peaks' logits."""
        return self.peaks.scores.astype(np.float64)


@dataclass(frozen=True)
class Run:
    """The parts of one training run that share settings, device and checkpoints."""

    settings: Settings
    radius: float
    device: torch.device
    checkpoint: Path | None
    resume: bool
    listener: Listener

    def labelled(self, item: Clicked) -> LabelledVolume:
        """Label the clicks of a tomogram, and what earlier rounds are sure of or doubt."""
        data, fraction = item.working.data, self.settings.labels.target_fraction
        mask, positions = item.working.mask, np.concatenate([item.clicks, item.sure])
        labels = label_mask(
            data.shape, positions, self.radius, fraction, rejected=item.rejected, doubtful=item.doubtful, inside=mask
        )
        return LabelledVolume(data, labels, positions, item.rejected, mask)

    def priors(
        self, training: Sequence[LabelledVolume], particles: float | None, *, more_than_clicks: bool = False
    ) -> Priors | None:
        """Class priors of the labelled volumes; none if no count is known.

        A count below the clicks is an error of the user's; below what the program itself has labelled it is not, and
        is raised.
        """
        positive = sum(int((item.labels == POSITIVE).sum()) for item in training)
        everything = sum(int((item.labels != IGNORED).sum()) for item in training)
        ball = len(ball_offsets(max(1.0, self.radius * self.settings.labels.target_fraction)))
        knobs = self.settings.objective
        if knobs.kind == "pn":
            expected = float("nan") if particles is None else particles * ball / everything
            return Priors(positive / everything, expected, expected - positive / everything)
        if particles is None:
            return None
        if more_than_clicks or self.settings.expected_particles is None:
            particles = max(particles, 1.1 * positive / ball)
        return class_priors(positive, everything, ball, particles, knobs.prior_denominator)

    def fit(
        self,
        job: str,
        training: Sequence[LabelledVolume],
        validation: Sequence[LabelledVolume],
        priors: Priors | None,
        settings: Settings,
        report: Callable[[Report], None] | None = None,
    ) -> tuple[nn.Module, History]:
        """Train, with checkpoints of the job's own, and tell the listener, or whom it is to be told instead."""
        return fit(
            training,
            validation,
            settings,
            priors,
            device=self.device,
            checkpoint=self.checkpoint and self.checkpoint.with_name(f"{self.checkpoint.name}.{job}.ckpt"),
            resume=self.resume,
            report=report or partial(self.listener.trained, job),
        )

    def peaks(self, networks: Sequence[nn.Module], item: Clicked, most: int) -> Peaks:
        """Give the best peaks of a training tomogram, by the mean scores of networks; two volumes are held at most."""
        return self._peaks(self._as_they_score(networks, item), item.working.data, item.working.mask, most)

    def seen(self, networks: Sequence[nn.Module], item: Clicked) -> Seen:
        """Find the peaks of a training tomogram, and those of noise with its power spectrum."""
        fitted, working = self._as_they_score(networks, item), item.working
        nothing = noise_like(working.data, working.typical, self.settings.seed)
        found = self._peaks(fitted, nothing, None, MOST)
        noise = Noise(found.scores.astype(np.float64), searched(nothing.shape, self.settings, self.radius, None))
        voxels = searched(working.data.shape, self.settings, self.radius, working.mask)
        peaks = self._peaks(fitted, working.data, working.mask, MOST)
        nearest = nearest_peaks(peaks, item.clicks, self.radius)
        clicked = np.isin(np.arange(len(peaks)), nearest)
        return Seen(peaks, clicked, int((nearest < 0).sum()), NoiseIn(noise, voxels))

    def _as_they_score(self, networks: Sequence[nn.Module], item: Clicked) -> list[nn.Module]:
        return [as_it_scores(network, item.working, self.settings, self.device) for network in networks]

    def _peaks(self, fitted: Sequence[nn.Module], volume: Volume, mask: VoxelMask | None, most: int) -> Peaks:
        scores = score_as(fitted[0], volume, self.settings, self.device, mask)
        for network in fitted[1:]:
            scores += score_as(network, volume, self.settings, self.device, mask)
        scores /= len(fitted)
        return find_peaks(scores, self.settings, self.radius, float("-inf"), max_particles=most, mask=mask)

    def by_count(
        self, network: nn.Module, clicked: Sequence[Clicked], particles: float | None
    ) -> tuple[float, float | None]:
        """Give the offset that makes scores probabilities; without a count, the network's own output and even odds."""
        if not particles:
            return 0.0, 0.5
        peaks = [self.peaks([network], item, _enough(item, particles / len(clicked))) for item in clicked]
        return offset_for_count(np.concatenate([found.scores for found in peaks]).astype(np.float64), particles), None

    def by_clicks(self, network: nn.Module, clicked: Sequence[Clicked]) -> tuple[Positives, Count, Noise | None]:
        """Learn where particles score, and count those of the training tomograms, starting from the clicks' scores.

        What noise scores comes with it where the network does not tell particles from noise.
        """
        found = [self.seen([network], item) for item in clicked]
        expected, freedom = expected_of_clicks(found, clicked)
        fits, noisy = self.mixtures(found, expected, freedom)
        if noisy:
            self.listener.warn(
                "the network hardly tells these particles from noise; probabilities, counts and what is expected of "
                "the picks allow for it, but more clicks, or tomograms of more contrast, would help"
            )
        missed = sum(each.missed for each in found)
        counted = Count(
            *(missed + sum(getattr(count, end) for _, count in fits) for end in ("estimate", "low", "high"))
        )
        counted = at_least(counted, number_of_clicks(clicked))
        self.listener.say(f"About {counted} in the training tomograms.")
        given = self.settings.expected_particles
        # A wrong count forced on the mixture ruins every threshold, a right one moves it little (docs/experiments.md).
        asked = self.settings.objective.kind
        told = "the clicks are believed"
        if asked != "pn":
            told += f", but {asked} was trained with the class prior of the count given: leave it out and train again"
        if given is not None and not contradicted(given * len(clicked), counted, told, self.listener):
            fits = _mixtures(found, expected, given, freedom, noisy=noisy)
        density = (missed + sum(count.estimate for _, count in fits)) / sum(each.noise.voxels for each in found)
        positives = elsewhere([mixture.particles for mixture, _ in fits], number_of_clicks(clicked), density)
        noises = [mixture.noise_found or each.noise.noise for (mixture, _), each in zip(fits, found, strict=True)]
        return positives, counted, together(noises) if noisy else None

    def mixtures(
        self, found: Sequence[Seen], expected: Positives, freedom: Freedom
    ) -> tuple[list[tuple[Mixture, Count]], bool]:
        """Fit a mixture to each training tomogram, and say whether with its noise: where scores do not tell it apart.

        Where they do, most other peaks are look-alikes, and noise says too little of those.
        """
        fits = _mixtures(found, expected, None, freedom, noisy=False)
        noises, clicked = [each.noise for each in found], [each.clicked for each in found]
        if tells_from_noise([each.scores for each in found], fits, noises, clicked):
            return fits, False
        return _mixtures(found, expected, None, freedom, noisy=True), True

    def count(self, clicked: Sequence[Clicked], networks: int = 2) -> Count:
        """Count particles: networks, each trained on half of the clicks, rank the peaks and the other half."""
        seed, knobs = self.settings.seed, self.settings.training
        brief = knobs.model_copy(update={"steps": knobs.fold_steps})
        rankings = []
        for number, chosen in enumerate(_folds([len(item.clicks) for item in clicked], seed)[:networks]):
            training = [
                self.labelled(replace(item, clicks=item.clicks[rows]))
                for item, rows in zip(clicked, chosen, strict=True)
            ]
            settings = self.settings.model_copy(update={"training": brief, "seed": seed + 101 + number})
            network, _ = self.fit(f"count{number + 1}", training, [], None, settings)
            peaks = [self.peaks([network], item, _enough(item)) for item in clicked]
            held_out = [
                click_scores(found, item.clicks[~rows], self.radius)
                for found, item, rows in zip(peaks, clicked, chosen, strict=True)
            ]
            ranked = np.concatenate([found.scores for found in peaks]).astype(np.float64)
            rankings.append(Ranking(ranked, np.concatenate(held_out)))
        return count_particles(rankings, least=number_of_clicks(clicked))


def expected_of_clicks(found: Sequence[Seen], clicked: Sequence[Clicked]) -> tuple[Positives, Freedom]:
    """Say where particles of the training tomograms are expected to score, from the clicks in all of them."""
    scored = np.concatenate([each.scores[each.clicked] for each in found])
    return positives_of(scored), across_clicks(number_of_clicks(clicked))


def _mixtures(
    found: Sequence[Seen], expected: Positives, given: float | None, freedom: Freedom, *, noisy: bool
) -> list[tuple[Mixture, Count]]:
    """Fit a mixture to each tomogram's peaks, with a count where it is given, with its noise or without."""
    return [
        fit_mixture(
            each.scores,
            expected,
            given,
            freedom,
            each.noise if noisy else None,
            each.clicked,
            beside(int(each.clicked.sum())),
        )
        for each in found
    ]


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


def contradicted(given: float, counted: Count, consequence: str, listener: Listener) -> bool:
    """Tell whether what was counted contradicts the count given; if so, say it, and what follows."""
    unlike = counted.contradicts(given)
    if unlike:
        listener.warn(
            f"--expected-particles says {given:g} in the training tomograms, the clicks say about {counted}; "
            f"{consequence}"
        )
    return unlike
