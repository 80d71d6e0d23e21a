"""Instant picks, jobs, review and files: what goes on beside the clicks."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import VOXEL_SIZE
from tests.studio.conftest import act, wait_for, write_pick_folder
from tomopicker import io
from tomopicker.errors import UsageError
from tomopicker.output.record import digest
from tomopicker.output.summary import unusual
from tomopicker.picks import Picks
from tomopicker.studio import jobs as jobs_module
from tomopicker.studio.exchange import PROGRAMS
from tomopicker.studio.jobs import Jobs, worker_arguments

KIND = {"kind": "ball"}


def opened(client, name="TS_1"):
    answer = client.get("/api/tomogram", params={"name": name, "volume": "raw", "slab": 50, "kind": "ball"})
    assert answer.status_code == 200
    return answer.json()


def picks_of(client, name="TS_1"):
    return client.get("/api/picks", params=KIND | {"tomogram": name}).json()


# ---- instant picks


def test_picks_follow_the_first_click(client, balls_world, engine):
    told = opened(client)
    assert (told["shape"], told["voxelSize"]) == ([32, 56, 48], VOXEL_SIZE)
    wait_for(lambda: picks_of(client)["features"] == "ready")
    assert picks_of(client)["candidates"] == []
    act(client, [tuple(balls_world.truth["TS_1"][0])])
    found = wait_for(lambda: (told := picks_of(client))["candidates"] and told)
    np.testing.assert_allclose(np.array(found["candidates"])[:, :3], balls_world.truth["TS_1"], atol=0.01)
    assert found["count"] == [8, 6, 11] and found["threshold"] == 0.5
    act(client, [(10, 10, 10, "negative")])
    wait_for(lambda: engine.calls[-1] == (1, 1))


def test_clicks_in_another_tomogram_pick_here_too(client, balls_world):
    for name in ("TS_1", "TS_2"):
        opened(client, name)
        wait_for(lambda name=name: picks_of(client, name)["features"] == "ready")
    act(client, [tuple(balls_world.truth["TS_1"][0])])
    wait_for(lambda: picks_of(client, "TS_2")["candidates"])


def test_a_short_list_is_picked_whole_from_one_click(client, balls_world):
    """Nobody has opened the second tomogram."""
    act(client, [tuple(balls_world.truth["TS_1"][0])])
    wait_for(lambda: {row["source"] for row in client.get("/api/list", params=KIND).json()} == {"instant"})


def test_features_of_tomograms_not_used_for_long_are_forgotten(studio, client, balls_world, monkeypatch):
    monkeypatch.setattr("tomopicker.studio.instant.MAX_FEATURES", 1)
    act(client, [tuple(balls_world.truth["TS_2"][0])], tomogram="TS_2")
    wait_for(lambda: picks_of(client, "TS_2")["candidates"])
    wait_for(lambda: list(studio.instant.features) == [("TS_1", 100.0)])
    opened(client, "TS_2")
    wait_for(lambda: ("TS_2", 100.0) in studio.instant.features and len(studio.instant.features) == 1)


def test_what_fails_is_reported(client, engine, monkeypatch):
    def broken(*arguments):
        raise MemoryError

    monkeypatch.setattr(engine, "features", broken)
    opened(client)
    told = wait_for(lambda: (answer := picks_of(client))["features"] == "failed" and answer)
    assert "out of memory" in told["trouble"]


def test_suggestions_leave_out_what_is_known(client, balls_world):
    opened(client)
    wait_for(lambda: picks_of(client)["features"] == "ready")
    first = client.get("/api/suggest", params=KIND | {"count": 3}).json()
    assert len(first) == 3 and first[0]["reason"]
    act(client, [tuple(first[0]["position"])])
    assert first[0] not in client.get("/api/suggest", params=KIND | {"count": 3}).json()


def test_events_tell_pages(studio, client, balls_world):
    told = []
    studio.events.send = lambda name, **content: told.append((name, content))
    opened(client)
    act(client, [tuple(balls_world.truth["TS_1"][0])])
    wait_for(lambda: {"points", "picks"} <= {name for name, _ in told})
    wait_for(lambda: any(content.get("state") == "ready" for _, content in told))
    told = [content for name, content in told if name == "features" and content["tomogram"] == "TS_1"]
    computing = [content for content in told if content["state"] == "computing"]
    assert [content["done"] for content in computing] == [1, 2, 3] and computing[0]["total"] == 3


# ---- the check, the mean and the list


def test_the_mean_and_the_check(client, balls_world):
    assert client.get("/api/mean", params=KIND).status_code == 204
    act(client, [tuple(place) for place in balls_world.truth["TS_1"][:6]])
    mean = client.get("/api/mean", params=KIND)
    assert mean.headers["x-particles"] == "6" and mean.content[:2] == b"\xff\xd8"
    findings = client.get("/api/check", params=KIND).json()
    assert {"contrast", "positions"} & {finding["test"] for finding in findings} or len(findings) > 3
    assert not [finding for finding in findings if finding["status"] == "FAIL"]


def test_the_list_counts_and_notes(client, balls_world):
    act(client, [tuple(place) for place in balls_world.truth["TS_2"][:3]], tomogram="TS_2")
    client.post("/api/note", json={"tomogram": "TS_2", "note": "ice", "reviewed": True})
    rows = client.get("/api/list", params=KIND).json()
    assert [row["clicks"] for row in rows] == [0, 3]
    assert (rows[1]["note"], rows[1]["reviewed"], rows[0]["note"]) == ("ice", True, "")


def test_unusual_counts():
    assert unusual([100, 103, 95, 110, 99, 400]).tolist() == [False] * 5 + [True]
    assert not unusual([100, 103, 95, 110, 99, 130]).any()
    assert not unusual([1, 500, 3]).any(), "three say nothing"
    assert unusual([5, 6, float("nan"), 4, 6, 60]).tolist() == [False] * 5 + [True]


# ---- files of other programs


def test_instant_picks_are_saved_as_they_are_shown(client, balls_world):
    """Of all tomograms, above the threshold that the person chose, with what was clicked and without the rejected."""
    first, second = (tuple(place) for place in balls_world.truth["TS_1"][:2])
    act(client, [first, (*second, "negative")])
    client.get("/api/picks", params=KIND | {"tomogram": "TS_1"})
    client.get("/api/picks", params=KIND | {"tomogram": "TS_2"})

    def shown():
        return client.get("/api/picks", params=KIND | {"tomogram": "TS_1"}).json()

    wait_for(lambda: shown()["elsewhere"] == {"tomograms": 1, "done": 1, "picks": 5} and shown()["candidates"])
    asked = KIND | {"program": "relion5", "source": "instant"}
    assert client.post("/api/save", json=asked).json()["picks"] == 5 + 5 - 1
    assert client.post("/api/save", json=asked | {"threshold": 0.8}).json()["picks"] == 2 + 2 - 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_saved_files_give_the_clicks_again(client, studio, balls_world, program):
    places = {name: balls_world.truth[name][:3] for name in ("TS_1", "TS_2")}
    for name, rows in places.items():
        act(client, [tuple(row) for row in rows], tomogram=name)
    told = client.post("/api/save", json=KIND | {"program": program, "source": "clicks"}).json()
    assert told["picks"] == 6 and told["advice"]
    frames = {name: studio.listing.frame(name) for name in places}
    listed = [file for file in told["files"] if PROGRAMS[program].suffix or "import" not in file]
    assert all(str(studio.project.folder) in file for file in told["files"])
    back = Picks.concatenate(io.read_picks(file, frames) for file in listed)
    for name, rows in places.items():
        np.testing.assert_allclose(back.in_tomogram(name).positions, rows, atol=0.1)
    if program == "relion5":
        assert io.read_picks(told["files"][0], frames).tomogram_names == list(places)


def test_a_file_of_another_program_is_opened(client, studio, balls_world, tmp_path):
    frames = {name: studio.listing.frame(name) for name in ("TS_1", "TS_2")}
    picks = Picks.concatenate(Picks.of(name, balls_world.truth[name][:4]) for name in frames)
    path = tmp_path / "their picks.star"
    io.write_picks(picks, frames, path, "warp")
    told = client.post("/api/open", params=KIND | {"file": "../../their picks.star"}, content=path.read_bytes()).json()
    assert told["added"] == {"TS_1": 4, "TS_2": 4}
    points = client.get("/api/points", params=KIND | {"tomogram": "TS_2"}).json()["points"]
    assert {point["origin"] for point in points} == {"their picks.star"}
    refused = client.post("/api/open", params=KIND | {"file": "a.star"}, content=b"\x00\x01 nothing")
    assert refused.status_code == 422 and "a.star" in refused.json()["error"] and "/tmp" not in refused.json()["error"]


# ---- jobs


@pytest.fixture
def small_jobs(tmp_path, monkeypatch):
    """Jobs of Python in place of the command line."""
    monkeypatch.setattr(jobs_module, "COMMAND", (sys.executable, "-u", "-c"))
    return Jobs(tmp_path / "jobs")


def test_a_job_ends_and_reports_how(small_jobs):
    good = small_jobs.start("Good", "ball", ["print('train: 3 of 10, loss 0.5')"])
    bad = small_jobs.start("Bad", "ball", ["raise SystemExit(3)"])
    wait_for(lambda: good.state == "done" and bad.state == "failed")
    told = good.to_json()
    assert told["progress"] == {"title": "train", "done": 3, "total": 10, "words": "loss 0.5"}
    assert [job.request["title"] for job in small_jobs.all()].count("Good") == 1


def test_a_job_is_stopped_and_its_children_too(small_jobs):
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('child', child.pid, flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    raise SystemExit(130)\n"
    )
    job = small_jobs.start("Long", "ball", [code])
    wait_for(lambda: "child" in job.log)
    assert job.state == "running"
    child = int(job.log.split()[1])
    assert not job.to_json()["stopping"]
    job.stop()
    assert job.to_json()["stopping"]
    wait_for(lambda: job.state == "stopped")

    def gone():
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state == "Z"

    wait_for(gone)


def test_a_job_outlives_whoever_started_it(small_jobs, tmp_path):
    """Its state is on the disk: another process that opens the project sees it, and can stop it."""
    code = (
        "import sys; from pathlib import Path; from tomopicker.studio import jobs;"
        "jobs.COMMAND = (sys.executable, '-u', '-c');"
        f"job = jobs.Jobs(Path({str(small_jobs.folder)!r})).start('Long', 'ball', ['import time; time.sleep(60)']);"
        "print(job.folder.name)"
    )
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    job = small_jobs.get(name)
    assert job.state == "running"
    job.stop()
    wait_for(lambda: job.state == "stopped")


def test_a_job_whose_process_vanished_is_lost(small_jobs):
    job = small_jobs.start("Long", "ball", ["import time; time.sleep(60)"])
    wait_for(lambda: job.state == "running")
    number = int((job.folder / "pid").read_text().split()[0])
    os.killpg(number, signal.SIGKILL)
    wait_for(lambda: job.state == "lost")


@pytest.fixture
def asked(monkeypatch):
    """Record the arguments of the jobs that start; each prints the version alone."""
    recorded, real = [], Jobs.start

    def start(self, title, kind, arguments):
        recorded.append(arguments)
        return real(self, title, kind, ["--version"])

    monkeypatch.setattr(Jobs, "start", start)
    return recorded


def test_what_a_job_is_asked(client, studio, balls_world, asked):
    assert client.post("/api/start", json=KIND | {"what": "train"}).status_code == 400
    assert client.post("/api/start", json=KIND | {"what": "pick"}).status_code == 400
    assert client.post("/api/start", json=KIND | {"what": "rm -rf"}).status_code == 400
    client.post("/api/kind", json={"name": "ring", "diameter": 80})
    act(client, [tuple(balls_world.truth["TS_1"][0]), (10, 10, 10, "negative")])
    act(client, [tuple(balls_world.truth["TS_1"][1])], kind="ring")
    assert client.post("/api/start", json=KIND | {"what": "train", "preset": "best; rm"}).status_code == 400
    assert client.post("/api/start", json=KIND | {"what": "train", "preset": "best"}).status_code == 200
    (arguments,) = asked
    folder = studio.project.folder.absolute()
    assert arguments[:2] == ["train", str(balls_world.file("TS_1"))]
    negatives = [arguments[i + 1] for i, part in enumerate(arguments) if part == "--negatives"]
    assert negatives == [str(folder / "rejected/ball/TS_1.csv"), str(folder / "clicks/ring/TS_1.csv")]
    assert arguments[arguments.index("--particle-diameter") + 1] == "100"


def test_picking_goes_on_with_the_same_model_and_settings_only(client, studio, balls_world, asked):
    def pressed():
        assert client.post("/api/start", json=KIND | {"what": "pick", "workers": 1}).status_code == 200
        wait_for(lambda: all(job.state != "running" for job in studio.jobs.all()))
        return {"--overwrite", "--retry-failed"} & set(asked[-1])

    model, folder = studio.project.folder / "models/ball.model", studio.reviews.path("ball")
    model.parent.mkdir()
    model.write_bytes(b"a network")
    assert pressed() == {"--overwrite"}, "nothing is picked yet"
    write_pick_folder(balls_world, folder)
    record = json.loads((folder / "picks.json").read_text(encoding="utf-8"))
    assert pressed() == {"--overwrite"}, "of another model"
    record["model"]["sha256"] = digest(model)
    (folder / "picks.json").write_text(json.dumps(record), encoding="utf-8")
    assert pressed() == {"--retry-failed"}
    record["settings"]["threshold"] = 0.8
    (folder / "picks.json").write_text(json.dumps(record), encoding="utf-8")
    assert pressed() == {"--overwrite"}, "cut at a threshold"


def test_a_file_damaged_elsewhere_is_reported_and_clicks_go_on(client, studio, balls_world):
    """The other tomogram's file is none any more: this one's clicks are saved all the same."""
    act(client, [tuple(balls_world.truth["TS_2"][0])], tomogram="TS_2")
    (studio.project.folder / "clicks/ball/TS_2.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    assert act(client, [tuple(balls_world.truth["TS_1"][0])]).status_code == 200
    assert (studio.project.folder / "clicks/ball/TS_1.csv").exists()
    opened(client)
    told = wait_for(lambda: (answer := picks_of(client))["trouble"] and answer)
    assert "TS_2.csv" in told["trouble"]


def test_a_fault_of_the_picker_is_a_line(client, engine, monkeypatch, balls_world):
    monkeypatch.setattr(engine, "picks", lambda *arguments: 1 / 0)
    opened(client)
    wait_for(lambda: picks_of(client)["features"] == "ready")
    act(client, [tuple(balls_world.truth["TS_1"][0])])
    told = wait_for(lambda: (answer := picks_of(client))["trouble"] and answer)
    assert "ZeroDivisionError" in told["trouble"]


def test_who_picks_is_as_the_project_says_or_each_of_several_gpus(tmp_path, monkeypatch):
    import torch

    assert worker_arguments(tmp_path) == ([] if torch.cuda.device_count() < 2 else ["--engine", "local"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr("tomopicker.studio.jobs.find_spec", lambda name: True)
    assert worker_arguments(tmp_path) == ["--engine", "local"]
    assert worker_arguments(tmp_path, 3) == ["--engine", "local", "--workers", "3"]
    assert worker_arguments(tmp_path, 1) == []
    monkeypatch.setattr("tomopicker.studio.jobs.find_spec", lambda name: None)
    assert worker_arguments(tmp_path) == [], "without dask it is one process"
    with pytest.raises(UsageError, match="pip install"):
        worker_arguments(tmp_path, 2)
    (tmp_path / "cluster.yaml").write_text("engine: slurm\n", encoding="utf-8")
    assert worker_arguments(tmp_path) == ["--cluster", str(tmp_path / "cluster.yaml")]
    assert worker_arguments(tmp_path, 8)[2:] == ["--workers", "8"]
