"""Where to click next, with clicks of any number of kinds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

import numpy as np

from tomopicker.fewshot.features import Features
from tomopicker.fewshot.suggestions import Suggestion
from tomopicker.picks import Picks
from tomopicker.pipeline import suggest as one_kind
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.kinds.clicks import check_apart, diameters_of, known_negatives, several_kinds
from tomopicker.pipeline.kinds.instant import at_scale


def suggest(
    features: Features | Sequence[Features],
    clicks: Picks | None = None,
    rejected: Picks | None = None,
    count: int = 10,
    *,
    particle_diameters: Mapping[str, float] | None = None,
    callback: Callback | None = None,
) -> list[Suggestion]:
    """Suggest where to click next, as `tomopicker.pipeline.suggest.suggest`; for several kinds in turn.

    Parameters
    ----------
    features, clicks, rejected, count, callback
        As for one kind; clicks of several name them in their column ``kind``.
    particle_diameters : mapping of str to float, optional
        Å, of kinds for which it is not the one that the features were computed for.

    Returns
    -------
    list of Suggestion
        The first to look at first; of several kinds, the reason begins with the one it may be.
    """
    listed = [features] if isinstance(features, Features) else list(features)
    kinds = several_kinds(clicks) if clicks is not None else []
    if clicks is None or not kinds or not listed:
        return one_kind.suggest(features, clicks, rejected, count, callback=callback)
    diameters = diameters_of(kinds, particle_diameters or {}, listed[0].settings.particle_diameter)
    check_apart(clicks, diameters, {item.name: item.frame for item in listed})
    each = [
        [
            replace(found, reason=f"{kind}: {found.reason}")
            for found in one_kind.suggest(
                at_scale(listed, size), clicks.of_kind(kind), known_negatives(kind, clicks, rejected, size), count,
                callback=callback,
            )
        ]
        for kind, size in diameters.items()
    ]  # fmt: skip
    kept: list[Suggestion] = []
    for found in chain.from_iterable(zip_longest(*each)):
        if found is not None and all(_apart(found, other, min(diameters.values()) / 2) for other in kept):
            kept.append(found)
    return kept[:count]


def _apart(one: Suggestion, other: Suggestion, distance: float) -> bool:
    away = np.linalg.norm(np.array(one.position) - np.array(other.position))
    return one.tomogram != other.tomogram or bool(away >= distance)
