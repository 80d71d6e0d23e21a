"""Tables as text cells: in Markdown, and those of a benchmark's report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tomopicker.benchmark.tables import ALL, UNSEEN, WITHIN

DASH = "-"


@dataclass(frozen=True)
class Table:
    """Cells with a header; the first `left` columns are names, aligned to the left."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Write a Markdown table that is also readable as text, without a newline at the end.

    The first `left` columns are aligned to the left, the others to the right.
    """
    table = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*table, strict=True)]
    rule = ["-" * width if index < left else "-" * (width - 1) + ":" for index, width in enumerate(widths)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join(line(cells) for cells in (table[0], rule, *table[1:]))


def headline(metrics: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of the first tolerance, matched one-to-one."""
    first = metrics["tolerance_voxels"].iloc[:1]
    return metrics[metrics["tolerance_voxels"].isin(first) & (metrics["matching"] == "one-to-one")]


def summary_table(metrics: pd.DataFrame) -> Table:
    """Lay out means over the unseen tomograms of one data set, each method at its own threshold."""
    unseen = metrics[metrics["tomogram"] == UNSEEN]
    first, *others = unseen["tolerance_voxels"].unique()
    header = [
        "Method", "Clicks", "Seeds", "Precision", "Recall", *(f"F1 ({each:g})" for each in (first, *others)),
        "F1, paper's match", "Off centre (voxels)", "Minutes a run",
    ]  # fmt: skip
    cells = []
    for _, group in unseen.groupby(["method", "clicks"], sort=False, dropna=False):
        ways = {(row["tolerance_voxels"], row["matching"]): row for row in group.to_dict("records")}
        row = ways[first, "one-to-one"]
        cells.append([
            *_method(row),
            *(_figure(row, name) for name in ("precision", "recall", "f1")),
            *(_figure(ways[each, "one-to-one"], "f1") for each in others),
            _figure(ways[first, "paper"], "f1"),
            _figure(row, "position_error_mean", 2),
            DASH if pd.isna(row["seconds"]) else f"{row['seconds'] / 60:.1f}",
        ])  # fmt: skip
    return Table(header, cells)


def ranking_table(metrics: pd.DataFrame) -> Table:
    """Lay out the metrics of one data set's rankings, which need no threshold: means over the unseen tomograms."""
    figures = ("f1_at_truth_count", "best_f1", "average_precision", "f1")
    header = ["Method", "Clicks", "Seeds", "F1 at N (oracle)", "Best F1 (oracle)", "Average precision", "F1 as picked"]
    rows = headline(metrics[metrics["tomogram"] == UNSEEN]).to_dict("records")
    return Table(header, [[*_method(row), *(_figure(row, name) for name in figures)] for row in rows])


def paper_table(metrics: pd.DataFrame) -> Table:
    """Lay out metrics as the paper's tables 1 and 2: a row per tomogram and method, then the two means.

    The metrics are of one data set, number of clicks, tolerance and matching.
    """
    header = ["Tomogram", "Method", "TP", "FP", "FN", "Precision", "Recall", "F1"]
    names = [name for name in metrics["tomogram"].unique() if name not in {ALL, UNSEEN}]
    cells = []
    for name in (*names, ALL, UNSEEN):
        for index, row in enumerate(metrics[metrics["tomogram"] == name].to_dict("records")):
            counts = [DASH if row["role"] == "mean" else _figure(row, each, 0) for each in ("tp", "fp", "fn")]
            ratios = [_figure(row, each, 2) for each in ("precision", "recall", "f1")]
            cells.append([_tomogram(row) if index == 0 else "", row["method"], *counts, *ratios])
    return Table(header, cells, left=2)


def calibration_table(summary: pd.DataFrame) -> Table:
    """Lay out `calibration_summary` of one data set: a row per method and number of clicks."""
    header = [
        "Method", "Clicks", "Tomograms × seeds", f"Counts within {WITHIN:.0%}", "90% intervals that cover the truth",
        "Count error", "Count bias", "Precision bias", "Recall bias", "F1 bias", "F1 error",
    ]  # fmt: skip
    cells = [
        [
            row["method"],
            _clicks(row),
            str(row["predictions"]),
            f"{row['within_15_percent']:.0%}",
            DASH if pd.isna(row["covered"]) else f"{row['covered']:.0%}",
            f"{row['count_error']:.0%}",
            f"{row['count_bias']:+.0%}",
            *(f"{row[f'{each}_bias']:+.3f}" for each in ("precision", "recall", "f1")),
            f"{row['f1_error']:.3f}",
        ]
        for row in summary.to_dict("records")
    ]
    return Table(header, cells)


def predictions_table(predictions: pd.DataFrame) -> Table:
    """Lay out `count_predictions` of one data set tomogram by tomogram, averaged over seeds."""
    header = [
        "Tomogram", "Method", "Clicks", "Particles", "Counted", "90% interval", "Covers", "Precision", "expected",
        "Recall", "expected", "F1", "expected",
    ]  # fmt: skip
    figures = [name for each in ("precision", "recall", "f1") for name in (each, f"expected_{each}")]
    cells = []
    for _, tomogram in predictions.groupby("tomogram", sort=False):
        for index, (_, seeds) in enumerate(tomogram.groupby(["method", "clicks"], sort=False, dropna=False)):
            row, ends, covered = seeds.iloc[0], seeds[["low", "high"]].dropna().mean(), seeds["covered"].dropna()
            cells.append([
                _tomogram(row) if index == 0 else "", row["method"], _clicks(row), str(row["particles"]),
                _mean_sd(seeds["expected_particles"].mean(), seeds["expected_particles"].std(), 0),
                f"{ends['low']:.0f} to {ends['high']:.0f}" if len(covered) else DASH,
                f"{covered.sum()} of {len(covered)}" if len(covered) else DASH,
                *(_mean_sd(seeds[each].mean(), seeds[each].std(), 2) for each in figures),
            ])  # fmt: skip
    return Table(header, cells, left=2)


def _method(row: Any) -> list[str]:
    return [row["method"], _clicks(row), str(len(row["seeds"].split())) if row["seeds"] else DASH]


def _clicks(row: Any) -> str:
    return DASH if pd.isna(row["clicks"]) else str(row["clicks"])


def _tomogram(row: Any) -> str:
    return f"{row['tomogram']} ({row['role']})" if row["role"] in {"training", "validation"} else str(row["tomogram"])


def _figure(row: Any, name: str, digits: int = 3) -> str:
    return _mean_sd(row[name], row[f"{name}_sd"], digits)


def _mean_sd(mean: float, sd: float, digits: int) -> str:
    """Write mean ± standard deviation over seeds."""
    if pd.isna(mean):
        return DASH
    return f"{mean:.{digits}f}" + ("" if pd.isna(sd) else f" ± {sd:.{digits}f}")
