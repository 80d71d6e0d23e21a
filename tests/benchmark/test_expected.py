"""Counts and expected metrics: compared with the truth as they were predicted, averaged over unseen tomograms alone."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from tests.benchmark.conftest import TINY
from tomopicker.benchmark import curves
from tomopicker.benchmark.candidates import read_candidates
from tomopicker.benchmark.curves import Ranked, reliability, reliability_bins
from tomopicker.benchmark.dataset import open_datasets
from tomopicker.benchmark.page import write_report
from tomopicker.benchmark.results import Expected, Result, TomogramResult, read_result
from tomopicker.benchmark.runs import plan
from tomopicker.benchmark.tables import calibration_summary, calibration_table, count_predictions, predictions_table
from tomopicker.cluster.benchmark import run_all
from tomopicker.evaluation.metrics import evaluate

COUNTED = {
    "particles": 100, "expected": 110.0, "low": 90.0, "high": 130.0, "expected_precision": 0.8, "expected_recall": 0.9,
    "expected_f1": 0.85,
}  # fmt: skip


def result(tomograms, seed=0, method="default-pn", clicks=5):
    """A run that counted so in each tomogram; of 10 picks 9 are right, of 20 particles in all."""
    truth = np.arange(20)[:, None] * np.array([100.0, 0, 0])
    metrics = evaluate(np.concatenate([truth[:9], truth[:1] + 50]), None, truth, 10)

    def one(role="test", **changes):
        own = COUNTED | changes
        evaluation = metrics.__class__(**{**vars(metrics), "truth": own["particles"]})
        expected = Expected(
            particles=own["expected"], low=own["low"], high=own["high"],
            precision=own["expected_precision"], recall=own["expected_recall"], f1=own["expected_f1"],
        )  # fmt: skip
        return TomogramResult(role=role, evaluations=(evaluation,), expected=expected)

    return Result(
        dataset="vpp", method=method, clicks=clicks, seed=seed, asked={}, status="done", versions={},
        tomograms={name: one(**changes) for name, changes in tomograms.items()},
    )  # fmt: skip


PRECISION, RECALL, F1 = 0.9, 0.45, 0.6
FOUR = [
    result({
        "TS_2": {}, "TS_3": {"particles": 200, "expected": 150.0, "low": 120.0, "high": 190.0, "expected_f1": 0.95},
    }),
    result({
        "TS_2": {"expected": 115.0, "low": 100.0, "high": 130.0, "expected_f1": 0.75},
        # Trained on: in no average.
        "TS_1": {"role": "training", "expected": 1.0, "low": 1.0, "high": 2.0, "expected_f1": 0.0},
    }, seed=1),
]  # fmt: skip


def test_the_summary_is_an_average_over_unseen_tomograms_and_seeds():
    (found,) = calibration_summary(count_predictions(FOUR)).to_dict("records")
    assert found["predictions"] == 3
    assert found["within_15_percent"] == pytest.approx(2 / 3), "110 and 115 of 100 are within 15%, 150 of 200 is not"
    assert found["covered"] == pytest.approx(2 / 3), "an end counts as inside"
    assert found["count_bias"] == pytest.approx((0.1 - 0.25 + 0.15) / 3)
    assert found["count_error"] == pytest.approx((0.1 + 0.25 + 0.15) / 3)
    assert found["precision_bias"] == pytest.approx(0.8 - PRECISION)
    assert found["recall_bias"] == pytest.approx(0.9 - RECALL)
    assert found["f1_bias"] == pytest.approx((0.85 + 0.95 + 0.75) / 3 - F1)
    assert found["f1_error"] == pytest.approx((0.85 + 0.95 + 0.75) / 3 - F1)


def test_each_method_and_number_of_clicks_has_its_own_row():
    others = [result({"TS_2": {}}, clicks=20), result({"TS_2": {"low": None, "high": None}}, method="paper-pn")]
    summary = calibration_summary(count_predictions([result({"TS_2": {}}), *others]))
    assert summary["clicks"].tolist() == [5, 20, 5]
    assert summary["method"].tolist() == ["default-pn", "default-pn", "paper-pn"]
    assert summary["covered"].tolist()[:2] == [1.0, 1.0]
    assert np.isnan(summary["covered"].iloc[2])


def test_tables_show_the_same():
    predictions = count_predictions(FOUR)
    (row,) = calibration_table(calibration_summary(predictions)).rows
    assert row[:7] == ["default-pn", "5", "3", "67%", "67%", "17%", "+0%"]
    assert row[-2:] == ["+0.250", "0.250"]
    by_tomogram = predictions_table(predictions).rows
    assert [line[0] for line in by_tomogram] == ["TS_2", "TS_3", "TS_1 (training)"]
    assert by_tomogram[0][3:7] == ["100", "112 ± 4", "95 to 130", "2 of 2"]
    assert predictions["covered"].tolist() == [True, False, True, False]
    without = count_predictions([result({"TS_2": {"low": None, "high": None}})])
    assert predictions_table(without).rows[0][5:7] == ["-", "-"]


def test_a_network_has_expectations_and_an_untrained_method_has_none(mini, tmp_path, recorder):
    protocol = mini.protocol(tmp_path / "p.yaml", methods=["dog", TINY])
    opened = open_datasets(protocol)
    untrained, network = run_all(protocol, opened, tmp_path, device="cpu", callback=recorder)
    assert all(each.expected is None for each in untrained.tomograms.values())
    run = plan(protocol)[1]
    assert read_result(run.folder(tmp_path)).tomograms == network.tomograms
    predictions = count_predictions([untrained, network]).set_index("tomogram")
    assert list(predictions.index) == ["TS_1", "TS_2", "TS_3"]
    for name, each in predictions.iterrows():
        assert each["particles"] == len(opened["easy"].truth[name])
        assert 0 <= each["low"] <= each["expected_particles"] <= each["high"]
        # Expected of the picks: the mean probability of the candidates above the threshold.
        scores = read_candidates(run.folder(tmp_path) / f"{name}.csv", opened["easy"], name).scores
        chosen = scores[scores > network.thresholds[name]]
        assert each["expected_precision"] == pytest.approx(chosen.mean() if len(chosen) else 0.0, abs=1e-3)
        assert each["precision"] == network.tomograms[name].evaluations[0].precision
    write_report(protocol, opened, tmp_path)
    content = json.loads((tmp_path / "benchmark.json").read_text())
    assert [each["method"] for each in content["counts_and_expectations"]] == ["tiny"]
    assert len(content["expectations"]) == len(pd.read_csv(tmp_path / "expectations.csv")) == 3
    page = (tmp_path / "benchmark.md").read_text()
    assert "Counts and expectations" in page
    assert "easy_reliability.png" in page
    # Without the network nothing is expected.
    scorer = protocol.model_copy(update={"methods": protocol.methods[:1]})
    (tmp_path / "figures" / "easy_reliability.png").unlink()
    write_report(scorer, opened, tmp_path)
    page = (tmp_path / "benchmark.html").read_text()
    assert "xpectations" not in page
    assert "reliability" not in page
    assert not (tmp_path / "figures" / "easy_reliability.png").exists()


def test_bins_hold_the_share_that_is_correct():
    probability = np.repeat([0.05, 0.55, 0.58, 0.95, 1.0], [10, 20, 20, 8, 2])
    correct = np.zeros(60, dtype=bool)
    correct[10:20], correct[30:35], correct[50:] = True, True, True
    bins = reliability_bins(probability, correct)
    np.testing.assert_allclose(bins["probability"], [0.05, 0.565, 0.96])
    np.testing.assert_allclose(bins["share"], [0, 15 / 40, 1])
    np.testing.assert_array_equal(bins["count"], [10, 40, 10])
    # Clopper and Pearson's ends: a share at which so few, or so many, have a chance of 5%.
    low, high = bins["low"].to_numpy(), bins["high"].to_numpy()
    assert binom.cdf(15, 40, high[1]) == pytest.approx(0.05)
    assert binom.sf(14, 40, low[1]) == pytest.approx(0.05)
    assert (low[0], high[2]) == (0.0, 1.0)
    assert binom.cdf(0, 10, high[0]) == pytest.approx(0.05)


def test_bins_with_hardly_any_candidates_are_left_out():
    assert len(reliability_bins(np.array([0.1, 0.2, 0.9]), np.array([False, True, True]))) == 0


def test_true_probabilities_lie_on_the_diagonal_and_each_tomogram_is_a_point(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.02, 1, 20_000)
    correct = rng.uniform(size=20_000) < probability
    drawn = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, *_: drawn.append(figure))
    runs = [
        Ranked(method, clicks, probability, hits, probability > 0.5, 20_000)
        for method, clicks, hits in (
            ("default-pn", 5, correct), ("default-pn", 20, ~correct), ("all-labelled", None, correct)
        )
    ]  # fmt: skip
    reliability(runs, count_predictions(FOUR[:1]), tmp_path / "a.png", "")
    own, bound = drawn[0].axes
    honest, wrong = (container.lines[0].get_xydata() for container in own.containers)
    assert np.abs(honest[:, 0] - honest[:, 1]).max() < 0.04
    assert np.abs(wrong[:, 0] - wrong[:, 1]).max() > 0.5
    five, twenty = (line for line in own.lines if line.get_marker() == "D")
    np.testing.assert_allclose(five.get_xydata(), [[0.8, PRECISION]] * 2)
    assert len(twenty.get_xydata()) == 0
    assert [own.get_title(), bound.get_title()] == ["default-pn", "all-labelled"]
    texts = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert texts[:3] == ["5 clicks", "20 clicks", "all labelled"]
