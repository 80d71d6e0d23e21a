"""Runs are made once, kept, judged without a look at the truth of a test tomogram, and fail one by one."""

import json

import numpy as np
import pytest

from tests.benchmark.conftest import TINY
from tomopicker.benchmark.candidates import read_candidates
from tomopicker.benchmark.dataset import draw_clicks, open_datasets
from tomopicker.benchmark.results import RESULT_FILE, read_result
from tomopicker.benchmark.runs import plan
from tomopicker.cluster.benchmark import run_all
from tomopicker.errors import TomoPickerError
from tomopicker.evaluation.metrics import evaluate
from tomopicker.io import read_picks, write_picks


def run_here(protocol, output, recorder):
    """Do all runs in this process; what is printed is recorder."""
    return run_all(
        protocol,
        open_datasets(protocol),
        output,
        device="cpu",
        callback=recorder,
        on_event=lambda e: recorder.log(e.line),
    )


def test_clicks_are_nested_near_and_inside(mini, tmp_path):
    data = open_datasets(mini.protocol(tmp_path / "p.yaml"))["easy"]
    truth, frame = data.truth["TS_1"], data.training.frame
    five, ten = (draw_clicks(truth, frame, count, 3, 1.5) for count in (5, 10))
    np.testing.assert_array_equal(five.positions, ten.positions[:5])
    assert not np.array_equal(five.positions, draw_clicks(truth, frame, 5, 4, 1.5).positions)
    many = np.concatenate([draw_clicks(truth, frame, 10, seed, 1.5).positions for seed in range(60)])
    distance = np.linalg.norm(many[:, None] - truth.positions, axis=2).min(axis=1) / frame.voxel_size
    assert np.sqrt((distance**2).mean()) == pytest.approx(1.5, rel=0.1)
    far = draw_clicks(truth, frame, len(truth), 0, 60.0).positions / frame.voxel_size
    assert far.min() >= 0
    assert (far <= np.array(frame.shape[::-1]) - 1 + 1e-9).all()


def test_a_run_holds_what_it_was_and_what_it_found(mini, tmp_path, recorder):
    protocol = mini.protocol(tmp_path / "p.yaml", dataset={"validation": "TS_3"})
    (result,) = run_here(protocol, tmp_path, recorder)
    (run,) = plan(protocol)
    written = json.loads((run.folder(tmp_path) / RESULT_FILE).read_text())
    assert written["status"] == "done"
    assert set(written["versions"]) == {"tomopicker", "torch", "numpy", "python", "machine"}
    assert {name: each["role"] for name, each in written["tomograms"].items()} == {
        "TS_1": "training", "TS_2": "test", "TS_3": "validation",
    }  # fmt: skip
    # The figures are those of the candidates above the threshold, judged anew.
    data = open_datasets(protocol)["easy"]
    found = read_candidates(run.folder(tmp_path) / "TS_2.csv", data, "TS_2")
    chosen = found.positions[found.scores > result.thresholds["TS_2"]] / 13.48
    judged = {(each.tolerance, each.method): each for each in result.tomograms["TS_2"].evaluations}
    assert list(judged) == [(10, "one-to-one"), (8, "one-to-one"), (5, "one-to-one"), (10, "paper")]
    anew = evaluate(chosen, None, data.truth["TS_2"].positions / 13.48, 10)
    mine = judged[10, "one-to-one"]
    assert (mine.tp, mine.fp, mine.fn) == (anew.tp, anew.fp, anew.fn)
    assert mine.tp + mine.fn == len(data.truth["TS_2"])
    assert len(found) > len(chosen)
    ranked = evaluate(found.positions / 13.48, found.scores, data.truth["TS_2"].positions / 13.48, 10)
    assert mine.average_precision == pytest.approx(ranked.average_precision, abs=1e-3)


def test_no_threshold_knows_a_test_tomograms_truth(mini, tmp_path, recorder):
    """Other truth there, and all that may change is how the same picks are judged."""
    own = mini.protocol(tmp_path / "p.yaml", methods=["dog", "ball", TINY], dataset={"exclude": ["TS_3"]})
    names = ["TS_1", "TS_2", "TS_3"]
    truth = {name: (mini.folder / "data" / f"{name}.csv").read_text() for name in names}
    for name in names:
        text = truth[name] if name == "TS_1" else "\n".join(truth[name].splitlines()[:3])
        (tmp_path / f"{name}.csv").write_text(text + "\n")
    other = mini.protocol(
        tmp_path / "q.yaml", methods=["dog", "ball", TINY],
        dataset={"truth": str(tmp_path / "{tomogram}.csv"), "exclude": ["TS_3"]},
    )  # fmt: skip
    first = run_here(own, tmp_path / "first", recorder)
    second = run_here(other, tmp_path / "second", recorder)
    for one, two in zip(first, second, strict=True):
        assert one.status == two.status == "done"
        assert one.thresholds == two.thresholds
        assert one.tomograms["TS_2"].evaluations[0].picks == two.tomograms["TS_2"].evaluations[0].picks
        assert one.tomograms["TS_2"].evaluations[0].truth != two.tomograms["TS_2"].evaluations[0].truth


