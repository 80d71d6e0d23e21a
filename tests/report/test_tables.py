"""The table of the paper: its rows, their order, the plain mean, and Markdown that cannot break."""

import numpy as np
import pytest

from tomopicker.picking.evaluate import Evaluation, evaluate
from tomopicker.report.tables import EvaluationRow, evaluation_rows, evaluation_table, markdown_table


def judged(found: int, missed: int, false: int) -> Evaluation:
    truth = np.stack([np.arange(found + missed) * 100.0] * 3, axis=1)
    picks = np.concatenate([truth[:found], truth[:false] + 50])
    return evaluate(picks, None, truth, 10)


def test_rows_go_tomogram_by_tomogram_then_overall() -> None:
    first = {"TS_1": judged(3, 1, 0), "TS_2": judged(1, 1, 1)}
    second = {"TS_1": judged(2, 2, 2), "TS_2": judged(1, 0, 0)}
    rows = evaluation_rows({"KL": first, "PU": second})
    assert [(row.tomogram, row.method) for row in rows] == [
        ("TS_1", "KL"), ("TS_1", "PU"), ("TS_2", "KL"), ("TS_2", "PU"), ("Overall", "KL"), ("Overall", "PU"),
    ]  # fmt: skip
    assert rows[0] == EvaluationRow("TS_1", "KL", 3, 0, 1, 1.0, 0.75, rows[0].f1)
    assert rows[0].f1 == pytest.approx(6 / 7)


def test_overall_is_the_plain_mean_and_has_no_counts() -> None:
    overall = evaluation_rows({"KL": {"TS_1": judged(9, 0, 0), "TS_2": judged(1, 1, 1)}})[-1]
    assert (overall.tp, overall.fp, overall.fn) == (None, None, None)
    assert (overall.precision, overall.recall, overall.f1) == pytest.approx((0.75, 0.75, 0.75))


def test_a_method_may_lack_a_tomogram() -> None:
    rows = evaluation_rows({"KL": {"TS_1": judged(1, 0, 0)}, "PU": {"TS_2": judged(1, 1, 0)}, "PN": {}})
    assert [(row.tomogram, row.method) for row in rows] == [
        ("TS_1", "KL"), ("TS_2", "PU"), ("Overall", "KL"), ("Overall", "PU"),
    ]  # fmt: skip


def test_the_table_names_a_tomogram_once_and_rounds() -> None:
    rows = evaluation_rows({"KL": {"TS_1": judged(3, 1, 0)}, "PU": {"TS_1": judged(2, 2, 2)}})
    assert evaluation_table(rows) == "\n".join(
        [
            "| Tomogram | Method |  TP |  FP |  FN | Precision | Recall |   F1 |",
            "| -------- | ------ | --: | --: | --: | --------: | -----: | ---: |",
            "| TS_1     | KL     |   3 |   0 |   1 |      1.00 |   0.75 | 0.86 |",
            "|          | PU     |   2 |   2 |   2 |      0.50 |   0.50 | 0.50 |",
            "| Overall  | KL     |   - |   - |   - |      1.00 |   0.75 | 0.86 |",
            "|          | PU     |   - |   - |   - |      0.50 |   0.50 | 0.50 |",
        ]
    )
    assert "| 0.857 |" in evaluation_table(rows, digits=3)


def test_no_rows_are_a_header() -> None:
    assert len(evaluation_table([]).splitlines()) == 2


def test_a_cell_cannot_break_the_table() -> None:
    assert markdown_table(["a"], [["x|y\nz"]]).splitlines()[2] == "| x\\|y z |"
