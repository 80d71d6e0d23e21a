"""Figures of a benchmark: F1 against clicks, precision against recall, score histograms, and reliability."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import beta

from tomopicker.benchmark.methods import SHORT_EPOCHS, Method
from tomopicker.benchmark.tables import UNSEEN
from tomopicker.output.figures import PICK_COLOUR, save_figure
from tomopicker.types import Scores

DPI = 160
CORRECT, WRONG = "#1a9641", "#9a9a9a"
HISTOGRAM_BINS = 40
N_PROBABILITY_BINS = 10
"""Number of bins of the probability, of equal width."""
MIN_BIN_COUNT = 5
"""Minimum number of candidates in a bin that is drawn."""
CONFIDENCE = 0.9
"""Confidence level of the intervals."""
BAND_HALF_HEIGHT = 0.05
"""Half the height of the band around the diagonal."""

_METHOD_COLOURS = {
    "default-pn": "#1a9641", "default-pu": "#8cc63f", "default-kl": "#00634a",
    "default-distpu": "#1f78b4", "default-pu-sigmoid": "#6fb7d6",
    "paper-pn": "#c2a5cf", "paper-pu": "#8e5bb5", "paper-kl": "#40126b",
    "best": "#b5502a",
    "all-labelled": "#111111", "dog": "#7f7f7f", "ball": "#b5b5b5", "template": "#e6762a",
    "deepetpicker": "#e0302a", "cryolo": "#e8c31a",
}  # fmt: skip
"""TomoPicker green, the paper's presets purple, DeepETPicker red and crYOLO yellow as in the paper's figures."""
_OTHER_COLOURS = ("#d6408c", "#8c564b", "#17a398", "#b03060", "#5b6abf")
_COLOURS_ON_GREY = {"dog": "#ff6ad5", "ball": "#c59bff", "template": "#ff9a3c"}


@dataclass(frozen=True)
class Ranked:
    """The candidates of a run, pooled over the unseen tomograms, and the number of true particles.

    A candidate is correct if it matches a particle that no candidate of a higher score has matched, and selected if it
    is above the method's own threshold for its tomogram.
    """

    method: str
    clicks: int | None
    scores: Scores
    correct: Bool[np.ndarray, " n"]
    selected: Bool[np.ndarray, " n"]
    truth: int


def method_colours(methods: Sequence[Method]) -> dict[str, str]:
    """Assign each method a colour for white backgrounds, the same in every figure of a benchmark."""
    colours, others = {}, itertools.cycle(_OTHER_COLOURS)
    for method in methods:
        base_name = method.name.lower().removesuffix(f"-{SHORT_EPOCHS}-epochs")
        colours[method.name] = _METHOD_COLOURS.get(base_name) or next(others)
    return colours


def box_colour(method: Method, colours: Mapping[str, str]) -> str:
    """Return the colour of a method's boxes on a grey section: green for networks, as in the paper."""
    return PICK_COLOUR if method.kind == "network" else _COLOURS_ON_GREY.get(method.name, colours[method.name])


def learning_curves(metrics: pd.DataFrame, colours: Mapping[str, str], path: Path, title: str) -> None:
    """Plot the mean F1 of unseen tomograms against the number of clicks; methods without clicks are horizontal lines.

    The metrics, from `metrics_table`, are those of one data set, tolerance and matching.
    """
    figure, axes = _single(title)
    unseen = metrics[metrics["tomogram"] == UNSEEN]
    for method, colour in colours.items():
        own = unseen[unseen["method"] == method]
        curve = own[own["clicks"].notna()].astype({"clicks": int}).sort_values("clicks")
        if len(curve):
            axes.errorbar(
                curve["clicks"], curve["f1"], curve["f1_sd"].fillna(0.0), color=colour, marker="o", ms=4, lw=1.5,
                capsize=2.5, label=method,
            )  # fmt: skip
        for level in own.loc[own["clicks"].isna(), "f1"].dropna():
            axes.axhline(level, color=colour, lw=1.2, ls=(0, (5, 2)), label=method)
    numbers = sorted(unseen["clicks"].dropna().unique())
    if numbers:
        axes.set_xscale("log")
        axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.minorticks_off()
        axes.set_xlim(numbers[0] / 1.25, numbers[-1] * 1.25)
    # The axis starts at the tenth below the lowest error bar, to separate similar methods.
    ends = (unseen["f1"] - unseen["f1_sd"].fillna(0.0)).dropna()
    bottom = max(0.0, math.floor(10 * min(ends, default=0.0)) / 10)
    axes.set(xlabel="Clicks in the training tomogram", ylabel="F1, mean of the unseen tomograms", ylim=(bottom, 1.02))
    _finish(figure, axes, path)


