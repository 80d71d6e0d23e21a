"""Instant picks of several kinds: one discriminant for each, on the same features."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tomopicker.fewshot.features import Features
from tomopicker.picks import Picks
from tomopicker.pipeline import instant as one_kind
from tomopicker.pipeline.callbacks import Callback, NullCallback, Prefixed
from tomopicker.pipeline.instant import Instant
from tomopicker.pipeline.kinds.clicks import check_apart, diameters_of, known_negatives, several_kinds
from tomopicker.pipeline.kinds.joined import joined
from tomopicker.preprocessing.preprocess import working_voxel_size


def instant(
    features: Features | Sequence[Features],
    clicks: Picks,
    rejected: Picks | None = None,
    *,
    particle_diameters: Mapping[str, float] | None = None,
    callback: Callback | None = None,
) -> Instant:
    """Pick from a few clicks, without training; clicks of several kinds, in their column ``kind``, give picks of each.

    Parameters
    ----------
    features : Features or sequence of Features
        Of the tomograms that were clicked in, and of others that are to be picked; of one working voxel size. Kinds of
        unlike size may need several of one tomogram: each kind takes the features at the scale that it would have
        alone, or the nearest to it.
    clicks : Picks
        Centres of particles, at least one; of several kinds, at least one of each.
    rejected : Picks, optional
        What looks like the particle and is not. One that names a kind says nothing of the others.
    particle_diameters : mapping of str to float, optional
        Å, of kinds for which it is not the one that the features were computed for.
    callback : Callback, optional
        Receives warnings of what is left out.

    Returns
    -------
    Instant
        With several kinds, of all, and of each in `Instant.kinds`.

    Raises
    ------
    UsageError
        If there is no click where there are features, one is a rejected pick as well, or two kinds are clicked on one
        particle.
    """
    listed = [features] if isinstance(features, Features) else list(features)
    kinds = several_kinds(clicks)
    if not kinds:
        return one_kind.instant(_of_only_kind(listed, clicks, particle_diameters), clicks, rejected, callback=callback)
    callback = callback or NullCallback()
    usual = listed[0].settings.particle_diameter if listed else None
    diameters = diameters_of(kinds, particle_diameters or {}, usual)
    check_apart(clicks, diameters, {item.name: item.frame for item in listed})
    alone = {
        kind: one_kind.instant(
            at_scale(listed, diameter), clicks.of_kind(kind), known_negatives(kind, clicks, rejected, diameter),
            callback=Prefixed(callback, kind),
        )
        for kind, diameter in diameters.items()
    }  # fmt: skip
    names = next(iter(alone.values())).picked
    picked = {name: joined({kind: each.picked[name] for kind, each in alone.items()}, diameters) for name in names}
    own = {
        kind: replace(each, picked={name: together.kinds[kind] for name, together in picked.items()})
        for kind, each in alone.items()
    }
    return Instant(picked, own[kinds[0]].particle_scores, own)


def at_scale(listed: Sequence[Features], diameter: float) -> list[Features]:
    """Give the features of each tomogram nearest to the scale of a particle, to be searched for it.

    Parameters
    ----------
    listed : sequence of Features
        Of any number of tomograms, each at one or more working voxel sizes.
    diameter : float
        Of the particle, Å.
    """
    by_name: dict[str, list[Features]] = {}
    for item in listed:
        by_name.setdefault(item.name, []).append(item)
    return [_nearest(items, diameter).of_diameter(diameter) for items in by_name.values()]


def _nearest(items: Sequence[Features], diameter: float) -> Features:
    first = items[0]
    wanted = working_voxel_size(first.frame.voxel_size, diameter, first.settings.preprocess.working_diameter)
    return min(items, key=lambda item: abs(np.log(item.working_voxel_size / wanted)))


def _of_only_kind(
    listed: list[Features], clicks: Picks, particle_diameters: Mapping[str, float] | None
) -> list[Features]:
    """Give the features for clicks of one kind, whose diameter may be stated like that of one among several."""
    if not particle_diameters or not listed:
        return listed
    name = clicks.kind_names[0] if clicks.kind_names else ""
    usual = listed[0].settings.particle_diameter
    return at_scale(listed, diameters_of([name], particle_diameters, usual)[name])
