"""Which of several tomograms is unlike the others, by one number of each."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

OUTLIER = 3.5
"""Robust standard deviations from the median beyond which a tomogram is called unusual (Iglewicz and Hoaglin)."""


def unusual(values: Sequence[float]) -> Bool[np.ndarray, " n"]:
    """Say which of several values lie far from their median, by the median absolute deviation; none of fewer than 4.

    Parameters
    ----------
    values : sequence of float
        Counts, or medians of scores; NaN is never unusual.
    """
    given: Float[np.ndarray, " n"] = np.asarray(values, dtype=np.float64)
    known = given[np.isfinite(given)]
    if len(known) < 4:
        return np.zeros(len(given), dtype=np.bool_)
    middle = float(np.median(known))
    # Counts scatter by their root even where every tomogram is alike.
    spread = max(float(np.median(np.abs(known - middle))) / 0.6745, np.sqrt(abs(middle)) if middle > 1 else 0.02)
    far: Bool[np.ndarray, " n"] = np.isfinite(given) & (np.abs(given - middle) > OUTLIER * spread)
    return far