def precision_recall(ranked: Sequence[Ranked], colours: Mapping[str, str], path: Path, title: str) -> None:
    """Plot precision against recall, one line per run, with a dot at the method's own threshold."""
    figure, axes = _single(title)
    labelled: set[str] = set()
    for run in ranked:
        hits = run.correct[np.argsort(-run.scores, kind="stable")].cumsum()
        recall, precision = hits / max(1, run.truth), hits / np.arange(1, len(hits) + 1)
        colour, label = colours[run.method], None if run.method in labelled else run.method
        labelled.add(run.method)
        axes.plot(recall, precision, color=colour, lw=1.2, label=label)
        if run.selected.any():
            # Thresholds may differ between tomograms, so the dot need not lie on the pooled curve.
            correct = run.correct[run.selected]
            axes.plot(
                correct.sum() / max(1, run.truth), correct.mean(), "o", color=colour, ms=5, mec="white", mew=0.8,
                zorder=3,
            )  # fmt: skip
    axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1.02), ylim=(0, 1.02))
    _finish(figure, axes, path)


def score_histograms(ranked: Sequence[Ranked], path: Path, title: str) -> None:
    """Plot histograms of the scores of correct and wrong candidates, one panel per run, with the threshold."""
    columns = min(4, len(ranked))
    figure, panels = _panels(len(ranked), columns, (2.6 * columns + 0.5, 1.9, 0.7), title)
    for index, (panel, run) in enumerate(zip(panels, ranked, strict=True)):
        # Most wrong candidates score far below the others; the axis is truncated to show the rest.
        high = float(run.scores.max())
        low = min([high, *run.scores[run.selected | run.correct].tolist()])
        lowest = max(float(run.scores.min()), low - 0.3 * (high - low))
        edges = np.linspace(lowest, high + 1e-6, HISTOGRAM_BINS + 1).tolist()
        parts = [run.scores[~run.correct], run.scores[run.correct]]
        panel.hist(parts, edges, color=[WRONG, CORRECT], stacked=True, label=["no particle", "particle"])
        if run.selected.any() and not run.selected.all():
            panel.axvline(float(run.scores[run.selected].min()), color="black", lw=1, ls="--", label="last picked")
        panel.set_title(run.method, fontsize=9)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
        if index + columns >= len(ranked):
            panel.set_xlabel("Score", fontsize=8)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=8)
    figure.supylabel("Candidates", fontsize=9)
    save_figure(figure, path, DPI)


