"""Results as data frames and as tables of text: metrics averaged over seeds, and estimates compared with the truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tomopicker.benchmark.results import Result
from tomopicker.evaluation.metrics import mean_evaluation

ALL, UNSEEN = "Mean of all", "Mean of the unseen"
"""The paper's "Overall", and the mean over tomograms that were neither trained nor validated on."""

FIGURES = [
    "tp", "fp", "fn", "precision", "recall", "f1", "f1_at_truth_count", "best_f1", "average_precision",
    "position_error_mean", "seconds",
]  # fmt: skip
METHOD = ["dataset", "method", "clicks"]
"""What a row of the tables is; the runs of its seeds are averaged."""
_ROW = ["dataset", "tomogram", "role", "method", "clicks", "seeds", "matching", "tolerance_voxels"]

WITHIN = 0.15
"""Relative error of a count that is counted as close."""


def metrics_table(results: Iterable[Result]) -> pd.DataFrame:
    """Average the metrics of finished runs over seeds.

    Parameters
    ----------
    results : iterable of Result
        Failed runs are left out.

    Returns
    -------
    DataFrame
        A row per data set, method, number of clicks, way of matching and tomogram, then `ALL` and `UNSEEN`. Columns:
        dataset, tomogram, role ("mean" for means), method, clicks (missing where the method has none), seeds, matching,
        tolerance_voxels; then each of `FIGURES` as mean and sample standard deviation (``_sd``) over seeds. A mean is
        missing if any seed has no value, a deviation also with one seed.
    """
    rows = [row for result in results if result.status == "done" for row in _rows(result)]
    frame = pd.DataFrame(rows, columns=[*(each for each in _ROW if each != "seeds"), "seed", *FIGURES])
    frame = frame.astype({"clicks": "Int64", "seed": "Int64"} | dict.fromkeys(FIGURES, float))
    by_seed = frame.groupby([each for each in _ROW if each != "seeds"], sort=False, dropna=False)
    complete = by_seed[FIGURES].count().eq(by_seed.size(), axis=0)
    table = by_seed[FIGURES].mean().where(complete)
    table = table.join(by_seed[FIGURES].std().where(complete).add_suffix("_sd"))
    table["seeds"] = by_seed["seed"].agg(lambda seeds: " ".join(map(str, seeds.dropna())))
    columns = [column for figure in FIGURES for column in (figure, f"{figure}_sd")]
    return table.reset_index()[[*_ROW, *columns]]


def _rows(result: Result) -> Iterable[dict[str, Any]]:
    """Return a run's metrics: for each way of matching its tomograms, then their means."""
    run = {"dataset": result.dataset, "method": result.method, "clicks": result.clicks, "seed": result.seed}
    for index in range(len(next(iter(result.tomograms.values())).evaluations)):
        single = {name: each.evaluations[index] for name, each in result.tomograms.items()}
        unseen = {name: each for name, each in single.items() if result.tomograms[name].role == "test"}
        for name, evaluation in {**single, ALL: mean_evaluation(single), UNSEEN: mean_evaluation(unseen)}.items():
            role = result.tomograms[name].role if name in single else "mean"
            figures = {"tolerance_voxels": evaluation.tolerance, "matching": evaluation.method, **vars(evaluation)}
            yield {**figures, **run, "tomogram": name, "role": role, "seconds": result.seconds}


def count_predictions(results: Iterable[Result]) -> pd.DataFrame:
    """Compare the methods' own estimates with the truth, at the first tolerance and one-to-one.

    Returns
    -------
    DataFrame
        A row per finished run and tomogram that has estimates. Columns: dataset, method, clicks, seed, tomogram, role,
        particles; expected_particles with the interval low to high; precision, recall, f1; expected_precision,
        expected_recall, expected_f1; within_15_percent: the count is that close to the truth; covered: the interval
        holds it (missing without an interval).
    """
    rows = []
    for result in results:
        for name, each in result.tomograms.items():
            if each.expected is not None:
                true = each.evaluations[0]
                own = {f"expected_{key}": value for key, value in each.expected.model_dump().items()}
                rows.append({
                    "dataset": result.dataset, "method": result.method, "clicks": result.clicks, "seed": result.seed,
                    "tomogram": name, "role": each.role, "particles": true.truth, "precision": true.precision,
                    "recall": true.recall, "f1": true.f1, **own,
                })  # fmt: skip
    expected = [f"expected_{each}" for each in ("precision", "recall", "f1")]
    columns = [*METHOD, "seed", "tomogram", "role", "particles", "expected_particles", "expected_low", "expected_high",
               "precision", "recall", "f1", *expected]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns).rename(columns={"expected_low": "low", "expected_high": "high"})
    frame = frame.astype({"clicks": "Int64", "seed": "Int64", "particles": int, "low": float, "high": float})
    error = (frame["expected_particles"] - frame["particles"]).abs()
    covered = frame["particles"].between(frame["low"], frame["high"]).astype("boolean")
    return frame.assign(
        within_15_percent=error <= WITHIN * frame["particles"], covered=covered.where(frame["low"].notna())
    )


def calibration_summary(predictions: pd.DataFrame) -> pd.DataFrame:
    """Average `count_predictions` over unseen tomograms and seeds.

    Returns
    -------
    DataFrame
        A row per data set, method and number of clicks. Columns: predictions (tomograms × seeds); within_15_percent,
        covered (fractions); count_bias, count_error (mean of the relative error of the count, and of its absolute
        value); precision_bias, recall_bias, f1_bias (mean of expected less true), f1_error (mean absolute difference).
    """
    unseen = predictions[predictions["role"] == "test"]
    off = (unseen["expected_particles"] - unseen["particles"]) / unseen["particles"].clip(lower=1)
    bias = {f"{each}_bias": unseen[f"expected_{each}"] - unseen[each] for each in ("precision", "recall", "f1")}
    errors = unseen[[*METHOD, "within_15_percent", "covered"]].assign(
        count_bias=off, count_error=off.abs(), **bias, f1_error=bias["f1_bias"].abs()
    )
    groups = errors.groupby(METHOD, sort=False, dropna=False)
    summary = groups.mean().astype(float)
    summary.insert(0, "predictions", groups.size())
    return summary.reset_index()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as JSON values, None for what is missing."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in rows]


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
