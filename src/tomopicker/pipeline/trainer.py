"""The parts of a training that share settings, device and checkpoints: labels, priors, networks, peaks and counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import nn

from tomopicker.config import Settings
from tomopicker.picking.calibration import Calibration, Count, calibrate
from tomopicker.picking.offset import offset_for_count
from tomopicker.picking.peaks import Peaks, nearest_peaks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.scoring import MAX_PEAKS, decoy_peaks, find_peaks, mean_scores, prepare_network, searched
from tomopicker.pipeline.training_data import TrainingTomogram, at_least, number_of_clicks
from tomopicker.pu.particle_scores import ParticleScores, from_clicks
from tomopicker.pu.prior import Priors, class_priors
from tomopicker.training.labels import IGNORED, POSITIVE, LabelledVolume, ball_offsets, label_mask
from tomopicker.training.loop import History, Report, fit
from tomopicker.types import Scores, Volume, VoxelMask

CERTAIN = 0.5
"""Mean probability of probable peaks below which a network hardly tells particles from background."""
CANDIDATES = 20
"""Peaks per click, at least, that the offset of a known count is fitted to."""


@dataclass(frozen=True)
class PeakSummary:
    """What networks see in a training tomogram.

    Parameters
    ----------
    peaks : Peaks
        Best first.
    clicked, rejected : array, shape (peaks,)
        Those that a person clicked, and those that were rejected.
    missed : int
        Clicks without a peak.
    decoys : array, shape (n,)
        Logits of the peaks of the tomogram's decoy.
    voxels, decoy_voxels : float
        Working voxels that were searched for peaks.
    """

    peaks: Peaks
    clicked: Bool[np.ndarray, " peaks"]
    rejected: Bool[np.ndarray, " peaks"]
    missed: int
    decoys: Float[np.ndarray, " decoys"]
    voxels: float
    decoy_voxels: float

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
    callback: Callback
    warnings: list[str] = field(default_factory=list)
    """What the model is to carry with it."""

    def warn_in_model(self, text: str) -> None:
        """Warn of something that whoever picks with the model must know too: it is kept in the model."""
        self.callback.warn(text)
        self.warnings.append(text)

    def labelled(self, item: TrainingTomogram) -> LabelledVolume:
        """Label the clicks of a tomogram, and what earlier rounds are sure of or doubt."""
        data, fraction = item.working.data, self.settings.labels.radius_fraction
        mask, positions = item.working.mask, np.concatenate([item.clicks, item.sure])
        labels = label_mask(
            data.shape, positions, self.radius, fraction, rejected=item.rejected, doubtful=item.doubtful, inside=mask
        )
        return LabelledVolume(data, labels, positions, item.rejected, mask, item.name)

    def priors(
        self, training: Sequence[LabelledVolume], particles: float | None, *, more_than_clicks: bool = False
    ) -> Priors:
        """Class priors of the labelled volumes; without a count, as for PN, those that it decides are NaN.

        A count below the clicks is an error of the user's; below what the program itself has labelled it is not, and
        is raised.
        """
        positive = sum(int((item.labels == POSITIVE).sum()) for item in training)
        everything = sum(int((item.labels != IGNORED).sum()) for item in training)
        ball = len(ball_offsets(max(1.0, self.radius * self.settings.labels.radius_fraction)))
        cfg = self.settings.objective
        if cfg.loss == "pn" or particles is None:
            expected = float("nan") if particles is None else particles * ball / everything
            return Priors(positive / everything, expected, expected - positive / everything)
        if more_than_clicks or self.settings.expected_particles is None:
            particles = max(particles, 1.1 * positive / ball)
        return class_priors(positive, everything, ball, particles, cfg.prior_denominator)

    def fit(
        self,
        job: str,
        training: Sequence[LabelledVolume],
        validation: Sequence[LabelledVolume],
        priors: Priors,
        settings: Settings,
        report: Callable[[Report], None] | None = None,
    ) -> tuple[nn.Module, History]:
        """Train, with checkpoints of the job's own, and tell the callback, or whom it is to be told instead."""
        return fit(
            training,
            validation,
            settings,
            priors,
            device=self.device,
            checkpoint=self.checkpoint and self.checkpoint.with_name(f"{self.checkpoint.name}.{job}.ckpt"),
            resume=self.resume,
            report=report or partial(self.callback.on_train, job),
        )

    def peaks(self, networks: Sequence[nn.Module], item: TrainingTomogram, most: int) -> Peaks:
        """Give the best peaks of a training tomogram, by the mean scores of networks; two volumes are held at most."""
        return self._peaks(self._as_they_score(networks, item), item.working.data, item.working.mask, most)

    def seen(self, networks: Sequence[nn.Module], item: TrainingTomogram) -> PeakSummary:
        """Find the peaks of a training tomogram, and those of its decoy, by the mean scores of networks."""
        fitted, working = self._as_they_score(networks, item), item.working
        peaks = self._peaks(fitted, working.data, working.mask, MAX_PEAKS)
        nearest = nearest_peaks(peaks, item.clicks, self.radius)
        rows = np.arange(len(peaks))
        clicked = np.isin(rows, nearest)
        rejected = np.isin(rows, nearest_peaks(peaks, item.rejected, self.radius)) & ~clicked
        decoys, decoy_voxels = decoy_peaks(fitted, working, self.settings, self.radius, self.device)
        voxels = searched(working.data.shape, self.settings, self.radius, working.mask)
        return PeakSummary(peaks, clicked, rejected, int((nearest < 0).sum()), decoys, voxels, decoy_voxels)

    def _as_they_score(self, networks: Sequence[nn.Module], item: TrainingTomogram) -> list[nn.Module]:
        return [prepare_network(network, item.working, self.settings, self.device) for network in networks]

    def _peaks(self, fitted: Sequence[nn.Module], volume: Volume, mask: VoxelMask | None, most: int) -> Peaks:
        scores = mean_scores(fitted, volume, self.settings, self.device, mask)
        return find_peaks(scores, self.settings, self.radius, float("-inf"), max_particles=most, mask=mask)

    def by_count(
        self, network: nn.Module, clicked: Sequence[TrainingTomogram], particles: float | None
    ) -> tuple[float, float | None]:
        """Give the offset that makes scores probabilities; without a count, the network's own output and even odds."""
        if not particles:
            return 0.0, 0.5
        peaks = [self.peaks([network], item, _enough(item, particles / len(clicked))) for item in clicked]
        return offset_for_count(np.concatenate([found.scores for found in peaks]).astype(np.float64), particles), None

    def by_clicks(self, network: nn.Module, clicked: Sequence[TrainingTomogram]) -> tuple[ParticleScores, Count]:
        """Learn where particles score, and count those of the training tomograms."""
        return self.by_seen([self.seen([network], item) for item in clicked], number_of_clicks(clicked))

    def by_seen(
        self, found: Sequence[PeakSummary], clicks: int, prior: ParticleScores | None = None
    ) -> tuple[ParticleScores, Count]:
        """Do so by what is seen in them; `prior` as in `calibrations`."""
        fits = calibrations(found, prior=prior)
        counted = at_least(total_count(fits), clicks)  # Some clicks may share a peak, or have none.
        self.callback.log(f"About {counted} in the training tomograms.")
        if poorly_separated(found, fits):
            self.warn_in_model(
                "the network hardly tells these particles from noise; probabilities, counts and what is expected of "
                "the picks allow for it, but more clicks, or tomograms of more contrast, would help"
            )
        given, asked = self.settings.expected_particles, self.settings.objective.loss
        told = "the clicks are believed"
        if asked != "pn":
            told += f", but {asked} was trained with the class prior of the count given: leave it out and train again"
        if given is not None and not contradicted(given * len(found), counted, told, self.callback):
            fits = calibrations(found, given, prior)
        return particle_scores(found, fits), counted


