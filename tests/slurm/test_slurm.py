"""Real jobs of a real SLURM: what is killed, cancelled or broken costs no good tomogram, and nothing is left behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import tomopicker
from tests.cluster.fake import FakeWork, items
from tests.slurm.conftest import jobs, until
from tomopicker.cluster.journal import status_lines
from tomopicker.cluster.mapping import map_tomograms
from tomopicker.cluster.settings import ClusterSettings

pytestmark = pytest.mark.usefixtures("slurm")

KILLS = 20
SLURM = ClusterSettings(engine="slurm", workers=4, walltime="00:10:00", memory="500MB", job="--gpus=1")


def done(folder):
    return {path.stem: path.read_text().split().count("done") for path in folder.glob("*.done")}


def test_twenty_workers_killed_at_random(tmp_path):
    """Each at a random moment; no tomogram is lost, none is done twice but those that were at work."""
    rng, killed = random.Random(1), []

    def kill_one(event):
        if event.kind == "started" and len(killed) < KILLS and rng.random() < 0.2:
            time.sleep(rng.uniform(0, 0.05))
            pid = int(event.worker.rpartition(":")[2])
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    many = {f"t{i}": "ok .1" for i in range(300)}
    failures = map_tomograms(FakeWork(tmp_path), items(**many), SLURM, kill_one)
    assert len(killed) == KILLS, failures
    assert done(tmp_path).keys() | failures.keys() == many.keys()
    assert all("3 workers failed" in reason for reason in failures.values()) and len(failures) <= 1
    assert sum(count > 1 for count in done(tmp_path).values()) <= KILLS
    until(lambda: not jobs(), 20)


def test_a_cancelled_job_is_replaced(tmp_path):
    cancelled = []

    def cancel(event):
        running = jobs("running")
        if event.kind == "done" and not cancelled and len(running) > 1:
            subprocess.run(["scancel", running[0]], check=True)
            cancelled.append(running[0])

    many = {f"t{i}": "ok .2" for i in range(40)}
    assert map_tomograms(FakeWork(tmp_path), items(**many), SLURM, cancel) == {}
    assert cancelled and done(tmp_path).keys() == many.keys()
    until(lambda: not jobs(), 20)


@pytest.fixture
def start(world, tmp_path):
    """Starts the command of a person, on 30 tomograms and a broken one."""
    (tmp_path / "tomograms").mkdir()
    for i in range(30):
        (tmp_path / "tomograms" / f"T{i:02d}.mrc").symlink_to(world.tomogram(f"TS_{i % 3 + 1}"))
    (tmp_path / "tomograms" / "broken.mrc").write_bytes(world.tomogram("TS_1").read_bytes()[:5000])
    arguments = [
        "pick", tmp_path / "tomograms", "-m", world.model, "-o", tmp_path / "picks", "--engine", "slurm",
        "--workers", "2", "--job", "--gpus=1", "--walltime", "00:10:00", "--device", "cpu", "--no-pictures",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(tomopicker.__file__).parent.parent), "OMP_NUM_THREADS": "1"}

    def run():
        command = [sys.executable, "-m", "tomopicker.cli", *map(str, arguments)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run


def records(folder):
    return list((folder / "records").glob("T*.json"))


def begun(run, folder):
    """Whether a run has finished two tomograms."""
    assert run.poll() is None, run.communicate()
    return len(records(folder)) >= 2


def check_whole(run, folder):
    """All good files are picked once, the broken one is named."""
    out, err = run.communicate(timeout=200)
    assert run.returncode == 1, (out, err)
    assert "broken.mrc" in err and err.count("error:") == 1
    entries = json.loads((folder / "picks.json").read_text(encoding="utf-8"))["tomograms"]
    assert {name for name, entry in entries.items() if entry["status"] == "done"} == {f"T{i:02d}" for i in range(30)}
    rows = (folder / "picks.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == len(set(rows)) == sum(entry.get("picks", 0) for entry in entries.values())
    assert not [path for path in folder.iterdir() if path.name.startswith(".")], "neither keys nor marks are left"
    assert status_lines(folder)[0].startswith("Finished")


def test_the_driver_is_killed_and_the_command_repeated(start, tmp_path):
    folder, first = tmp_path / "picks", start()
    until(lambda: begun(first, folder))
    second = start()
    assert second.wait(60) == 1
    assert f"process {first.pid} on" in second.communicate()[1]
    assert status_lines(folder)[0].startswith("Running, on 2 workers in jobs of slurm")
    key = next(folder.glob(".keys-*")) / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    first.kill()
    first.communicate()
    assert "repeat its command" in status_lines(folder)[0]
    until(lambda: not jobs(), 90)
    before = {path: path.read_bytes() for path in records(folder)}
    check_whole(start(), folder)
    assert {path: path.read_bytes() for path in before} == before, "what was done is left alone"


def test_ctrl_c_ends_the_jobs_in_seconds(start, tmp_path):
    folder, first = tmp_path / "picks", start()
    until(lambda: begun(first, folder))
    began = time.monotonic()
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 130, (_, err)
    assert "finished tomograms are kept" in err
    until(lambda: not jobs(), 10)
    assert time.monotonic() - began < 20
    assert not list(folder.glob(".keys-*"))
    assert (folder / "picks.csv").exists()
    check_whole(start(), folder)
