"""Results as data frames and text tables: metrics averaged over seeds, and estimates compared with the truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tomopicker.benchmark.results import Result
from tomopicker.evaluation.metrics import mean_evaluation

ALL, UNSEEN = "Mean of all", "Mean of the unseen"
"""The paper's "Overall", and the mean over the tomograms not used in training or validation."""

METRICS = [
    "tp", "fp", "fn", "precision", "recall", "f1", "f1_at_truth_count", "best_f1", "average_precision",
    "position_error_mean", "seconds",
]  # fmt: skip
METHOD = ["dataset", "method", "clicks"]
"""Columns that identify a row; the runs of its seeds are averaged."""
_ROW = ["dataset", "tomogram", "role", "method", "clicks", "seeds", "matching", "tolerance_voxels"]

MAX_COUNT_ERROR = 0.15
"""Maximum relative error of an accurate count."""


def metrics_table(results: Iterable[Result]) -> pd.DataFrame:
    """Average the metrics of finished runs over seeds.

    Parameters
    ----------
    results : iterable of Result
        Failed runs are left out.

    Returns
    -------
    DataFrame
        A row per data set, method, number of clicks, matching and tomogram, then `ALL` and `UNSEEN`. Columns: dataset,
        tomogram, role ("mean" for means), method, clicks (missing if the method has none), seeds, matching,
        tolerance_voxels; then each of `METRICS` as mean and sample standard deviation (``_sd``) over seeds. A mean is
        missing if any seed has no value, a standard deviation also if there is only one seed.
    """
    rows = [row for result in results if result.status == "done" for row in _rows(result)]
    keys = [column for column in _ROW if column != "seeds"]
    frame = pd.DataFrame(rows, columns=[*keys, "seed", *METRICS])
    frame = frame.astype({"clicks": "Int64", "seed": "Int64"} | dict.fromkeys(METRICS, float))
    by_seed = frame.groupby(keys, sort=False, dropna=False)
    complete = by_seed[METRICS].count().eq(by_seed.size(), axis=0)
    table = by_seed[METRICS].mean().where(complete)
    table = table.join(by_seed[METRICS].std().where(complete).add_suffix("_sd"))
    table["seeds"] = by_seed["seed"].agg(lambda seeds: " ".join(map(str, seeds.dropna())))
    columns = [column for metric in METRICS for column in (metric, f"{metric}_sd")]
    return table.reset_index()[[*_ROW, *columns]]


def _rows(result: Result) -> Iterable[dict[str, Any]]:
    """Yield a run's metrics: for each matching its tomograms, then their means."""
    run = {"dataset": result.dataset, "method": result.method, "clicks": result.clicks, "seed": result.seed}
    for index in range(len(next(iter(result.tomograms.values())).evaluations)):
        single = {name: tomogram.evaluations[index] for name, tomogram in result.tomograms.items()}
        unseen = {name: evaluation for name, evaluation in single.items() if result.tomograms[name].role == "test"}
        for name, evaluation in {**single, ALL: mean_evaluation(single), UNSEEN: mean_evaluation(unseen)}.items():
            role = result.tomograms[name].role if name in single else "mean"
            metrics = {"tolerance_voxels": evaluation.tolerance, "matching": evaluation.method, **vars(evaluation)}
            yield {**metrics, **run, "tomogram": name, "role": role, "seconds": result.seconds}


def count_predictions(results: Iterable[Result]) -> pd.DataFrame:
    """Compare the methods' own estimates with the truth, at the first tolerance and one-to-one.

    Returns
    -------
    DataFrame
        A row per finished run and tomogram that has estimates. Columns: dataset, method, clicks, seed, tomogram, role,
        particles; expected_particles with its interval, low to high; precision, recall, f1; expected_precision,
        expected_recall, expected_f1; within_15_percent: the count is that close to the truth; covered: the interval
        contains the truth (missing without an interval).
    """
    rows = []
    for result in results:
        for name, tomogram in result.tomograms.items():
            if tomogram.expected is not None:
                true = tomogram.evaluations[0]
                expected = {f"expected_{key}": value for key, value in tomogram.expected.model_dump().items()}
                rows.append({
                    "dataset": result.dataset, "method": result.method, "clicks": result.clicks, "seed": result.seed,
                    "tomogram": name, "role": tomogram.role, "particles": true.truth, "precision": true.precision,
                    "recall": true.recall, "f1": true.f1, **expected,
                })  # fmt: skip
    columns = [
        *METHOD, "seed", "tomogram", "role", "particles", "expected_particles", "expected_low", "expected_high",
        "precision", "recall", "f1", "expected_precision", "expected_recall", "expected_f1",
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns).rename(columns={"expected_low": "low", "expected_high": "high"})
    frame = frame.astype({"clicks": "Int64", "seed": "Int64", "particles": int, "low": float, "high": float})
    error = (frame["expected_particles"] - frame["particles"]).abs()
    covered = frame["particles"].between(frame["low"], frame["high"]).astype("boolean")
    return frame.assign(
        within_15_percent=error <= MAX_COUNT_ERROR * frame["particles"], covered=covered.where(frame["low"].notna())
    )


