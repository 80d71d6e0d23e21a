"""The steps of a training run that share settings, device and checkpoints: labels, priors, networks, peaks, counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tomopicker.config import Settings
from tomopicker.picking.calibration import Count, offset_for_count
from tomopicker.picking.peaks import Peaks, nearest_peaks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.peak_calibration import (
    PeakSummary,
    calibrations,
    particle_scores,
    separation,
    summarize_peaks,
)
from tomopicker.pipeline.scoring import decoy_of, find_peaks, prepare_network, score_working_volume
from tomopicker.pipeline.training_data import TrainingTomogram
from tomopicker.pu.objective import LOSSES
from tomopicker.pu.particle_scores import ParticleScores, from_clicks
from tomopicker.pu.prior import Priors, class_priors
from tomopicker.training.labels import IGNORED, POSITIVE, LabelledVolume, draw_spheres, label_mask, positive_voxels
from tomopicker.training.loop import History, fit
from tomopicker.types import VoxelMask

MIN_SEPARATION = 0.5
"""Minimum `separation` without a warning: below it, particles hardly score above background."""
COUNT_OVER_LABELS = 1.1
"""Minimum ratio of expected to labelled particles in a class prior, so that unlabelled voxels contain some."""
CANDIDATES = 20
"""Minimum number of peaks per click for fitting the offset to a known count."""
PARTICLE_LIKE_RADII = 1.1
"""Radius around a peak that is excluded from a decoy, in particle radii; peaks are off by a voxel."""
MAX_PARTICLE_LIKE = 0.4
"""Maximum fraction of a volume in spheres around particle-like peaks; it is 0.14 to 0.21 in a crowded cell."""


@dataclass(frozen=True)
class Run:
    """One training run: its settings, device and checkpoints, and the steps that need them."""

    settings: Settings
    radius: float
    device: torch.device
    checkpoint: Path | None
    resume: bool
    callback: Callback
    warnings: list[str] = field(default_factory=list)
    """Warnings that are saved in the model."""

    def warn_in_model(self, text: str) -> None:
        """Issue a warning that is also saved in the model and repeated when picking."""
        self.callback.warn(text)
        self.warnings.append(text)

    def labelled(self, item: TrainingTomogram) -> LabelledVolume:
        """Make the label mask from clicks, negatives and pseudo-labels."""
        data, fraction = item.working.data, self.settings.labels.radius_fraction
        mask, positions = item.working.mask, np.concatenate([item.clicks, item.pseudo_positives])
        labels = label_mask(
            data.shape, positions, self.radius, fraction, rejected=item.rejected, ambiguous=item.ambiguous, inside=mask
        )
        return LabelledVolume(data, labels, positions, item.rejected, mask, item.name)

    def priors(self, training: Sequence[LabelledVolume], particles: float | None) -> Priors:
        """Compute the class priors of labelled volumes; see `class_priors_for`."""
        positive = sum(int((item.labels == POSITIVE).sum()) for item in training)
        everything = sum(int((item.labels != IGNORED).sum()) for item in training)
        return class_priors_for(self.settings, positive, everything, self.radius, particles)

    def fit(
        self,
        job: str,
        training: Sequence[LabelledVolume],
        validation: Sequence[LabelledVolume],
        priors: Priors,
        clicks: int,
    ) -> tuple[nn.Module, History]:
        """Train a network, with its own checkpoint; the number of steps follows the clicks and pseudo-labels."""
        steps = self.settings.steps_for(clicks, sum(len(item.positions) for item in training) - clicks)
        length = self.settings.training.model_copy(update={"steps": steps})
        return fit(
            training,
            validation,
            self.settings.model_copy(update={"training": length}),
            priors,
            device=self.device,
            checkpoint=self.checkpoint and self.checkpoint.with_name(f"{self.checkpoint.name}.{job}.ckpt"),
            resume=self.resume,
            report=partial(self.callback.on_train, job),
        )

    def peaks(self, network: nn.Module, item: TrainingTomogram, limit: int) -> Peaks:
        """Find the best peaks of a training tomogram in a network's scores."""
        working = item.working
        fitted = prepare_network(network, working, self.settings, self.device)
        scores = score_working_volume(fitted, working.data, self.settings, self.device, working.mask)[0]
        return find_peaks(scores, self.settings, self.radius, max_particles=limit, mask=working.mask)

    def summarize(self, network: nn.Module, item: TrainingTomogram) -> PeakSummary:
        """Find the peaks of a training tomogram, and of its decoy, in a network's scores.

        The decoy excludes the power of everything that scores like the clicks: in a crowded tomogram this is most of
        the power, and background would appear to score nearly as high as particles.
        """
        working, settings = item.working, self.settings
        fitted = prepare_network(network, working, settings, self.device)
        scores = score_working_volume(fitted, working.data, settings, self.device, working.mask)[0]
        peaks = find_peaks(scores, settings, self.radius, mask=working.mask)
        decoy = decoy_of(working, settings, self._particle_like(peaks, item))
        decoys = find_peaks(score_working_volume(fitted, decoy, settings, self.device)[0], settings, self.radius)
        return summarize_peaks(peaks, decoys, self.radius, clicks=item.clicks, rejected=item.rejected)

    def _particle_like(self, peaks: Peaks, item: TrainingTomogram) -> VoxelMask | None:
        """Return the mask of voxels around peaks that score above the clicks' mean minus one standard deviation.

        None if no click has a peak, or nearly everything scores that high: the network has not learned the particle.
        """
        nearest = nearest_peaks(peaks, item.clicks, self.radius)
        if not (nearest >= 0).any():
            return None
        particles = from_clicks(peaks.scores[nearest[nearest >= 0]].astype(np.float64))
        like = peaks.positions_voxels[peaks.scores > particles.mean - particles.sd]
        voxels = np.zeros(item.working.data.shape, dtype=np.int8)
        draw_spheres(voxels, like, PARTICLE_LIKE_RADII * self.radius, 1)
        return voxels.astype(bool) if voxels.mean() < MAX_PARTICLE_LIKE else None

    def offset_by_count(
        self, network: nn.Module, clicked: Sequence[TrainingTomogram], particles: float | None
    ) -> tuple[float, float | None]:
        """Return the logit offset that matches a particle count, and the threshold (0 and 0.5 without a count)."""
        if not particles:
            return 0.0, 0.5
        peaks = [self.peaks(network, item, _max_peaks(item, particles / len(clicked))) for item in clicked]
        return offset_for_count(np.concatenate([each.scores for each in peaks]).astype(np.float64), particles), None

    def calibrate(
        self, summaries: Sequence[PeakSummary], clicks: int, prior: ParticleScores | None = None
    ) -> tuple[ParticleScores, Count, float]:
        """Calibrate the scores of training tomograms.

        Parameters
        ----------
        summaries : sequence of PeakSummary
            Peaks of each training tomogram.
        clicks : int
            Number of clicks in all of them.
        prior : ParticleScores, optional
            As for `calibrations`.

        Returns
        -------
        scores : ParticleScores
            Distribution of the particles' scores.
        counted : Count
            Count from the clicks alone.
        particles : float
            Number of particles in the tomograms: as given by the user, unless the count contradicts it.
        """
        fits = calibrations(summaries, prior=prior)
        counted = Count.total(fit.count for fit in fits).at_least(clicks)  # Some clicks may share a peak, or have none.
        self.callback.log(f"About {counted} in the training tomograms.")
        if separation(summaries, fits) < MIN_SEPARATION:
            self.warn_in_model(
                "the network hardly separates these particles from noise; probabilities, counts and expected "
                "precision and recall account for it, but more clicks, or tomograms of more contrast, would help"
            )
        particles, given = counted.estimate, self.settings.particles_in(len(summaries))
        if given is not None and counted.is_inconsistent(given):
            loss, consequence = self.settings.objective.loss, "the count from the clicks is used"
            if LOSSES[loss].needs_count:
                consequence += (
                    f", but {loss} was trained with the class prior of the given count: leave it out and train again"
                )
            self.callback.warn(
                f"--expected-particles is {given:g} for the training tomograms, but the clicks give about {counted}; "
                f"{consequence}"
            )
        elif given is not None:
            particles, fits = given, calibrations(summaries, self.settings.expected_particles, prior)
        return particle_scores(summaries, fits), counted, particles


