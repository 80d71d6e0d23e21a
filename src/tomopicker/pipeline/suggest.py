"""Suggestions for the next clicks, from features and the clicks so far."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

import numpy as np
import torch

from tomopicker.errors import UsageError
from tomopicker.fewshot.features import Features
from tomopicker.fewshot.suggestions import Candidates, Suggestion, kinds_of_object, most_informative, reason_for
from tomopicker.picking.calibration import Calibration
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback, NullCallback
from tomopicker.pipeline.instant import Instant, inputs_by_kind
from tomopicker.pipeline.instant_peaks import InstantPeaks, find_and_calibrate
from tomopicker.pipeline.scoring import find_peaks

MAX_OBJECTS = 400
"""Maximum number of objects to cluster in a tomogram without clicks: those least like background."""
MIN_CLUSTERS = 6
"""Minimum number of clusters, even if fewer examples are requested."""


def suggest(
    features: Features | Sequence[Features],
    clicks: Picks | None = None,
    negatives: Picks | None = None,
    count: int = 10,
    *,
    particle_diameters: Mapping[str, float] | None = None,
    callback: Callback | None = None,
) -> list[Suggestion]:
    """Suggest where to click next.

    With clicks: the peaks whose label (particle or not) is most informative, given the earlier suggestions; with
    several kinds, in turn. Without clicks: one example of each of the commonest kinds of object of about the particle's
    size.

    Parameters
    ----------
    features : Features or sequence of Features
    clicks, negatives : Picks, optional
        Clicks and negatives in these tomograms; several kinds are named in the column ``kind``.
    count : int
        Maximum number of suggestions.
    particle_diameters : mapping of str to float, optional
        Å, of kinds whose diameter differs from that of the features.
    callback : Callback, optional
        Receives warnings about positions that are left out.

    Returns
    -------
    list of Suggestion
        Most informative first; with several kinds, the reason starts with the kind it may be.

    Raises
    ------
    UsageError
        If clicks and features do not match.
    """
    listed = [features] if isinstance(features, Features) else list(features)
    if count < 1:
        raise UsageError(f"--count must be 1 or more, not {count}")
    if not listed:
        raise UsageError("there are no features; compute those of a tomogram")
    if clicks is None or not len(clicks):
        if negatives is not None and len(negatives):
            raise UsageError("negatives alone do not define a particle; click one")
        examples = [each for item in listed for each in _examples(item, max(count, MIN_CLUSTERS))]
        return [each for _, each in sorted(examples, key=lambda pair: -pair[0])[:count]]
    inputs = inputs_by_kind(listed, clicks, negatives, particle_diameters)
    found = {}
    for kind, each in inputs.items():
        peaks, fits, _ = find_and_calibrate(*each, callback or NullCallback())
        found[kind] = _ranked(zip(peaks, fits, strict=True), count)
    if len(found) == 1:
        return next(iter(found.values()))
    named = [[replace(each, reason=f"{kind}: {each.reason}") for each in own] for kind, own in found.items()]
    least, kept = min(each.diameter for each in inputs.values()) / 2, list[Suggestion]()
    for suggestion in chain.from_iterable(zip_longest(*named)):
        if suggestion is not None and all(_apart(suggestion, other, least) for other in kept):
            kept.append(suggestion)
    return kept[:count]


def suggest_from(picked: Instant, count: int = 10) -> list[Suggestion]:
    """Suggest where to click next from instant picks of one kind, as `suggest` does.

    Reuses the peaks of the picks, whose computation takes most of the time.
    """
    return _ranked(picked.peaks, count)


def _ranked(calibrated: Iterable[tuple[InstantPeaks, Calibration]], count: int) -> list[Suggestion]:
    ranked = []
    for item, fit in calibrated:
        features, peaks = item.features, item.summary.peaks
        open_to = np.flatnonzero(~item.summary.clicked & ~item.summary.rejected)
        chances = fit.probability(item.summary.scores)
        candidates = _candidates(item, open_to, chances)
        chosen, gains, left = most_informative(
            candidates, features.statistics, features.settings.particle_diameter, count
        )
        for index, gain, share in zip(chosen, gains, left, strict=True):
            x, y, z = candidates.positions[index].tolist()
            chance = float(candidates.probability[index])
            reason = reason_for(chance, float(share), len(item.labelled.clicks) > 0)
            score = float(peaks.scores[open_to[index]])
            ranked.append((float(gain), Suggestion((x, y, z), features.name, score, chance, reason)))
    return [each for _, each in sorted(ranked, key=lambda pair: -pair[0])[:count]]


def _apart(one: Suggestion, other: Suggestion, distance: float) -> bool:
    away = np.linalg.norm(np.array(one.position) - np.array(other.position))
    return one.tomogram != other.tomogram or bool(away >= distance)


def _candidates(item: InstantPeaks, rows: np.ndarray, chances: np.ndarray) -> Candidates:
    features, labelled = item.features, item.labelled
    voxels = item.summary.peaks.positions_voxels[rows]
    known = np.concatenate([labelled.clicks, labelled.rejected])
    return Candidates(
        features.working.to_angstrom(voxels),
        chances[rows],
        features.specimen.at(voxels),
        features.working.to_angstrom(known),
        np.concatenate([labelled.at_clicks, labelled.at_rejected]),
    )


def _examples(item: Features, count: int) -> list[tuple[int, Suggestion]]:
    """Return one example of each kind of object in a tomogram, and the number of similar objects."""
    white = torch.from_numpy(np.linalg.cholesky(item.statistics.inverse).astype(np.float32))
    mean = torch.from_numpy(item.statistics.mean.astype(np.float32))
    distances = [((part - mean) @ white).square().mean(dim=1).sqrt() for part in item.specimen.parts()]
    if not distances:
        return []
    volume = item.specimen.volume_of(torch.cat(distances))
    peaks = find_peaks(volume, item.settings, item.radius, max_particles=MAX_OBJECTS, mask=item.working.mask)
    smoothing = item.settings.picking.smoothing_fraction * item.radius
    at = item.specimen.smoothed_at(peaks.positions_voxels, smoothing)
    found = []
    for row, number, distance in kinds_of_object(at, item.statistics, count, item.settings.seed):
        x, y, z = item.working.to_angstrom(peaks.positions_voxels[row : row + 1])[0].tolist()
        reason = f"an example of a kind of object, of which there are about {number} in {item.name}"
        found.append((number, Suggestion((x, y, z), item.name, distance, float("nan"), reason)))
    return found