def calibration_summary(predictions: pd.DataFrame) -> pd.DataFrame:
    """Average `count_predictions` over unseen tomograms and seeds.

    Returns
    -------
    DataFrame
        A row per data set, method and number of clicks. Columns: predictions (tomograms × seeds); within_15_percent,
        covered (fractions); count_bias, count_error (mean relative error of the count, signed and absolute);
        precision_bias, recall_bias, f1_bias (mean of expected minus true); f1_error (mean absolute difference).
    """
    unseen = predictions[predictions["role"] == "test"]
    error = (unseen["expected_particles"] - unseen["particles"]) / unseen["particles"].clip(lower=1)
    bias = {f"{name}_bias": unseen[f"expected_{name}"] - unseen[name] for name in ("precision", "recall", "f1")}
    errors = unseen[[*METHOD, "within_15_percent", "covered"]].assign(
        count_bias=error, count_error=error.abs(), **bias, f1_error=bias["f1_bias"].abs()
    )
    groups = errors.groupby(METHOD, sort=False, dropna=False)
    summary = groups.mean().astype(float)
    summary.insert(0, "predictions", groups.size())
    return summary.reset_index()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as JSON values, with None for missing values."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in rows]


_DASH = "-"


@dataclass(frozen=True)
class Table:
    """Cells with a header; the first `left` columns are left-aligned."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Format a Markdown table that is also readable as text, without a final newline.

    The first `left` columns are left-aligned, the others right-aligned.
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
    """Return the rows of the first tolerance with one-to-one matching."""
    first = metrics["tolerance_voxels"].iloc[:1]
    return metrics[metrics["tolerance_voxels"].isin(first) & (metrics["matching"] == "one-to-one")]


def summary_table(metrics: pd.DataFrame) -> Table:
    """Tabulate means over the unseen tomograms of one data set, each method at its own threshold."""
    unseen = metrics[metrics["tomogram"] == UNSEEN]
    first, *others = unseen["tolerance_voxels"].unique()
    header = [
        "Method", "Clicks", "Seeds", "Precision", "Recall", *(f"F1 ({tolerance:g})" for tolerance in (first, *others)),
        "F1, paper's match", "Off centre (voxels)", "Minutes a run",
    ]  # fmt: skip
    cells = []
    for _, group in unseen.groupby(["method", "clicks"], sort=False, dropna=False):
        by_criterion = {(row["tolerance_voxels"], row["matching"]): row for row in group.to_dict("records")}
        row = by_criterion[first, "one-to-one"]
        cells.append([
            *_method(row),
            *(_metric(row, name) for name in ("precision", "recall", "f1")),
            *(_metric(by_criterion[tolerance, "one-to-one"], "f1") for tolerance in others),
            _metric(by_criterion[first, "paper"], "f1"),
            _metric(row, "position_error_mean", 2),
            _DASH if pd.isna(row["seconds"]) else f"{row['seconds'] / 60:.1f}",
        ])  # fmt: skip
    return Table(header, cells)


def ranking_table(metrics: pd.DataFrame) -> Table:
    """Tabulate metrics of one data set's rankings, which need no threshold: means over the unseen tomograms."""
    figures = ("f1_at_truth_count", "best_f1", "average_precision", "f1")
    header = ["Method", "Clicks", "Seeds", "F1 at N (oracle)", "Best F1 (oracle)", "Average precision", "F1 as picked"]
    rows = headline(metrics[metrics["tomogram"] == UNSEEN]).to_dict("records")
    return Table(header, [[*_method(row), *(_metric(row, name) for name in figures)] for row in rows])