def class_priors_for(
    settings: Settings, positive: int, everything: int, radius: float, particles: float | None
) -> Priors:
    """Compute the class priors that the loss needs; those that depend on an unknown count are NaN.

    A given count below the number of clicks is an error; a count below clicks plus pseudo-labels is raised. The PN loss
    needs no count and accepts any.

    Parameters
    ----------
    positive, everything : int
        Number of voxels labelled positive, and of all voxels that are not ignored.
    radius : float
        The particle's, in working voxels.
    particles : float, optional
        Expected number of particles in the training tomograms.
    """
    ball, objective = positive_voxels(radius, settings.labels.radius_fraction), settings.objective
    if particles is None or not LOSSES[objective.loss].needs_count:
        expected = float("nan") if particles is None else particles * ball / everything
        return Priors(positive / everything, expected, expected - positive / everything)
    if settings.has_pseudo_labels or settings.expected_particles is None:
        particles = max(particles, COUNT_OVER_LABELS * positive / ball)
    return class_priors(positive, everything, ball, particles, objective.prior_denominator)


def _max_peaks(item: TrainingTomogram, particles: float) -> int:
    """Return how many of the best peaks are needed to contain all particles of a tomogram."""
    return int(max(CANDIDATES * len(item.clicks), 3 * particles, 400))
