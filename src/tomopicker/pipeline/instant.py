"""Instant picks: from the features of tomograms and a few clicks to picks, without training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from tomopicker.errors import UsageError
from tomopicker.fewshot.discriminant import Discriminant, RejectedAt, discriminant, held_out_shift
from tomopicker.fewshot.feature_map import FeaturesAt
from tomopicker.fewshot.features import Features
from tomopicker.fewshot.smoothed import smoothed_at
from tomopicker.picking.calibration import Calibration, calibrate
from tomopicker.picking.peaks import Peaks, nearest_peaks
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback, NullCallback
from tomopicker.pipeline.pick import Picked, Scored, picked_from
from tomopicker.pipeline.scoring import MAX_PEAKS, find_peaks, searched
from tomopicker.pipeline.trainer import PeakSummary, calibrations, particle_scores
from tomopicker.pipeline.training_data import check_clash, without_repeats
from tomopicker.pu.particle_scores import ParticleScores, from_few, from_held_out
from tomopicker.types import Negatives, Positions, Scores, Volume
from tomopicker.wording import number_of

ENOUGH = 5
"""Clicks from which on each is scored without having been learnt from: the others make a discriminant about as good."""


@dataclass(frozen=True, eq=False)
class Instant:
    """What a few clicks give without training.

    Parameters
    ----------
    picked : mapping of str to Picked
        By tomogram, in the order of the features.
    particle_scores : ParticleScores
        Where particles score, and how dense they are: the prior for tomograms without clicks. Of the first kind.
    kinds : mapping of str to Instant
        The same for each kind, where several were clicked; `picked` is then of all.
    """

    picked: Mapping[str, Picked]
    particle_scores: ParticleScores
    kinds: Mapping[str, "Instant"] = field(default_factory=dict)

    def score_volume(self, name: str) -> Volume:
        """Give the score at every working voxel of a tomogram, (z, y, x); median 0 over the specimen.

        Each kind has its own: ``kinds["ribosome"].score_volume(name)``.
        """
        if self.kinds:
            raise UsageError(f"each kind has scores of its own; take those of {' or '.join(self.kinds)}")
        if name not in self.picked:
            raise UsageError(f"there are no features of {name}; give those of {', '.join(self.picked)}, or compute its")
        return self.picked[name].logits


@dataclass(frozen=True, eq=False)
class Clicks:
    """Clicks and rejected picks in a tomogram, in working voxels, and the features at them."""

    clicks: Positions
    rejected: Negatives
    at_clicks: FeaturesAt
    at_rejected: RejectedAt


@dataclass(frozen=True, eq=False)
class Found:
    """What a tomogram's discriminant finds in it."""

    features: Features
    given: Clicks
    logits: Volume
    seen: PeakSummary
    held_out: Scores
    """Of each click with a peak, its score without having been learnt from."""


def instant(
    features: Features | Sequence[Features],
    clicks: Picks,
    rejected: Picks | None = None,
    *,
    callback: Callback | None = None,
) -> Instant:
    """Pick from a few clicks, without training.

    Parameters
    ----------
    features : Features or sequence of Features
        Of the tomograms that were clicked in, and of others that are to be picked; of one working voxel size.
    clicks : Picks
        Centres of particles, at least one.
    rejected : Picks, optional
        What looks like the particle and is not.
    callback : Callback, optional
        Receives warnings of what is left out.

    Raises
    ------
    UsageError
        If there is no click where there are features, or one is a rejected pick as well.
    """
    listed = [features] if isinstance(features, Features) else list(features)
    found, fits, transferred = find_and_calibrate(listed, clicks, rejected, callback or NullCallback())
    picked = {item.features.name: _picked(item, fit) for item, fit in zip(found, fits, strict=True)}
    return Instant(picked, transferred)


def find_and_calibrate(
    listed: Sequence[Features], clicks: Picks, rejected: Picks | None, callback: Callback
) -> tuple[list[Found], list[Calibration], ParticleScores]:
    """Find the peaks of tomograms and calibrate their scores; the last is the prior for tomograms without clicks."""
    found = find(listed, given_in(listed, clicks, rejected, callback))
    clicked = [item for item in found if len(item.given.clicks)]
    fits = calibrations([item.seen for item in clicked], prior=click_prior(clicked))
    transferred = particle_scores([item.seen for item in clicked], fits)
    of_clicked = {item.features.name: fit for item, fit in zip(clicked, fits, strict=True)}
    each = [of_clicked.get(item.features.name) or _calibrated(item.seen, transferred) for item in found]
    return found, each, transferred


def given_in(listed: Sequence[Features], clicks: Picks, rejected: Picks | None, callback: Callback) -> list[Clicks]:
    """Look up the features at clicks and rejected picks, tomogram by tomogram; check that all fit together.

    Raises
    ------
    UsageError
        One line that says what does not.
    """
    _check(listed, clicks, rejected)
    diameter = listed[0].settings.particle_diameter
    clicks = without_repeats(clicks, diameter, callback)
    given = []
    for item in listed:
        mine = clicks.in_tomogram(item.name).positions
        others = np.empty((0, 3)) if rejected is None else rejected.in_tomogram(item.name).positions
        check_clash(item.name, item.frame, mine, others, diameter)
        inside = [
            inside_specimen(item, item.working.from_angstrom(part), what, callback)
            for part, what in ((mine, "click"), (others, "rejected pick"))
        ]
        given.append(Clicks(inside[0], inside[1], item.specimen.at(inside[0]), item.specimen.at(inside[1])))
    if not any(len(each.clicks) for each in given):
        raise UsageError(
            f"no click lies in the specimen of {', '.join(item.name for item in listed)}; click a particle, or compute "
            "features of all of the volume (mask none)"
        )
    return given


