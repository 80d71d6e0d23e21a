"""Counts and expectations: set beside the truth as they were said, and averaged over unseen tomograms alone."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from tests.benchmark.conftest import TINY
from tomopicker.benchmark.dataset import open_datasets
from tomopicker.benchmark.expected import Saying, trust
from tomopicker.benchmark.results import read_candidates, read_result
from tomopicker.benchmark.runs import Bench, plan, run_folder
from tomopicker.benchmark.tables import sayings
from tomopicker.report.benchmark import write_report
from tomopicker.report.expected_tables import saying_table, sayings_csv, trust_table
from tomopicker.report.reliability import Sureness, binned, reliability

SAID = Saying(
    dataset="vpp", method="default-pn", clicks=5, seed=0, tomogram="TS_2", role="test", particles=100,
    expected_particles=110.0, low=90.0, high=130.0, precision=0.9, recall=0.8, f1=0.85,
    expected_precision=0.8, expected_recall=0.9, expected_f1=0.85,
)  # fmt: skip
FOUR = [
    SAID,
    replace(SAID, tomogram="TS_3", particles=200, expected_particles=150.0, low=120.0, high=190.0, expected_f1=0.95),
    replace(SAID, seed=1, expected_particles=115.0, low=100.0, high=130.0, expected_f1=0.75),
    # Trained on: in no average.
    replace(SAID, tomogram="TS_1", role="training", expected_particles=1.0, low=1.0, high=2.0, expected_f1=0.0),
]


def test_trust_is_an_average_over_unseen_tomograms_and_seeds():
    (found,) = trust(FOUR)
    assert found.sayings == 3
    assert found.near == pytest.approx(2 / 3), "110 and 115 of 100 are within 15 %, 150 of 200 is not"
    assert found.holds == pytest.approx(2 / 3), "an end counts as inside"
    assert found.count_bias == pytest.approx((0.1 - 0.25 + 0.15) / 3)
    assert found.count_error == pytest.approx((0.1 + 0.25 + 0.15) / 3)
    assert found.precision_bias == pytest.approx(-0.1)
    assert found.recall_bias == pytest.approx(0.1)
    assert found.f1_bias == pytest.approx(0.0)
    assert found.f1_error == pytest.approx(0.2 / 3)


def test_each_method_and_number_of_clicks_is_judged_by_itself():
    others = [replace(SAID, clicks=20), replace(SAID, method="paper-pn", low=None, high=None)]
    first, more, paper = trust([SAID, *others])
    assert (first.clicks, more.clicks, paper.method) == (5, 20, "paper-pn")
    assert (first.holds, paper.holds) == (1.0, None)


def test_tables_and_csv_say_the_same():
    (row,) = trust_table(trust(FOUR)).rows
    assert row[:7] == ["default-pn", "5", "3", "67%", "67%", "17%", "+0%"]
    assert row[-2:] == ["+0.000", "0.067"]
    by_tomogram = saying_table(FOUR).rows
    assert [line[0] for line in by_tomogram] == ["TS_2", "TS_3", "TS_1 (training)"]
    assert by_tomogram[0][3:7] == ["100", "112 ± 4", "95 to 130", "2 of 2"]
    written = list(csv.DictReader(io.StringIO(sayings_csv(FOUR))))
    assert [line["holds"] for line in written] == ["True", "False", "True", "False"]
    assert float(written[1]["expected_particles"]) == 150


def test_a_network_says_and_a_scorer_does_not(mini, tmp_path, heard):
    protocol = mini.protocol(tmp_path / "p.yaml", methods=["dog", TINY])
    opened = open_datasets(protocol)
    silent, told = Bench(protocol, opened, tmp_path, heard, "cpu").run_all()
    assert all(each.expected is None for each in silent.tomograms.values())
    run = plan(protocol)[1]
    assert read_result(run_folder(tmp_path, run)).tomograms == told.tomograms
    said = {each.tomogram: each for each in sayings([silent, told])}
    assert list(said) == ["TS_1", "TS_2", "TS_3"]
    for name, each in said.items():
        assert each.particles == len(opened["easy"].truth[name])
        assert 0 <= each.low <= each.expected_particles <= each.high
        # Expected of the picks: the mean probability of the candidates above the threshold.
        scores = read_candidates(run_folder(tmp_path, run), opened["easy"], name).scores
        chosen = scores[scores > told.thresholds[name]]
        assert each.expected_precision == pytest.approx(chosen.mean() if len(chosen) else 0.0, abs=1e-3)
        assert each.precision == told.tomograms[name].evaluations[0].precision
    write_report(protocol, opened, tmp_path)
    content = json.loads((tmp_path / "benchmark.json").read_text())
    assert [each["method"] for each in content["counts_and_expectations"]] == ["tiny"]
    assert len(content["expectations"]) == 3
    page = (tmp_path / "benchmark.md").read_text()
    assert "Counts and expectations" in page
    assert "easy_reliability.png" in page


def test_nothing_is_said_of_what_gives_no_probability(mini, tmp_path, heard):
    protocol = mini.protocol(tmp_path / "p.yaml")
    opened = open_datasets(protocol)
    Bench(protocol, opened, tmp_path, heard, "cpu").run_all()
    write_report(protocol, opened, tmp_path)
    page = (tmp_path / "benchmark.html").read_text()
    assert "xpectations" not in page
    assert "reliability" not in page
    assert not (tmp_path / "figures" / "easy_reliability.png").exists()


def test_bins_hold_the_share_that_is_right():
    probability = np.repeat([0.05, 0.55, 0.58, 0.95, 1.0], [10, 20, 20, 8, 2])
    right = np.zeros(60, dtype=bool)
    right[10:20], right[30:35], right[50:] = True, True, True
    points = binned(probability, right)
    np.testing.assert_allclose(points.mean, [0.05, 0.565, 0.96])
    np.testing.assert_allclose(points.share, [0, 15 / 40, 1])
    np.testing.assert_array_equal(points.count, [10, 40, 10])
    # Clopper and Pearson's ends: a share at which so few, or so many, have a chance of 5 %.
    assert binom.cdf(15, 40, points.high[1]) == pytest.approx(0.05)
    assert binom.sf(14, 40, points.low[1]) == pytest.approx(0.05)
    assert (points.low[0], points.high[2]) == (0.0, 1.0)
    assert binom.cdf(0, 10, points.high[0]) == pytest.approx(0.05)


def test_bins_with_hardly_any_candidates_are_left_out():
    assert len(binned(np.array([0.1, 0.2, 0.9]), np.array([False, True, True])).count) == 0


def test_true_probabilities_lie_on_the_diagonal_and_each_tomogram_is_a_point(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.02, 1, 20_000)
    right = rng.uniform(size=20_000) < probability
    drawn = []
    monkeypatch.setattr("tomopicker.report.reliability.save", lambda figure, path: drawn.append(figure))
    sure = [Sureness("default-pn", 5, probability, right), Sureness("default-pn", 20, probability, ~right)]
    sure.append(Sureness("all-labelled", None, probability, right))
    reliability(sure, FOUR[:3], tmp_path / "a.png", "")
    own, ceiling = drawn[0].axes
    honest, wrong = (container.lines[0].get_xydata() for container in own.containers)
    assert np.abs(honest[:, 0] - honest[:, 1]).max() < 0.04
    assert np.abs(wrong[:, 0] - wrong[:, 1]).max() > 0.5
    five, twenty = (line for line in own.lines if line.get_marker() == "D")
    np.testing.assert_allclose(five.get_xydata(), [[0.8, 0.9]] * 3)
    assert len(twenty.get_xydata()) == 0
    assert [own.get_title(), ceiling.get_title()] == ["default-pn", "all-labelled"]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()][:3] == [
        "5 clicks",
        "20 clicks",
        "all labelled",
    ]