def calibrations(
    found: Sequence[PeakSummary], given: float | None = None, prior: ParticleScores | None = None
) -> list[Calibration]:
    """Calibrate the scores of training tomograms, with a number of particles in each where it is given.

    Without a prior of where particles score, it is that of clicks that were trained on.
    """
    if prior is None:
        clicks = np.concatenate([each.scores[each.clicked] for each in found])
        prior = from_clicks(clicks, sum(each.missed for each in found))
    return [
        calibrate(
            each.scores[~each.rejected], each.decoys,
            replace(prior, rejected=each.scores[each.rejected], voxels=each.voxels),
            voxels=each.voxels, decoy_voxels=each.decoy_voxels, clicked=each.clicked[~each.rejected], given=given,
        )
        for each in found
    ]  # fmt: skip


def particle_scores(found: Sequence[PeakSummary], fits: Sequence[Calibration]) -> ParticleScores:
    """Say where particles score, and how dense they are, by the calibrations of training tomograms: a prior for others.

    Parameters
    ----------
    found : sequence of PeakSummary
    fits : sequence of Calibration
        Of the same tomograms.
    """
    voxels, counted = sum(each.voxels for each in found), total_count(fits)
    return ParticleScores(
        mean=float(np.mean([fit.particles.mean for fit in fits])),
        sd=float(np.sqrt(np.mean([fit.particles.sd**2 for fit in fits]))),
        mean_error=fits[0].particles.mean_error,
        log_sd_error=fits[0].particles.log_sd_error,
        missed=fits[0].particles.missed,
        density=counted.estimate / voxels,
        log_density_error=counted.log_error,
        rejected=np.concatenate([each.scores[each.rejected] for each in found]),
        voxels=voxels,
    )


def poorly_separated(found: Sequence[PeakSummary], fits: Sequence[Calibration]) -> bool:
    """Say whether probable peaks are mostly uncertain: whether Σp²/Σp, their mean probability, is below `CERTAIN`."""
    chances = np.concatenate([fit.probability(each.scores) for each, fit in zip(found, fits, strict=True)])
    return float(np.square(chances).sum()) < CERTAIN * float(chances.sum())


def total_count(fits: Sequence[Calibration]) -> Count:
    """Particles in all tomograms, their intervals added end by end: what is wrong in one is wrong in all."""
    return Count(*(sum(getattr(fit.count, end) for fit in fits) for end in ("estimate", "low", "high")))


def _enough(item: TrainingTomogram, particles: float) -> int:
    """Give how many of the best peaks are enough to contain so many particles of a tomogram."""
    return int(max(CANDIDATES * len(item.clicks), 3 * particles, 400))


def contradicted(given: float, counted: Count, consequence: str, callback: Callback) -> bool:
    """Tell whether what was counted contradicts the count given; if so, say it, and what follows."""
    unlike = counted.contradicts(given)
    if unlike:
        callback.warn(
            f"--expected-particles says {given:g} in the training tomograms, the clicks say about {counted}; "
            f"{consequence}"
        )
    return unlike
