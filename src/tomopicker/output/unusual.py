"""Which of several tomograms is unlike the others, by one number of each or by several."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

LIMIT = 4.0
"""Robust standard deviations from the median beyond which a tomogram is called unusual."""
FEWEST = 5
"""Tomograms from which one can be unlike the rest."""


@dataclass(frozen=True)
class Measure:
    """A number that each tomogram has.

    Parameters
    ----------
    words : str
        Format string for its value and the median: ``{0}`` and ``{1}``.
    floor : float
        Standard deviation that is usual even where every tomogram is alike.
    is_count : bool
        Whether its root is compared: counts scatter as their root does.
    """

    words: str
    floor: float
    is_count: bool = False


COUNT = Measure("{0:.0f} picks where the median is {1:.0f}", 0.5, is_count=True)
SCORE = Measure("a median score of {0:.2f} where the median is {1:.2f}", 0.03)
SPECIMEN = Measure("specimen in {0:.0%} of the volume where the median is {1:.0%}", 0.03)


def unusual(values: Sequence[float], measure: Measure = COUNT) -> Bool[np.ndarray, " n"]:
    """Flag the values far from their median; none where there are fewer than `FEWEST`.

    Parameters
    ----------
    values : sequence of float
        NaN is never unusual.
    measure : Measure
        What they are.
    """
    far: Bool[np.ndarray, " n"] = _distance(np.asarray(values, dtype=np.float64), measure) > LIMIT
    return far


def reasons(columns: Iterable[tuple[Measure, Float[np.ndarray, " n"]]]) -> dict[int, list[str]]:
    """Give the reasons why tomograms are unusual, by their row, the most unusual first."""
    why: dict[int, list[str]] = {}
    furthest: dict[int, float] = {}
    for measure, values in columns:
        distance = _distance(values, measure)
        for i in np.flatnonzero(distance > LIMIT).tolist():
            why.setdefault(i, []).append(measure.words.format(float(values[i]), float(np.nanmedian(values))))
            furthest[i] = max(furthest.get(i, 0.0), float(distance[i]))
    return {i: why[i] for i in sorted(why, key=lambda i: -furthest[i])}


def _distance(given: Float[np.ndarray, " n"], measure: Measure) -> Float[np.ndarray, " n"]:
    """Give the distance of each value from the median in robust standard deviations; 0 for NaN."""
    values = np.sqrt(given) if measure.is_count else given
    known = values[np.isfinite(values)]
    if len(known) < FEWEST:
        return np.zeros(len(values))
    middle = float(np.median(known))
    low, high = np.quantile(known, [0.25, 0.75])
    # Both: where tomograms are of two sorts, neither sort is unlike the rest.
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), float(high - low) / 1.349, measure.floor)
    return np.abs(np.where(np.isfinite(values), values, middle) - middle) / spread
