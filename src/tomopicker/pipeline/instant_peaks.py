"""Peaks of instant picks, scored with the discriminant of a few clicks and calibrated in each tomogram."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from tomopicker.errors import UsageError
from tomopicker.fewshot.discriminant import RejectedAt, discriminant, held_out_shift
from tomopicker.fewshot.feature_map import FeaturesAt
from tomopicker.fewshot.features import Features
from tomopicker.fewshot.self_training import ClickedTomogram, TrainingSet, self_train
from tomopicker.picking.calibration import Calibration
from tomopicker.picking.peaks import nearest_peaks
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.peak_calibration import PeakSummary, calibrations, particle_scores, summarize_peaks
from tomopicker.pipeline.scoring import find_peaks
from tomopicker.pipeline.training_data import check_clash, remove_repeated_clicks
from tomopicker.pu.particle_scores import ParticleScores, from_few, from_held_out
from tomopicker.types import Negatives, Positions, Scores, Volume
from tomopicker.wording import number_of

MIN_PARTICLES_LEFT_OUT = 5
"""Minimum number of particles in the training set for leave-one-out scores: the discriminant of the others is then
about as good."""


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """Clicks and negatives in a tomogram, (x, y, z) in working voxels, and the features at them."""

    clicks: Positions
    rejected: Negatives
    at_clicks: FeaturesAt
    at_rejected: RejectedAt

    @classmethod
    def of(cls, item: Features, clicks: Positions, rejected: Negatives, callback: Callback) -> "LabelledFeatures":
        """Look up the features at positions in working voxels; positions outside the specimen are left out."""
        clicks = _inside_specimen(item, clicks, "click", callback)
        rejected = _inside_specimen(item, rejected, "negative", callback)
        return cls(clicks, rejected, item.specimen.at(clicks), item.specimen.at(rejected))


@dataclass(frozen=True, eq=False)
class InstantPeaks:
    """Scores and peaks of a tomogram by its discriminant."""

    features: Features
    labelled: LabelledFeatures
    training_set: TrainingSet
    """Training set of the discriminants of all tomograms."""
    logits: Volume
    summary: PeakSummary
    held_out: Scores
    """Score of each click that has a peak, by the discriminant of the other clicks."""

    @property
    def is_clicked(self) -> bool:
        """True if the specimen contains clicks."""
        return len(self.labelled.clicks) > 0


def find_and_calibrate(
    listed: Sequence[Features], clicks: Picks, rejected: Picks | None, callback: Callback
) -> tuple[list[InstantPeaks], list[Calibration], ParticleScores]:
    """Find and calibrate the peaks of tomograms; also return the prior for tomograms without clicks."""
    found = find_peaks_of_all(listed, labelled_features_in(listed, clicks, rejected, callback))
    clicked = [item.summary for item in found if item.is_clicked]
    fits = calibrations(clicked, prior=click_prior(found))
    transferred, of_clicked = particle_scores(clicked, fits), iter(fits)
    each = [next(of_clicked) if item.is_clicked else item.summary.calibrate(transferred) for item in found]
    return found, each, transferred


def labelled_features_in(
    listed: Sequence[Features], clicks: Picks, rejected: Picks | None, callback: Callback
) -> list[LabelledFeatures]:
    """Look up the features at clicks and negatives of each tomogram.

    Raises
    ------
    UsageError
        If clicks and features do not match.
    """
    _check(listed, clicks, rejected)
    diameter = listed[0].settings.particle_diameter
    clicks = remove_repeated_clicks(clicks, diameter, callback)
    labelled = []
    for item in listed:
        mine = clicks.in_tomogram(item.name).positions
        others = np.empty((0, 3)) if rejected is None else rejected.in_tomogram(item.name).positions
        check_clash(item.name, item.frame, mine, others, diameter)
        mine, others = (item.working.from_angstrom(part) for part in (mine, others))
        labelled.append(LabelledFeatures.of(item, mine, others, callback))
    if not any(len(each.clicks) for each in labelled):
        raise UsageError(
            f"no click lies in the specimen of {', '.join(item.name for item in listed)}; click a particle, or compute "
            "features of the whole volume (mask none)"
        )
    return labelled


def find_peaks_of_all(listed: Sequence[Features], labelled: Sequence[LabelledFeatures]) -> list[InstantPeaks]:
    """Score each tomogram with the discriminant of all clicks and its own statistics, and find the peaks.

    Pseudo-labels from the clicked tomograms are added to the clicks (`fewshot.self_training`).
    """
    clicked = [
        ClickedTomogram(
            item.specimen,
            item.statistics,
            item.radius,
            np.concatenate([each.clicks, each.rejected]),
            item.working_voxel_size,
        )
        for item, each in zip(listed, labelled, strict=True)
        if len(each.clicks)
    ]
    training_set = self_train(
        clicked,
        np.concatenate([each.at_clicks for each in labelled]),
        np.concatenate([each.at_rejected for each in labelled]),
    )
    starts = np.cumsum([0, *(len(each.clicks) for each in labelled)])
    return [
        _score_and_summarize(item, each, training_set, int(start))
        for item, each, start in zip(listed, labelled, starts, strict=False)
    ]


def click_prior(found: Sequence[InstantPeaks]) -> ParticleScores:
    """Estimate the particles' score distribution, leaving each click out; for few clicks, by a fixed correction.

    Tomograms without clicks do not contribute.
    """
    missed = sum(item.summary.missed for item in found)
    if len(found[0].training_set.particles) < MIN_PARTICLES_LEFT_OUT:
        return from_few(np.concatenate([item.summary.scores[item.summary.clicked] for item in found]), missed)
    return from_held_out(np.concatenate([item.held_out for item in found]), missed)


def _score_and_summarize(
    item: Features, labelled: LabelledFeatures, training_set: TrainingSet, start: int
) -> InstantPeaks:
    solution = discriminant(item.statistics, training_set.particles, training_set.background)
    logits, decoy = (part.scores(solution.weights, solution.bias) for part in (item.specimen, item.decoy))
    peaks = find_peaks(logits, item.settings, item.radius, mask=item.working.mask)
    decoys = find_peaks(decoy, item.settings, item.radius)
    summary = summarize_peaks(peaks, decoys, item.radius, clicks=labelled.clicks, rejected=labelled.rejected)
    nearest = nearest_peaks(peaks, labelled.clicks, item.radius)
    has_peak = nearest >= 0
    own = peaks.scores[nearest[has_peak]].astype(np.float64)
    if len(training_set.particles) > 1 and len(own):
        smoothing = item.settings.picking.smoothing_fraction * item.radius
        at = item.specimen.smoothed_at(peaks.positions_voxels[nearest[has_peak]], smoothing)
        rows = start + np.flatnonzero(has_peak)
        known = (training_set.particles, training_set.background)
        own = own + held_out_shift(solution, item.statistics, *known, rows, at)
    return InstantPeaks(item, labelled, training_set, logits, summary, own)


def _inside_specimen(
    item: Features, voxels: Positions, what: str, callback: Callback
) -> Float64[np.ndarray, "inside 3"]:
    """Remove positions (working voxels) outside the specimen, where there are no features."""
    if not len(voxels):
        return voxels
    covered = item.specimen.covers(voxels)
    if not covered.all():
        callback.warn(
            f"{item.name}: {number_of(int((~covered).sum()), what)} outside the detected lamella "
            "ignored; features of the whole volume (mask none) include them"
        )
    return np.asarray(voxels[covered])


def _check(listed: Sequence[Features], clicks: Picks, rejected: Picks | None) -> None:
    if not listed:
        raise UsageError("there are no features; compute those of the tomogram with clicks")
    names = [item.name for item in listed]
    for picks in (clicks, *([rejected] if rejected is not None else [])):
        unknown = [name for name in picks.tomogram_names if name not in names]
        if unknown:
            raise UsageError(f"there are no features of {', '.join(unknown[:8])}; compute them, or leave out its picks")
    first = listed[0]
    for item in listed[1:]:
        if item.settings.particle_diameter != first.settings.particle_diameter:
            raise UsageError(f"features of {item.name} are of another particle diameter than those of {first.name}")
        if abs(item.working_voxel_size / first.working_voxel_size - 1) > 0.01:
            raise UsageError(
                f"features of {item.name} are at {item.working_voxel_size:.4g} Å, those of {first.name} at "
                f"{first.working_voxel_size:.4g} Å; compute them with the voxel_size of the first"
            )