def test_what_is_done_is_skipped_and_what_has_changed_is_not(mini, tmp_path, recorder):
    protocol = mini.protocol(tmp_path / "p.yaml", seeds=[0, 1])
    run_here(protocol, tmp_path, recorder)
    files = [run.folder(tmp_path) / RESULT_FILE for run in plan(protocol)]
    before = [file.stat().st_mtime_ns for file in files]
    run_here(protocol, tmp_path, recorder)
    assert [file.stat().st_mtime_ns for file in files] == before
    assert sum("done before" in line for line in recorder.lines) == 2
    run_here(mini.protocol(tmp_path / "q.yaml", seeds=[0, 1], jitter=0.5), tmp_path, recorder)
    assert all(file.stat().st_mtime_ns > time for file, time in zip(files, before, strict=True))
    assert sum("the protocol has changed" in line for line in recorder.lines) == 2


def test_a_failure_is_recorded_passed_over_and_tried_again(mini, tmp_path, recorder):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in ("TS_1", "TS_2"):
        (folder / f"{name}.csv").write_text((mini.folder / "data" / f"{name}.csv").read_text())
    protocol = mini.protocol(tmp_path / "p.yaml", methods=["dog"], external={"cryolo": str(folder)})
    done, failed = run_here(protocol, tmp_path, recorder)
    assert (done.status, failed.status) == ("done", "failed")
    assert "no file of picks is named after TS_3" in failed.error
    assert read_result(plan(protocol)[1].folder(tmp_path)) == failed
    (folder / "TS_3.csv").write_text("")
    _, mended = run_here(protocol, tmp_path, recorder)
    assert mended.status == "done"
    assert mended.tomograms["TS_2"].evaluations[0].f1 == 1
    assert mended.tomograms["TS_3"].evaluations[0].recall == 0
    assert mended.tomograms["TS_2"].evaluations[0].average_precision is None


@pytest.mark.parametrize("layout", ["relion5", "relion4", "csv", "warp"])
def test_another_programs_picks_in_any_format(mini, tmp_path, recorder, layout):
    """With scores, in a folder of the data set's name."""
    protocol = mini.protocol(tmp_path / "p.yaml", methods=["dog"], external={"theirs": str(tmp_path / "theirs")})
    (tmp_path / "theirs" / "easy").mkdir(parents=True)
    data = open_datasets(protocol)["easy"]
    suffix = "csv" if layout == "csv" else "star"
    for name, tomogram in data.tomograms.items():
        picks = read_picks(mini.folder / "data" / f"{name}.csv", [tomogram])
        scored = type(picks).of(name, picks.positions, np.linspace(1, 2, len(picks)))
        file = tmp_path / "theirs" / "easy" / f"{name}_picks.{suffix}"
        write_picks(scored, {name: tomogram.frame}, file, format=layout)
    result = run_here(protocol, tmp_path, recorder)[1]
    assert result.error is None
    assert [each.evaluations[0].f1 for each in result.tomograms.values()] == [1, 1, 1]
    assert result.tomograms["TS_2"].evaluations[0].average_precision == 1
    assert result.tomograms["TS_2"].evaluations[0].position_error_mean < 0.01


def test_the_ceiling_and_the_paper_are_given_how_many_the_training_tomogram_holds(mini, tmp_path, recorder):
    paper = {"name": "short-paper", "preset": "paper", "settings": {
        "training": {"epochs": 1}, "network": {"channels": [2, 4]}, "precision": "float32"}}  # fmt: skip
    ceiling = {**TINY, "name": "ceiling", "labelled": "all"}
    protocol = mini.protocol(tmp_path / "p.yaml", methods=[TINY, paper, ceiling], dataset={"validation": "TS_3"})
    own, told, every = run_here(protocol, tmp_path, recorder)
    particles = len(open_datasets(protocol)["easy"].truth["TS_1"])
    assert own.facts["settings"]["expected_particles"] is None
    assert told.facts["settings"]["expected_particles"] == particles
    assert every.facts["origin"]["training"][0]["clicks"] == particles
    assert (every.clicks, own.clicks) == (None, 5)
    # Only a learning rate that follows a validation tomogram needs one.
    assert (own.facts["origin"]["validation"], told.facts["origin"]["validation"]) == ([], ["TS_3"])


def test_a_file_that_is_no_result_is_reported(tmp_path):
    (tmp_path / RESULT_FILE).write_text("{}")
    with pytest.raises(TomoPickerError, match="is not a result of this version; remove it"):
        read_result(tmp_path)
