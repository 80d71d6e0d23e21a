"""Instant picks: picks from features and a few clicks of any number of kinds, without training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.fewshot.features import Features, at_scale
from tomopicker.picking.calibration import Calibration
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback, NullCallback, Prefixed
from tomopicker.pipeline.instant_peaks import InstantPeaks, find_and_calibrate
from tomopicker.pipeline.kinds import check_kinds_apart, diameters_of, kinds_of, known_negatives
from tomopicker.pipeline.picked import Picked, join_kinds, picks_of_peaks
from tomopicker.pu.particle_scores import ParticleScores
from tomopicker.types import Volume


@dataclass(frozen=True, eq=False)
class Instant:
    """Picks from a few clicks, without training.

    Parameters
    ----------
    picked : mapping of str to Picked
        Picks by tomogram, in the order of the features.
    particle_scores : ParticleScores
        Score distribution and density of particles, the prior for tomograms without clicks; of the first kind.
    kinds : mapping of str to Instant
        Results of each kind, if several were clicked; `picked` is then of all kinds.
    peaks : sequence of (InstantPeaks, Calibration)
        Peaks of each tomogram, for suggestions; with several kinds, found in `kinds`.
    """

    picked: Mapping[str, Picked]
    particle_scores: ParticleScores
    kinds: Mapping[str, "Instant"] = field(default_factory=dict)
    peaks: Sequence[tuple[InstantPeaks, Calibration]] = ()

    def score_volume(self, name: str) -> Volume:
        """Return the score at every working voxel of a tomogram, (z, y, x); median 0 over the specimen.

        Each kind has its own: ``kinds["ribosome"].score_volume(name)``.
        """
        if self.kinds:
            raise UsageError(f"each kind has scores of its own; take those of {' or '.join(self.kinds)}")
        if name not in self.picked:
            raise UsageError(
                f"there are no features of {name}; compute them, or choose one of {', '.join(self.picked)}"
            )
        return self.picked[name].logits


def instant(
    features: Features | Sequence[Features],
    clicks: Picks,
    negatives: Picks | None = None,
    *,
    particle_diameters: Mapping[str, float] | None = None,
    callback: Callback | None = None,
) -> Instant:
    """Pick from a few clicks, without training; clicks of several kinds (column ``kind``) give picks of each kind.

    Parameters
    ----------
    features : Features or sequence of Features
        Features of the clicked tomograms and of others to pick, at one working voxel size. Kinds of different size may
        need features of a tomogram at several scales: each kind uses those nearest to its own.
    clicks : Picks
        Particle centres, at least one of each kind.
    negatives : Picks, optional
        Positions that look like the particle but are not. Negatives with a kind apply to that kind only.
    particle_diameters : mapping of str to float, optional
        Å, of kinds whose diameter differs from that of the features.
    callback : Callback, optional
        Receives warnings about positions that are left out.

    Returns
    -------
    Instant
        With several kinds, `Instant.kinds` holds the results of each.

    Raises
    ------
    UsageError
        If no click lies where there are features, a negative coincides with a click, or clicks of two kinds lie on one
        particle.
    """
    listed = [features] if isinstance(features, Features) else list(features)
    callback = callback or NullCallback()
    inputs = inputs_by_kind(listed, clicks, negatives, particle_diameters)
    if len(inputs) == 1:
        return _instant_kind(next(iter(inputs.values())), callback)
    own = {kind: _instant_kind(each, Prefixed(callback, kind)) for kind, each in inputs.items()}
    first, diameters = next(iter(own.values())), {kind: each.diameter for kind, each in inputs.items()}
    picked = {
        name: join_kinds({kind: each.picked[name] for kind, each in own.items()}, diameters) for name in first.picked
    }
    kinds = {
        kind: replace(each, picked={name: joined.kinds[kind] for name, joined in picked.items()})
        for kind, each in own.items()
    }
    return Instant(picked, first.particle_scores, kinds)


class FewShotInput(NamedTuple):
    """Features of tomograms at the scale of one kind of particle, its clicks, and its known negatives."""

    features: list[Features]
    clicks: Picks
    negatives: Picks | None

    @property
    def diameter(self) -> float:
        """Particle diameter, Å."""
        return self.features[0].settings.particle_diameter


def inputs_by_kind(
    listed: list[Features], clicks: Picks, negatives: Picks | None, particle_diameters: Mapping[str, float] | None
) -> dict[str, FewShotInput]:
    """Split features, clicks and negatives by kind; parameters and errors as for `instant`."""
    kinds = kinds_of(clicks)
    if not listed or (len(kinds) == 1 and not particle_diameters):
        return {kinds[0]: FewShotInput(listed, clicks, negatives)}
    diameters = diameters_of(kinds, particle_diameters or {}, listed[0].settings.particle_diameter)
    if len(kinds) == 1:
        return {kinds[0]: FewShotInput(at_scale(listed, diameters[kinds[0]]), clicks, negatives)}
    check_kinds_apart(clicks, diameters, {item.name: item.frame for item in listed})
    return {
        kind: FewShotInput(
            at_scale(listed, size), clicks.of_kind(kind), known_negatives(kind, clicks, negatives, size)
        )
        for kind, size in diameters.items()
    }  # fmt: skip


def _instant_kind(inputs: FewShotInput, callback: Callback) -> Instant:
    found, fits, transferred = find_and_calibrate(*inputs, callback)
    peaks = list(zip(found, fits, strict=True))
    return Instant({each.features.name: _picked(each, fit) for each, fit in peaks}, transferred, peaks=peaks)


def _picked(item: InstantPeaks, calibration: Calibration) -> Picked:
    """Select picks from a tomogram's peaks; clicks have probability 1 and negatives 0, regardless of score."""
    known = {int(row): 1.0 for row in np.flatnonzero(item.summary.clicked)}
    known |= {int(row): 0.0 for row in np.flatnonzero(item.summary.rejected)}
    features = item.features
    return picks_of_peaks(
        features, features.working, item.logits, item.summary.peaks, calibration.probability, calibration,
        clicks=len(item.labelled.clicks), known=known,
    )  # fmt: skip
