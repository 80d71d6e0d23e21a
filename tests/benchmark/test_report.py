"""Rows, tables, pages and figures say what the results say."""

import csv
import json
import re
import statistics

import numpy as np
import pandas as pd
import pytest

from tests.benchmark.conftest import TINY
from tomopicker.benchmark import candidates, curves
from tomopicker.benchmark.candidates import Predictions, ball_candidates
from tomopicker.benchmark.curves import Ranked, method_colours, precision_recall, score_histograms
from tomopicker.benchmark.dataset import open_datasets
from tomopicker.benchmark.page import Section, html_page, markdown_page, write_report
from tomopicker.benchmark.results import Expected, Result, TomogramResult
from tomopicker.benchmark.tables import ALL, UNSEEN, Table, metrics_table, paper_table, summary_table
from tomopicker.cluster.benchmark import run_all
from tomopicker.evaluation.metrics import evaluate, ranked_hits
from tomopicker.picks import Picks


def evaluation(right, wrong, missed):
    """What that many right, wrong and missed picks give."""
    truth = np.arange(right + missed)[:, None] * np.array([100.0, 0, 0])
    picks = np.concatenate([truth[:right], np.arange(wrong)[:, None] * np.array([0, 100.0, 0]) + [0, 50, 0]])
    return evaluate(picks, None, truth, 10)


def result(seed, **tomograms):
    roles = {"TS_1": "training", "TS_2": "validation"}
    return Result(
        dataset="vpp", method="dog", clicks=5, seed=seed, asked={}, status="done", versions={}, seconds=60.0 * seed,
        tomograms={
            name: TomogramResult(role=roles.get(name, "test"), evaluations=(evaluation(*counts),))
            for name, counts in tomograms.items()
        },
    )  # fmt: skip


@pytest.fixture
def metrics():
    return metrics_table([
        result(1, TS_1=(10, 0, 0), TS_2=(5, 5, 5), TS_3=(4, 4, 4), TS_4=(6, 0, 2)),
        result(2, TS_1=(10, 0, 0), TS_2=(5, 5, 5), TS_3=(8, 0, 0), TS_4=(6, 2, 2)),
    ])  # fmt: skip


def test_a_mean_of_the_unseen_leaves_out_training_and_validation(metrics):
    by_name = metrics.set_index("tomogram")
    assert list(by_name.index) == ["TS_1", "TS_2", "TS_3", "TS_4", ALL, UNSEEN]
    one, two = statistics.fmean([0.5, 12 / 14]), statistics.fmean([1.0, 0.75])
    assert by_name.loc[UNSEEN, "f1"] == pytest.approx((one + two) / 2)
    assert by_name.loc[UNSEEN, "f1_sd"] == pytest.approx(abs(one - two) / 2**0.5)
    overall = [statistics.fmean([1, 0.5, 0.5, 12 / 14]), statistics.fmean([1, 0.5, 1, 0.75])]
    assert by_name.loc[ALL, "f1"] == pytest.approx(statistics.fmean(overall))
    assert by_name.loc["TS_3", "tp_sd"] == pytest.approx(8**0.5)
    assert by_name.loc["TS_3", "seeds"] == "1 2"
    assert by_name.loc["TS_3", "seconds"] == 90


def test_one_seed_has_no_deviation_and_a_missing_figure_no_mean():
    one = result(1, TS_1=(1, 0, 0), TS_3=(2, 0, 1))
    row = metrics_table([one]).set_index("tomogram").loc["TS_3"]
    assert row["recall"] == pytest.approx(2 / 3)
    assert np.isnan(row["recall_sd"])
    none_found = result(2, TS_1=(1, 0, 0), TS_3=(0, 0, 3))  # No position error without a match.
    row = metrics_table([one, none_found]).set_index("tomogram").loc["TS_3"]
    assert row["recall"] == pytest.approx(1 / 3)
    assert row["recall_sd"] > 0
    assert np.isnan(row["position_error_mean"]) and np.isnan(row["position_error_mean_sd"])


def test_a_failed_run_counts_in_no_row():
    failed = Result(dataset="vpp", method="dog", clicks=5, seed=3, asked={}, status="failed", error="x", versions={})
    good = result(1, TS_1=(1, 0, 0), TS_3=(1, 0, 0))
    assert metrics_table([good, failed]).equals(metrics_table([good]))
    assert len(metrics_table([failed])) == 0


def test_the_papers_table(metrics):
    table = paper_table(metrics)
    assert table.header == ["Tomogram", "Method", "TP", "FP", "FN", "Precision", "Recall", "F1"]
    assert table.rows[0] == ["TS_1 (training)", "dog", "10 ± 0", "0 ± 0", "0 ± 0", *["1.00 ± 0.00"] * 3]
    assert [row[0] for row in table.rows] == [
        "TS_1 (training)", "TS_2 (validation)", "TS_3", "TS_4", ALL, UNSEEN,
    ]  # fmt: skip
    assert table.rows[-1][2:5] == ["-", "-", "-"]


def quick_network(method, data, clicks, *_):
    """In place of a training: the peaks of a ball, with probabilities."""
    picks = {}
    for name, tomogram in data.tomograms.items():
        found = ball_candidates(tomogram, 300.0)
        picks[name] = Picks(found.positions, found.tomograms, np.clip(found.scores, 0.01, 0.99))
    expected = Expected(particles=10, low=8, high=12, precision=0.9, recall=0.8, f1=0.85)
    return Predictions(picks, dict.fromkeys(picks, 0.3), dict.fromkeys(picks, expected)), {}


