"""Results as data frames: metrics averaged over seeds, and the methods' own estimates compared with the truth."""

from collections.abc import Iterable
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
    """Give a run's metrics: for each way of matching its tomograms, then their means."""
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
    """Give a frame's rows as JSON values, None for what is missing."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in rows]