def find(listed: Sequence[Features], given: Sequence[Clicks]) -> list[Found]:
    """Score tomograms, each with the discriminant of all clicks for its own statistics, and find the peaks."""
    at_clicks = np.concatenate([each.at_clicks for each in given])
    at_rejected = np.concatenate([each.at_rejected for each in given])
    starts = np.cumsum([0, *(len(each.clicks) for each in given)])
    return [
        _found(item, each, at_clicks, at_rejected, int(start))
        for item, each, start in zip(listed, given, starts, strict=False)
    ]


def click_prior(clicked: Sequence[Found]) -> ParticleScores:
    """Say where particles score, by clicks that are left out in turn; too few are put right by what is usual."""
    missed = sum(item.seen.missed for item in clicked)
    if sum(len(item.given.clicks) for item in clicked) < ENOUGH:
        return from_few(np.concatenate([item.seen.scores[item.seen.clicked] for item in clicked]), missed)
    return from_held_out(np.concatenate([item.held_out for item in clicked]), missed)


def _found(item: Features, given: Clicks, at_clicks: FeaturesAt, at_rejected: RejectedAt, start: int) -> Found:
    line = discriminant(item.statistics, at_clicks, at_rejected)
    logits = item.specimen.scores(line.weights, line.bias)
    peaks = _peaks(item, logits)
    nearest = nearest_peaks(peaks, given.clicks, item.radius)
    rows, has_peak = np.arange(len(peaks)), nearest >= 0
    clicked = np.isin(rows, nearest)
    rejected = np.isin(rows, nearest_peaks(peaks, given.rejected, item.radius)) & ~clicked
    decoys, decoy_voxels = _decoy_peaks(item, line)
    voxels = searched(item.working.data.shape, item.settings, item.radius, item.working.mask)
    seen = PeakSummary(peaks, clicked, rejected, int((~has_peak).sum()), decoys, voxels, decoy_voxels)
    own = peaks.scores[nearest[has_peak]].astype(np.float64)
    if len(at_clicks) > 1 and len(own):
        smoothing = item.settings.picking.smoothing_fraction * item.radius
        at = at_clicks.copy()
        mine = start + np.flatnonzero(has_peak)
        at[mine] = smoothed_at(item.specimen, peaks.positions_voxels[nearest[has_peak]], smoothing)
        own = own + held_out_shift(item.statistics, at_clicks, at_rejected, at)[mine]
    return Found(item, given, logits, seen, own)


def _peaks(item: Features, logits: Volume) -> Peaks:
    return find_peaks(
        logits, item.settings, item.radius, float("-inf"), max_particles=MAX_PEAKS, mask=item.working.mask
    )


def _decoy_peaks(item: Features, line: Discriminant) -> tuple[Scores, float]:
    """Score the decoy; give its peaks' scores and the voxels that were searched for them."""
    logits = item.decoy.scores(line.weights, line.bias)
    peaks = find_peaks(logits, item.settings, item.radius, float("-inf"), max_particles=MAX_PEAKS)
    return peaks.scores.astype(np.float64), searched(logits.shape, item.settings, item.radius, None)


def _calibrated(seen: PeakSummary, prior: ParticleScores) -> Calibration:
    """Calibrate a tomogram without clicks; what was rejected in it is background for certain."""
    return calibrate(
        seen.scores[~seen.rejected], seen.decoys, prior, voxels=seen.voxels, decoy_voxels=seen.decoy_voxels
    )


def _picked(item: Found, calibration: Calibration) -> Picked:
    """Cut the list of a tomogram's peaks; clicks are particles and rejected picks are not, whatever their scores."""
    known = {int(row): 1.0 for row in np.flatnonzero(item.seen.clicked)}
    known |= {int(row): 0.0 for row in np.flatnonzero(item.seen.rejected)}
    features = item.features
    scored = Scored(features.name, features.frame, features.working, item.logits, item.seen.peaks)
    return picked_from(scored, calibration.probability, calibration, clicks=len(item.given.clicks), known=known)


def inside_specimen(
    item: Features, voxels: Positions, what: str, callback: Callback
) -> Float64[np.ndarray, "inside 3"]:
    """Leave out positions, in working voxels, outside the specimen, where there are no features."""
    if not len(voxels):
        return voxels
    covered = item.specimen.covers(voxels)
    if not covered.all():
        callback.warn(
            f"{item.name}: {number_of(int((~covered).sum()), what)} outside the lamella that was found "
            "are left out; features of all of the volume (mask none) include them"
        )
    return np.asarray(voxels[covered])


def _check(listed: Sequence[Features], clicks: Picks, rejected: Picks | None) -> None:
    if not listed:
        raise UsageError("no features are given; compute those of the tomogram that was clicked in")
    names = [item.name for item in listed]
    for picks in (clicks, *([rejected] if rejected is not None else [])):
        strangers = [name for name in picks.tomogram_names if name not in names]
        if strangers:
            raise UsageError(
                f"no features are given of {', '.join(strangers[:8])}; compute them, or leave its picks out"
            )
    first = listed[0]
    for item in listed[1:]:
        if item.settings.particle_diameter != first.settings.particle_diameter:
            raise UsageError(f"features of {item.name} are of another particle diameter than those of {first.name}")
        if abs(item.working_voxel_size / first.working_voxel_size - 1) > 0.01:
            raise UsageError(
                f"features of {item.name} are at {item.working_voxel_size:.4g} Å, those of {first.name} at "
                f"{first.working_voxel_size:.4g} Å; compute them with the voxel_size of the first"
            )
