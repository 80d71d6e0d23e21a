"""What a run leaves behind to be read: summary, status, and merged files that cost little however many they are."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tomopicker.cluster.journal import Journal, status_lines
from tomopicker.cluster.work import Event
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io import read_picks, write_picks
from tomopicker.output.layout import write_entry
from tomopicker.output.lock import locked
from tomopicker.output.merged import merge
from tomopicker.output.summary import summarise
from tomopicker.picks import Picks

FRAME = Frame((40, 60, 50), 10.0)


def entry(picks, score=0.8, specimen=0.6):
    return {"status": "done", "picks": picks, "score_median": score, "specimen_fraction": specimen, "seconds": 2.0}


def test_tomograms_unlike_the_rest_are_named_with_the_reason():
    usual = {f"TS_{i}": entry(100 + i) for i in range(20)}
    odd = {"empty": entry(0, None), "poor": entry(105, 0.3), "thin": entry(104, 0.8, 0.05)}
    summary = summarise((usual | odd | {"bad": {"status": "failed"}}).items())
    assert (summary.done, summary.failed) == (23, 1)
    assert summary.medians["picks"] == pytest.approx(107, abs=3)
    why = {outlier.tomogram: outlier.why for outlier in summary.outliers}
    assert why.keys() == odd.keys()
    assert why["empty"].startswith("0 picks where the median is 10")
    assert "a median score of 0.30 where the median is 0.80" in why["poor"]
    assert "specimen in 5% of the volume where the median is 60%" in why["thin"]
    assert summarise(list(usual.items())[:4]).outliers == []
    two_sorts = {f"TS_{i}": entry(100, 0.9 if i % 5 < 3 else 0.5) for i in range(40)}
    assert summarise(two_sorts.items()).outliers == []


def test_status_while_it_runs_afterwards_and_after_a_death(tmp_path):
    with pytest.raises(TomoPickerError, match="no picks and no run"):
        status_lines(tmp_path)
    with locked(tmp_path), Journal(tmp_path, 10, "in one process") as journal:
        journal.write(Event("started", "TS_1", "", worker="n1:5"))
        journal.write(Event("done", "TS_1", "TS_1: 3 picks", seconds=4.0, workers=2))
        journal.write(Event("failed", "TS_2", "TS_2.mrc: is cut short"))
        write_entry(tmp_path, "TS_2", {"status": "failed", "error": "TS_2.mrc: is cut short"})
        journal._written = 0
        journal.write(Event("started", "TS_3", "", worker="n1:5", workers=2))
        lines = status_lines(tmp_path)
        assert lines[0].startswith(f"Running, in one process, by process {os.getpid()}")
        assert lines[1] == "2 of 10 tomograms: 1 done, 1 failed, 1 running."
        assert "with 2 workers, it ends in" in lines[2] and lines[3].startswith("  TS_3: for 0 s on n1:5")
        assert lines[-1] == "  TS_2.mrc: is cut short"
        killed = (tmp_path / "run.json").read_bytes()
    assert status_lines(tmp_path)[0].startswith("Finished after 0 s")
    (tmp_path / "run.json").write_bytes(killed)
    assert "is no more; repeat its command" in status_lines(tmp_path)[0]
    log = (tmp_path / "pick.log").read_text(encoding="utf-8")
    assert "done: TS_1: 3 picks" in log and "failed: TS_2.mrc: is cut short" in log


def filled(folder, names, star_format, frames, extra=0):
    for i, name in enumerate(names):
        positions = np.array([[60.0 * i, 120.0, 60.0 + 60.0 * (j % 5)] for j in range(2 + extra)])
        picks = Picks.of(name, positions, np.linspace(0.9, 0.3, 2 + extra))
        write_picks(picks, frames, folder / f"{name}.csv", "csv")
        write_picks(picks, frames, folder / f"{name}.star", star_format)


@pytest.mark.parametrize("star_format", ["relion5", "relion4", "relion3", "warp"])
@pytest.mark.parametrize("kind", ["alike", "two pixel sizes", "names that clash"])
def test_merged_files_are_those_of_all_picks_in_one_list(tmp_path, star_format, kind):
    names = ["TS_1", "rec_TS_1"] if kind == "names that clash" else ["TS_1", "TS_2", "TS_3"]
    frames = {name: FRAME for name in names}
    if kind == "two pixel sizes":
        frames["TS_2"] = Frame((40, 60, 50), 12.0)
    filled(tmp_path, names, star_format, frames)
    merge(tmp_path, frames, {"": dict.fromkeys(names, 2) | {"none": 0}}, star_format)
    parts = Picks.concatenate([read_picks(tmp_path / f"{name}.csv", {name: frames[name]}) for name in names])
    for suffix, format in ((".csv", "csv"), (".star", star_format)):
        write_picks(parts, frames, tmp_path / f"expected{suffix}", format)
        got, expected = (
            [line for line in (tmp_path / f"{stem}{suffix}").read_text().split("\n") if line and line[0] != "#"]
            for stem in ("picks", "expected")
        )
        assert got == expected


def test_an_optimisation_set_joins_picks_and_project(tmp_path):
    filled(tmp_path, ["TS_1"], "relion5", {"TS_1": FRAME})
    project = tmp_path / "tomograms.star"
    merge(tmp_path, {"TS_1": FRAME}, {"": {"TS_1": 2}}, "relion5", project)
    text = (tmp_path / "optimisation_set.star").read_text(encoding="utf-8")
    assert str(project) in text and str(tmp_path / "picks.star") in text


MERGE = """
import resource, sys, time
from pathlib import Path
from tests.cluster.test_records import FRAME, merge
folder, names = Path(sys.argv[1]), sys.argv[2].split()
frames = dict.fromkeys(names, FRAME)
merge(folder, frames, {"": dict.fromkeys(names[:3], 2)}, "relion5")  # What it imports and caches is there now.
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
merge(folder, frames, {"": dict.fromkeys(names, 2)}, "relion5")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - began)
"""


def test_a_thousand_tomograms_cost_seconds_and_little_memory(tmp_path):
    """Merging 202,000 picks of a thousand tomograms takes less memory than a tenth of what is written."""
    names = [f"TS_{i:04d}" for i in range(1000)]
    filled(tmp_path, names[:1], "relion5", {names[0]: FRAME}, 200)
    texts = {suffix: (tmp_path / f"TS_0000{suffix}").read_text() for suffix in (".csv", ".star")}
    for name in names[1:]:
        for suffix, text in texts.items():
            (tmp_path / f"{name}{suffix}").write_text(text.replace("TS_0000", name))
    # In a process of its own: what other tests left running here takes memory as well.
    found = subprocess.run(
        [sys.executable, "-c", MERGE, tmp_path, " ".join(names)],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    kilobytes, seconds = map(float, found.stdout.split())
    written = [(tmp_path / f"picks{suffix}").stat().st_size for suffix in (".csv", ".star")]
    assert (tmp_path / "picks.csv").read_text().count("\n") - 1 == 202_000
    assert kilobytes < sum(written) / 10 / 1024
    assert seconds < 10
