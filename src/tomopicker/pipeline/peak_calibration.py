"""Calibration of training tomograms: clicked peaks, the probability of each peak, and the particle count."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from tomopicker.picking.calibration import Calibration, Count, calibrate
from tomopicker.picking.peaks import nearest_peaks
from tomopicker.pipeline.scoring import SearchedPeaks
from tomopicker.pu.particle_scores import ParticleScores, from_clicks
from tomopicker.training.labels import NO_POSITIONS
from tomopicker.types import Negatives, Positions, Scores


@dataclass(frozen=True)
class PeakSummary:
    """Peaks of a tomogram and of its decoy, and which peaks were clicked or rejected.

    Parameters
    ----------
    clicked, rejected : array, shape (peaks,)
        True for the peaks nearest to clicks, and nearest to negatives.
    missed : int
        Clicks without a peak.
    """

    peaks: SearchedPeaks
    decoys: SearchedPeaks
    clicked: Bool[np.ndarray, " peaks"]
    rejected: Bool[np.ndarray, " peaks"]
    missed: int

    @property
    def scores(self) -> Scores:
        """The peaks' logits."""
        return self.peaks.scores.astype(np.float64)

    def calibrate(self, prior: ParticleScores, count: float | None = None) -> Calibration:
        """Calibrate the scores; clicked peaks are particles and rejected peaks background, regardless of score.

        Parameters
        ----------
        count : float, optional
            Number of particles in the tomogram given by the user.
        """
        kept = ~self.rejected
        return calibrate(
            self.scores[kept], self.decoys.scores.astype(np.float64), prior, voxels=self.peaks.voxels,
            decoy_voxels=self.decoys.voxels, clicked=self.clicked[kept], given_count=count,
        )  # fmt: skip


def summarize_peaks(
    peaks: SearchedPeaks,
    decoys: SearchedPeaks,
    radius: float,
    *,
    clicks: Positions = NO_POSITIONS,
    rejected: Negatives = NO_POSITIONS,
) -> PeakSummary:
    """Assign clicks and negatives to the nearest peak within a particle radius; positions and radius in working voxels.

    A peak nearest to both a click and a negative counts as clicked.
    """
    nearest, rows = nearest_peaks(peaks, clicks, radius), np.arange(len(peaks))
    clicked = np.isin(rows, nearest)
    is_rejected = np.isin(rows, nearest_peaks(peaks, rejected, radius)) & ~clicked
    return PeakSummary(peaks, decoys, clicked, is_rejected, int((nearest < 0).sum()))


def calibrations(
    summaries: Sequence[PeakSummary], count: float | None = None, prior: ParticleScores | None = None
) -> list[Calibration]:
    """Calibrate the scores of training tomograms.

    Parameters
    ----------
    count : float, optional
        Number of particles per tomogram given by the user.
    prior : ParticleScores, optional
        Distribution of the particles' scores; estimated from the clicks trained on if left out.
    """
    if prior is None:
        clicks = np.concatenate([each.scores[each.clicked] for each in summaries])
        prior = from_clicks(clicks, sum(each.missed for each in summaries))
    return [
        each.calibrate(replace(prior, rejected=each.scores[each.rejected], voxels=each.peaks.voxels), count)
        for each in summaries
    ]


def particle_scores(summaries: Sequence[PeakSummary], fits: Sequence[Calibration]) -> ParticleScores:
    """Return the particles' score distribution and density in training tomograms, the prior for other tomograms.

    Parameters
    ----------
    fits : sequence of Calibration
        Calibrations of the same tomograms.
    """
    voxels, counted = sum(each.peaks.voxels for each in summaries), Count.total(fit.count for fit in fits)
    return ParticleScores(
        mean=float(np.mean([fit.particles.mean for fit in fits])),
        sd=float(np.sqrt(np.mean([fit.particles.sd**2 for fit in fits]))),
        mean_error=fits[0].particles.mean_error,
        log_sd_error=fits[0].particles.log_sd_error,
        missed=fits[0].particles.missed,
        variance_share=fits[0].particles.variance_share,
        density=counted.estimate / voxels,
        log_density_error=counted.log_error,
        rejected=np.concatenate([each.scores[each.rejected] for each in summaries]),
        voxels=voxels,
    )


def separation(summaries: Sequence[PeakSummary], fits: Sequence[Calibration]) -> float:
    """Return Σp²/Σp, the probability-weighted mean probability: 1 if particles and background do not overlap."""
    chances = np.concatenate([fit.probability(each.scores) for each, fit in zip(summaries, fits, strict=True)])
    return float(np.square(chances).sum()) / max(float(chances.sum()), 1e-12)