def paper_table(metrics: pd.DataFrame) -> Table:
    """Tabulate metrics as the paper's tables 1 and 2: a row per tomogram and method, then the two means.

    The metrics are those of one data set, number of clicks, tolerance and matching.
    """
    header = ["Tomogram", "Method", "TP", "FP", "FN", "Precision", "Recall", "F1"]
    names = [name for name in metrics["tomogram"].unique() if name not in {ALL, UNSEEN}]
    cells = []
    for name in (*names, ALL, UNSEEN):
        for index, row in enumerate(metrics[metrics["tomogram"] == name].to_dict("records")):
            counts = [_DASH if row["role"] == "mean" else _metric(row, metric, 0) for metric in ("tp", "fp", "fn")]
            ratios = [_metric(row, metric, 2) for metric in ("precision", "recall", "f1")]
            cells.append([_tomogram(row) if index == 0 else "", row["method"], *counts, *ratios])
    return Table(header, cells, left=2)


def calibration_table(summary: pd.DataFrame) -> Table:
    """Tabulate `calibration_summary` of one data set: a row per method and number of clicks."""
    header = [
        "Method", "Clicks", "Tomograms × seeds", f"Counts within {MAX_COUNT_ERROR:.0%}",
        "90% intervals that cover the truth", "Count error", "Count bias", "Precision bias", "Recall bias", "F1 bias",
        "F1 error",
    ]  # fmt: skip
    cells = [
        [
            row["method"],
            _clicks(row),
            str(row["predictions"]),
            f"{row['within_15_percent']:.0%}",
            _DASH if pd.isna(row["covered"]) else f"{row['covered']:.0%}",
            f"{row['count_error']:.0%}",
            f"{row['count_bias']:+.0%}",
            *(f"{row[f'{metric}_bias']:+.3f}" for metric in ("precision", "recall", "f1")),
            f"{row['f1_error']:.3f}",
        ]
        for row in summary.to_dict("records")
    ]
    return Table(header, cells)


def predictions_table(predictions: pd.DataFrame) -> Table:
    """Tabulate `count_predictions` of one data set tomogram by tomogram, averaged over seeds."""
    header = [
        "Tomogram", "Method", "Clicks", "Particles", "Counted", "90% interval", "Covers", "Precision", "expected",
        "Recall", "expected", "F1", "expected",
    ]  # fmt: skip
    metrics = [name for metric in ("precision", "recall", "f1") for name in (metric, f"expected_{metric}")]
    cells = []
    for _, tomogram in predictions.groupby("tomogram", sort=False):
        for index, (_, seeds) in enumerate(tomogram.groupby(["method", "clicks"], sort=False, dropna=False)):
            row, ends, covered = seeds.iloc[0], seeds[["low", "high"]].dropna().mean(), seeds["covered"].dropna()
            cells.append([
                _tomogram(row) if index == 0 else "", row["method"], _clicks(row), str(row["particles"]),
                _mean_sd(seeds["expected_particles"].mean(), seeds["expected_particles"].std(), 0),
                f"{ends['low']:.0f} to {ends['high']:.0f}" if len(covered) else _DASH,
                f"{covered.sum()} of {len(covered)}" if len(covered) else _DASH,
                *(_mean_sd(seeds[metric].mean(), seeds[metric].std(), 2) for metric in metrics),
            ])  # fmt: skip
    return Table(header, cells, left=2)


def _method(row: Any) -> list[str]:
    return [row["method"], _clicks(row), str(len(row["seeds"].split())) if row["seeds"] else _DASH]


def _clicks(row: Any) -> str:
    return _DASH if pd.isna(row["clicks"]) else str(row["clicks"])


def _tomogram(row: Any) -> str:
    return f"{row['tomogram']} ({row['role']})" if row["role"] in {"training", "validation"} else str(row["tomogram"])


def _metric(row: Any, name: str, digits: int = 3) -> str:
    return _mean_sd(row[name], row[f"{name}_sd"], digits)


def _mean_sd(mean: float, sd: float, digits: int) -> str:
    """Format mean ± standard deviation over seeds."""
    if pd.isna(mean):
        return _DASH
    return f"{mean:.{digits}f}" + ("" if pd.isna(sd) else f" ± {sd:.{digits}f}")
