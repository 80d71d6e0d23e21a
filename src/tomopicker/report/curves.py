"""Curves of a benchmark: F1 against clicks, precision against recall, and histograms of scores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tomopicker.benchmark.tables import UNSEEN, Row
from tomopicker.files import atomic_path
from tomopicker.types import Scores

DPI = 160
RIGHT, WRONG = "#1a9641", "#9a9a9a"
BINS = 40


@dataclass(frozen=True)
class Ranked:
    """The candidates of one run in all unseen tomograms together.

    Parameters
    ----------
    method : str
    scores : array, shape (n,)
    right : array of bool, shape (n,)
        Whether each found a particle that no better one had taken.
    picked : array of bool, shape (n,)
        Whether each is above the method's own threshold for its tomogram.
    truth : int
        How many particles there are.
    """

    method: str
    scores: Scores
    right: Bool[np.ndarray, " n"]
    picked: Bool[np.ndarray, " n"]
    truth: int


def learning_curves(rows: Sequence[Row], colours: Mapping[str, str], path: Path, title: str) -> None:
    """Draw F1 over unseen tomograms against the number of clicks; methods without clicks are level lines.

    Parameters
    ----------
    rows : sequence of Row
        Of one data set, tolerance and matching.
    colours : mapping of str to str
        By method.
    path : Path
    title : str
    """
    figure, axes = _canvas(title)
    unseen = [row for row in rows if row.tomogram == UNSEEN]
    for method, colour in colours.items():
        mine = [row for row in unseen if row.method == method]
        points = sorted((row.clicks, row.figures["f1"]) for row in mine if row.clicks is not None)
        if points:
            clicks, spreads = zip(*points, strict=True)
            means = [spread.mean for spread in spreads]
            bars = [spread.sd or 0.0 for spread in spreads]
            axes.errorbar(clicks, means, bars, color=colour, marker="o", ms=4, lw=1.5, capsize=2.5, label=method)
        for row in mine:
            if row.clicks is None and row.figures["f1"].mean is not None:
                axes.axhline(row.figures["f1"].mean, color=colour, lw=1.2, ls=(0, (5, 2)), label=method)
    numbers = sorted({row.clicks for row in unseen if row.clicks is not None})
    if numbers:
        axes.set_xscale("log")
        axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.minorticks_off()
        axes.set_xlim(numbers[0] / 1.25, numbers[-1] * 1.25)
    axes.set(
        xlabel="Clicks in the training tomogram", ylabel="F1, mean of the unseen tomograms", ylim=(_floor(unseen), 1.02)
    )
    _finish(figure, axes, path)


def precision_recall(ranked: Sequence[Ranked], colours: Mapping[str, str], path: Path, title: str) -> None:
    """Draw precision against recall, a line a run, and a dot where the method's own threshold cuts."""
    figure, axes = _canvas(title)
    named: set[str] = set()
    for run in ranked:
        order = np.argsort(-run.scores, kind="stable")
        hits = run.right[order].cumsum()
        recall, precision = hits / max(1, run.truth), hits / np.arange(1, len(hits) + 1)
        colour = colours[run.method]
        label = None if run.method in named else run.method
        named.add(run.method)
        axes.plot(recall, precision, color=colour, lw=1.2, label=label)
        kept, found = int(run.picked.sum()), int(run.right[run.picked].sum())
        if kept:
            # Tomograms may have thresholds of their own, so the dot need not lie on the pooled curve.
            axes.plot(found / max(1, run.truth), found / kept, "o", color=colour, ms=5, mec="white", mew=0.8, zorder=3)
    axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1.02), ylim=(0, 1.02))
    _finish(figure, axes, path)


def score_histograms(ranked: Sequence[Ranked], path: Path, title: str) -> None:
    """Draw how the scores of right and of wrong candidates are distributed, a panel a run, with the threshold."""
    columns = min(4, len(ranked))
    lines = math.ceil(len(ranked) / columns)
    figure = Figure(figsize=(2.6 * columns + 0.5, 1.9 * lines + 0.7), facecolor="white", layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, run in zip(panels, ranked, strict=False):
        # The bulk of what is wrong scores far below anything of interest, and would flatten all the rest.
        high = float(run.scores.max())
        low = min([high, *run.scores[run.picked].tolist(), *run.scores[run.right].tolist()])
        lowest = max(float(run.scores.min()), low - 0.3 * (high - low))
        edges = np.linspace(lowest, high + 1e-6, BINS + 1)
        parts = [run.scores[~run.right], run.scores[run.right]]
        panel.hist(parts, edges, color=[WRONG, RIGHT], stacked=True, label=["no particle", "particle"])
        if run.picked.any() and not run.picked.all():
            panel.axvline(float(run.scores[run.picked].min()), color="black", lw=1, ls="--", label="last picked")
        panel.set_title(run.method, fontsize=9)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(ranked) :]:
        panel.set_visible(False)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=8)
    for index in range(len(ranked)):
        # Below the last panel of each column only.
        if index + columns >= len(ranked):
            panels[index].set_xlabel("Score", fontsize=8)
    figure.supylabel("Candidates", fontsize=9)
    save(figure, path)


def _floor(rows: Sequence[Row]) -> float:
    """Give the tenth below the lowest F1 and its bar, so that methods close to each other can be told apart."""
    figures = [row.figures["f1"] for row in rows]
    ends = [each.mean - (each.sd or 0.0) for each in figures if each.mean is not None]
    return max(0.0, math.floor(10 * min(ends, default=0.0)) / 10)


def _canvas(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.8), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _finish(figure: Figure, axes: Axes, path: Path) -> None:
    axes.tick_params(labelsize=8)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)