@pytest.fixture(scope="module")
def reported(mini, tmp_path_factory):
    """A whole small benchmark: a network, a scorer, another program, and a run that fails."""
    output = tmp_path_factory.mktemp("out")
    theirs = output / "theirs"
    theirs.mkdir()
    for name in ("TS_1", "TS_2", "TS_3"):
        (theirs / f"{name}.csv").write_text((mini.folder / "data" / f"{name}.csv").read_text())
    (output / "empty").mkdir()
    protocol = mini.protocol(
        output / "p.yaml", name="Small & quick", methods=["dog", TINY], clicks=[4, 8], seeds=[0, 1],
        external={"deepetpicker": str(theirs), "cryolo": str(output / "empty")},
    )  # fmt: skip
    opened = open_datasets(protocol)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "train_and_pick", quick_network)
        run_all(protocol, opened, output, device="cpu")
    write_report(protocol, opened, output)
    return protocol, opened, output


def test_csv_and_json_hold_every_figure(reported):
    _, _, output = reported
    with (output / "benchmark.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    content = json.loads((output / "benchmark.json").read_text())
    # 2 methods × 2 numbers of clicks and 1 external, 4 ways to judge, 3 tomograms and 2 means.
    assert len(rows) == len(content["rows"]) == 5 * 4 * 5
    assert {row["tomogram"] for row in rows} == {"TS_1", "TS_2", "TS_3", ALL, UNSEEN}
    theirs = [row for row in rows if row["method"] == "deepetpicker" and row["tomogram"] == UNSEEN]
    assert [float(row["f1"]) for row in theirs] == [1, 1, 1, 1]
    assert "no file of picks" in content["failed"]["easy/cryolo/as-given"]


def test_pages_show_tables_and_name_figures_that_are_there(reported):
    _, _, output = reported
    markdown, html = ((output / f"benchmark.{suffix}").read_text() for suffix in ("md", "html"))
    assert markdown.startswith("# Small & quick\n")
    assert "<h1>Small &amp; quick</h1>" in html
    files = re.findall(r"\]\((figures/[^)]+)\)", markdown)
    assert files == re.findall(r'<img src="([^"]+)"', html)
    assert set(files) == {str(path.relative_to(output)) for path in (output / "figures").iterdir()}
    assert len(files) == 4 + 3
    for file in files:
        assert (output / file).read_bytes().startswith(b"\x89PNG")
    for words in (
        "Mean of the unseen",
        "4 clicks: tomogram by tomogram",
        "8 clicks: tomogram by",
        "easy/cryolo/as-given",
    ):
        assert words in markdown
        assert words in html


def test_a_report_of_a_part_is_of_that_part(reported, tmp_path):
    protocol, opened, output = reported
    (tmp_path / "runs").symlink_to(output / "runs")
    write_report(protocol.model_copy(update={"clicks": (4,), "external": {}}), opened, tmp_path)
    text = (tmp_path / "benchmark.md").read_text()
    assert "4 clicks: tomogram" in text
    assert "8 clicks" not in text
    assert "Failed" not in text


def test_the_summary_has_each_tolerance_and_the_papers_match(reported):
    _, _, output = reported
    with (output / "benchmark.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["method"] == "dog" and row["tomogram"] == UNSEEN]
    text = (output / "benchmark.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| dog") and "|      4 |" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    wanted = {(row["tolerance_voxels"], row["matching"]): float(row["f1"]) for row in rows if row["clicks"] == "4"}
    keys = [("10.0", "one-to-one"), ("8.0", "one-to-one"), ("5.0", "one-to-one"), ("10.0", "paper")]
    assert [cell.split(" ")[0] for cell in cells[5:9]] == [f"{wanted[key]:.3f}" for key in keys]


def test_nothing_but_means_of_the_unseen_is_in_the_summary(metrics):
    assert len(summary_table(pd.concat([metrics, metrics.assign(matching="paper")])).rows) == 1


def test_html_escapes_and_markdown_keeps_tables_whole():
    sections = [Section("A <b>", ["1 < 2"], [("", Table(["x", "y"], [["<i>", "a|b"]], 1))])]
    html = html_page("T", sections)
    assert "<b>" not in html
    assert "&lt;i&gt;" in html
    assert "a\\|b" in markdown_page("T", sections)


def test_curves_go_through_the_operating_point(tmp_path, monkeypatch):
    run = Ranked("dog", 5, np.array([3.0, 1.0, 2.0]), np.array([True, True, False]), np.array([True, False, True]), 4)
    drawn = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, *_: drawn.append(figure))
    precision_recall([run], {"dog": "k"}, tmp_path / "a.png", "")
    curve, dot = drawn[0].axes[0].lines
    np.testing.assert_allclose(curve.get_xydata(), [[0.25, 1], [0.25, 0.5], [0.5, 2 / 3]])
    np.testing.assert_allclose(dot.get_xydata(), [[0.25, 0.5]])
    score_histograms([run], tmp_path / "b.png", "")
    heights = [patch.get_height() for patch in drawn[1].axes[0].patches]
    assert sum(heights) == 3


def test_hits_are_those_of_average_precision():
    truth = np.array([[0.0, 0, 0], [50, 0, 0]])
    picks = np.array([[1.0, 0, 0], [0, 0, 0], [51, 0, 0], [200, 0, 0]])
    np.testing.assert_array_equal(ranked_hits(picks, np.array([1.0, 2, 3, 4]), truth, 5), [False, True, True, False])


def test_each_method_has_a_colour_of_its_own(mini, tmp_path):
    networks = [{"name": f"n{number}"} for number in range(5)]
    methods = ["dog", "ball", "default-pn", "default-pu", "default-kl", "paper-kl", "all-labelled", *networks]
    protocol = mini.protocol(tmp_path / "p.yaml", methods=methods, external={"deepetpicker": "a", "cryolo": "b"})
    colours = method_colours(protocol.rows)
    assert len(set(colours.values())) == len(methods) + 2
