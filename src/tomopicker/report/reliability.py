"""Are probabilities what they say? Expected against true precision over the unseen tomograms of a benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import beta

from tomopicker.benchmark.expected import Saying
from tomopicker.report.curves import save
from tomopicker.types import Scores

BINS = 10
"""Of the probability, equally wide."""
FEWEST = 5
"""Candidates in a bin, below which its share says nothing and is not drawn."""
LEVEL = 0.9
CLOSE = 0.05
"""Half the height of the grey band: what is asked of the expected figures on average."""

_MARKERS = "os^Dv"


@dataclass(frozen=True)
class Sureness:
    """All candidates of one method and number of clicks in unseen tomograms, of all seeds.

    Parameters
    ----------
    method : str
    clicks : int or None
    probability : array, shape (n,)
    right : array of bool, shape (n,)
        Whether each found a particle that no better one had taken.
    """

    method: str
    clicks: int | None
    probability: Scores
    right: Bool[np.ndarray, " n"]

    @property
    def name(self) -> str:
        """For the legend."""
        return self.method if self.clicks is None else f"{self.method}, {self.clicks} clicks"


@dataclass(frozen=True)
class Binned:
    """Candidates by probability; bins with hardly any are left out.

    Parameters
    ----------
    mean : array, shape (bins,)
        Mean probability in each.
    share : array, shape (bins,)
        That are particles.
    low, high : array, shape (bins,)
        90 % interval of the share (Clopper and Pearson, 1934), as if candidates were independent.
    count : array of int, shape (bins,)
    """

    mean: Float64[np.ndarray, " bins"]
    share: Float64[np.ndarray, " bins"]
    low: Float64[np.ndarray, " bins"]
    high: Float64[np.ndarray, " bins"]
    count: Int[np.ndarray, " bins"]


def binned(probability: Scores, right: Bool[np.ndarray, " n"]) -> Binned:
    """Compare probabilities with shares, bin by bin."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    hits = np.bincount(bins, right.astype(float), BINS)
    total = np.bincount(bins, probability.astype(float), BINS)
    kept = count >= FEWEST
    count, hits, total = count[kept], hits[kept], total[kept]
    tail = (1 - LEVEL) / 2
    return Binned(
        mean=total / count,
        share=hits / count,
        low=np.where(hits > 0, beta.ppf(tail, np.maximum(hits, 1), count - hits + 1), 0.0),
        high=np.where(hits < count, beta.ppf(1 - tail, hits + 1, np.maximum(count - hits, 1)), 1.0),
        count=count,
    )


def reliability(
    sure: Sequence[Sureness], sayings: Sequence[Saying], colours: Mapping[str, str], path: Path, title: str
) -> None:
    """Draw shares of particles against probabilities, and true against expected precision tomogram by tomogram.

    Parameters
    ----------
    sure : sequence of Sureness
        A curve each.
    sayings : sequence of Saying
        A point each; those of unseen tomograms.
    colours : mapping of str to str
        By method.
    path : Path
    title : str
    """
    figure = Figure(figsize=(8.2, 4.1), facecolor="white", layout="constrained")
    figure.suptitle(title, fontsize=10)
    left, right = figure.subplots(1, 2)
    markers = dict(zip(sorted({each.clicks or 0 for each in sure}), _MARKERS * len(sure), strict=False))
    for each in sure:
        points, colour = binned(each.probability, each.right), colours[each.method]
        bars = np.stack([points.share - points.low, points.high - points.share])
        left.errorbar(
            points.mean, points.share, np.maximum(bars, 0), color=colour, marker=markers[each.clicks or 0], ms=4,
            lw=1.3, elinewidth=0.7, alpha=0.9,
        )  # fmt: skip
        mine = [one for one in sayings if (one.method, one.clicks) == (each.method, each.clicks)]
        right.plot(
            [one.expected_precision for one in mine], [one.precision for one in mine], markers[each.clicks or 0],
            color=colour, ms=5, mec="white", mew=0.6, alpha=0.9,
        )  # fmt: skip
    _diagonal(left, 0.0)
    left.set(xlabel="Probability of a candidate", ylabel="Share that are particles")
    lowest = min((min(one.expected_precision, one.precision) for one in sayings), default=0.0)
    _diagonal(right, max(0.0, np.floor(lowest * 10) / 10 - 0.1))
    right.fill_between([0, 1], [-CLOSE, 1 - CLOSE], [CLOSE, 1 + CLOSE], color="#ececec", zorder=0)
    right.set(xlabel="Expected precision of a tomogram's picks", ylabel="True precision")
    handles = [
        Line2D([], [], color=colours[each.method], marker=markers[each.clicks or 0], ms=4, lw=1.3, label=each.name)
        for each in sure
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False, fontsize=8
    )  # fmt: skip
    save(figure, path)


def _diagonal(axes: Axes, lowest: float) -> None:
    axes.plot([0, 1], [0, 1], color="#777777", lw=0.9, ls=(0, (4, 3)), zorder=1)
    axes.set(xlim=(lowest, 1.02), ylim=(lowest, 1.02), aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