def reliability(ranked: Sequence[Ranked], predictions: pd.DataFrame, path: Path, title: str) -> None:
    """Plot true against expected precision, one panel per method: of candidates by probability, and of picks.

    The runs' scores are probabilities; those of one method and number of clicks are pooled. The predictions, from
    `count_predictions` for unseen tomograms, are drawn one point per row.
    """
    pooled: dict[str, dict[int | None, list[Ranked]]] = {}
    for run in ranked:
        pooled.setdefault(run.method, {}).setdefault(run.clicks, []).append(run)
    columns = min(4, len(pooled))
    edge = 2.3 if columns > 2 else 2.6
    size = max(7.0, edge * columns + 0.6), edge, 1.2
    figure, panels = _panels(len(pooled), columns, size, f"{title}\n", share=True)
    colours = _click_colours({run.clicks for run in ranked})
    for index, (panel, (method, by_clicks)) in enumerate(zip(panels, pooled.items(), strict=True)):
        _draw_diagonal(panel, method)
        for clicks, runs in by_clicks.items():
            bins = reliability_bins(
                np.concatenate([run.scores for run in runs]), np.concatenate([run.correct for run in runs])
            )
            bars = np.maximum([bins["share"] - bins["low"], bins["high"] - bins["share"]], 0)
            panel.errorbar(
                bins["probability"], bins["share"], bars, color=colours[clicks], marker="o", ms=3.5, lw=1.2,
                elinewidth=0.6,
            )  # fmt: skip
            same = predictions["clicks"].isna() if clicks is None else predictions["clicks"] == clicks
            own = predictions[(predictions["method"] == method) & same.fillna(False)]
            panel.plot(
                own["expected_precision"], own["precision"], "D", color=colours[clicks], ms=5, mec="white", mew=0.7,
                zorder=3,
            )  # fmt: skip
        last = index + columns >= len(pooled)
        panel.tick_params(labelbottom=last)
        panel.set_xlabel("Expected" if last else "", fontsize=9)
        panel.set_ylabel("True share of particles" if index % columns == 0 else "", fontsize=9)
    handles = [
        Line2D([], [], color=colour, lw=2.5, label="all labelled" if clicks is None else f"{clicks} clicks")
        for clicks, colour in colours.items()
    ]
    handles += [
        Line2D([], [], color="#555555", marker="o", ms=3.5, lw=1.2, label="candidates, binned"),
        Line2D([], [], color="#555555", marker="D", ms=4.5, lw=0, mec="white", label="picks of a tomogram"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    save_figure(figure, path, DPI)


def reliability_bins(probability: Scores, correct: Bool[np.ndarray, " n"]) -> pd.DataFrame:
    """Compare probabilities with the fraction of correct candidates, by bins of probability.

    Returns
    -------
    DataFrame
        Columns: probability (mean), share (fraction of correct candidates), count, and low and high, the 90% interval
        of the share for independent candidates (Clopper and Pearson, 1934). Bins with fewer than 5 candidates are left
        out.
    """
    frame = pd.DataFrame({"probability": probability.astype(float), "hit": correct.astype(float)})
    groups = frame.groupby(np.minimum((probability * N_PROBABILITY_BINS).astype(int), N_PROBABILITY_BINS - 1))
    bins = groups.agg(probability=("probability", "mean"), hits=("hit", "sum"), count=("hit", "size"))
    bins = bins[bins["count"] >= MIN_BIN_COUNT]
    hits, misses, tail = bins["hits"], bins["count"] - bins["hits"], (1 - CONFIDENCE) / 2
    return bins.assign(
        share=hits / bins["count"],
        low=np.nan_to_num(beta.ppf(tail, hits, misses + 1), nan=0.0),
        high=np.nan_to_num(beta.ppf(1 - tail, hits + 1, misses), nan=1.0),
    )


def _click_colours(numbers: set[int | None]) -> dict[int | None, Any]:
    """Assign each number of clicks a colour: darker for more clicks, black if every particle is labelled."""
    known = sorted(number for number in numbers if number is not None)
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.25, 0.8, len(known)))
    colours: dict[int | None, Any] = dict(zip(known, map(tuple, shades.tolist()), strict=True))
    return colours | ({None: "black"} if None in numbers else {})


def _draw_diagonal(axes: Axes, title: str) -> None:
    band = BAND_HALF_HEIGHT
    axes.fill_between([0, 1], [-band, 1 - band], [band, 1 + band], color="#ececec", lw=0, zorder=0)
    axes.plot([0, 1], [0, 1], color="#999999", lw=0.8, zorder=1)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), aspect="equal")
    axes.set_title(title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _panels(
    count: int, columns: int, size: tuple[float, float, float], title: str, *, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Create a figure of panels; its size in inches is total width, height per row, and extra height."""
    rows, (width, height, extra) = math.ceil(count / columns), size
    figure = Figure(figsize=(width, height * rows + extra), facecolor="white", layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = list(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).ravel())
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels[:count]


def _single(title: str) -> tuple[Figure, Axes]:
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
    save_figure(figure, path, DPI)
