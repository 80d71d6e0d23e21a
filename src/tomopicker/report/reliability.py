"""Are probabilities what they say? Expected against true precision over the unseen tomograms of a benchmark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
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


Colour = Any
"""What matplotlib takes for a colour."""


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


def reliability(sure: Sequence[Sureness], sayings: Sequence[Saying], path: Path, title: str) -> None:
    """Draw expected against true precision, a panel a method: of candidates by probability, and of tomograms' picks.

    Parameters
    ----------
    sure : sequence of Sureness
        A curve each.
    sayings : sequence of Saying
        A point each; those of unseen tomograms.
    path : Path
    title : str
    """
    methods = list(dict.fromkeys(each.method for each in sure))
    columns = min(4, len(methods))
    lines, edge = math.ceil(len(methods) / columns), 2.3 if columns > 2 else 2.6
    size = (max(7.0, edge * columns + 0.6), edge * lines + 1.2)
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    figure.suptitle(f"{title}\n", fontsize=10)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    colours = _colours(sure)
    for panel, method in zip(panels.ravel(), methods, strict=False):
        _panel(panel, method)
        for each in sure:
            if each.method == method:
                mine = [one for one in sayings if (one.method, one.clicks) == (method, each.clicks)]
                _draw(panel, binned(each.probability, each.right), mine, colours[each.clicks])
    for panel in panels.ravel()[len(methods) :]:
        panel.set_visible(False)
    for index in range(len(methods)):
        # Below the last panel of each column only, also where the row below has fewer.
        last, panel = index + columns >= len(methods), panels.ravel()[index]
        panel.tick_params(labelbottom=last)
        panel.set_xlabel("Expected" if last else "", fontsize=9)
        panel.set_ylabel("True share of particles" if index % columns == 0 else "", fontsize=9)
    handles = [Line2D([], [], color=colour, lw=2.5, label=_said(clicks)) for clicks, colour in colours.items()]
    handles += [
        Line2D([], [], color="#555555", marker="o", ms=3.5, lw=1.2, label="candidates, binned"),
        Line2D([], [], color="#555555", marker="D", ms=4.5, lw=0, mec="white", label="picks of a tomogram"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    save(figure, path)


def _colours(sure: Sequence[Sureness]) -> dict[int | None, Colour]:
    """Give each number of clicks a colour: the more, the darker; black where every particle is labelled."""
    numbers = sorted({each.clicks for each in sure if each.clicks is not None})
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.25, 0.8, len(numbers)))
    colours: dict[int | None, Colour] = {
        clicks: tuple(map(float, shade)) for clicks, shade in zip(numbers, shades, strict=True)
    }
    return colours | ({None: "black"} if any(each.clicks is None for each in sure) else {})


def _said(clicks: int | None) -> str:
    return "all labelled" if clicks is None else f"{clicks} clicks"


def _panel(axes: Axes, method: str) -> None:
    axes.fill_between([0, 1], [-CLOSE, 1 - CLOSE], [CLOSE, 1 + CLOSE], color="#ececec", lw=0, zorder=0)
    axes.plot([0, 1], [0, 1], color="#999999", lw=0.8, zorder=1)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), aspect="equal")
    axes.set_title(method, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _draw(axes: Axes, points: Binned, sayings: Sequence[Saying], colour: Colour) -> None:
    bars = np.maximum(np.stack([points.share - points.low, points.high - points.share]), 0)
    axes.errorbar(points.mean, points.share, bars, color=colour, marker="o", ms=3.5, lw=1.2, elinewidth=0.6)
    expected, true = [each.expected_precision for each in sayings], [each.precision for each in sayings]
    axes.plot(expected, true, "D", color=colour, ms=5, mec="white", mew=0.7, zorder=3)
