"""Several ``pick`` jobs that write to one folder, as job arrays do: nothing is picked twice, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tomopicker
from tests.cli.conftest import call
from tomopicker import api
from tomopicker.claims import claimed

pytestmark = pytest.mark.xdist_group("cli")

NAMES = {"TS_1", "TS_2", "TS_3"}


def start(arguments, program="from tomopicker.cli import main; main()"):
    environment = {**os.environ, "PYTHONPATH": str(Path(tomopicker.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def picked_in(out):
    return [line.split(":")[0] for line in out.splitlines() if "picks (threshold" in line]


def tomograms_in(file):
    return {line.split(",")[0] for line in file.read_text(encoding="utf-8").splitlines()[1:]}


def test_two_processes_share_the_work(world, cli, tmp_path, picked):
    arguments = ["pick", world.tomograms, "-m", world.model, "-o", tmp_path / "out", "--device", "cpu"]
    jobs = [start(arguments) for _ in range(2)]
    said = [job.communicate(timeout=120) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    assert sorted(name for out, _ in said for name in picked_in(out)) == sorted(NAMES), "each exactly once"
    record = json.loads((tmp_path / "out" / "picks.json").read_text(encoding="utf-8"))
    assert {name for name, entry in record["tomograms"].items() if entry["status"] == "done"} == NAMES
    assert tomograms_in(tmp_path / "out" / "picks.csv") == NAMES
    assert (tmp_path / "out" / "TS_1.csv").read_bytes() == (picked / "TS_1.csv").read_bytes()
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_job_that_is_killed_is_followed_by_another(world, cli, tmp_path):
    """A killed job cleans up nothing; the next one sees that its process is gone."""
    arguments = ["pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out"]
    stuck = "import time; from tomopicker import api; api.pick = lambda *a, **k: time.sleep(1000); "
    job = start(arguments, stuck + "from tomopicker.cli import main; main()")
    claim = tmp_path / "out" / ".TS_1.claim"
    deadline = time.monotonic() + 60
    while not (claim.exists() and claim.read_text()):
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    waiting = cli(*arguments)
    assert waiting.code == 0 and f"TS_1: left to process {job.pid}" in waiting.out
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert claim.exists()
    assert picked_in(cli(*arguments).out) == ["TS_1"]
    assert not claim.exists()


def test_what_another_job_could_not_do_is_done_in_the_end(world, cli, tmp_path, monkeypatch):
    """TS_1 is in other hands at first, which then give it back without picks."""
    other = claimed(tmp_path / ".TS_1.claim")
    pick = api.pick

    def give_back(tomogram, *arguments, **flags):
        if tomogram.name == "TS_2":
            other.__exit__(None, None, None)
        return pick(tomogram, *arguments, **flags)

    monkeypatch.setattr(api, "pick", give_back)
    assert other.__enter__()
    result = cli("pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", tmp_path)
    assert picked_in(result.out) == ["TS_2", "TS_1"]
    assert tomograms_in(tmp_path / "picks.csv") == {"TS_1", "TS_2"}


@pytest.mark.parametrize("overwrite", [True, False])
def test_what_another_job_finishes_meanwhile_is_not_done_again(world, cli, tmp_path, monkeypatch, overwrite):
    """Also when all is to be picked again: the other job has just done so."""
    arguments = ["-m", world.model, "-o", tmp_path, *(["--overwrite"] if overwrite else [])]
    first, second = world.tomogram("TS_1"), world.tomogram("TS_2")
    if overwrite:
        assert cli("pick", first, second, *arguments).code == 0
    pick, seen = api.pick, []

    def with_a_second_job(tomogram, *more, **flags):
        seen.append(tomogram.name)
        if tomogram.name == "TS_1":
            assert call(["pick", first, second, *arguments]) == 0
        return pick(tomogram, *more, **flags)

    monkeypatch.setattr(api, "pick", with_a_second_job)
    result = cli("pick", first, second, *arguments)
    assert result.code == 0
    assert seen == ["TS_1", "TS_2"]
    assert tomograms_in(tmp_path / "picks.csv") == {"TS_1", "TS_2"}


def test_two_different_jobs_do_not_mix(world, cli, tmp_path, monkeypatch):
    """The folder was empty when both began; the one that finishes a tomogram first has it."""
    arguments = ["pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path]
    other = ["pick", world.tomogram("TS_2"), "-m", world.model, "-o", tmp_path, "--threshold", "0.5"]
    pick = api.pick

    def with_another_job(tomogram, *more, **flags):
        if tomogram.name == "TS_1":
            assert call(other) == 0
        return pick(tomogram, *more, **flags)

    monkeypatch.setattr(api, "pick", with_another_job)
    result = cli(*arguments)
    assert result.code == 2
    assert "holds picks made with threshold 0.5, not unset" in result.errors[-1]
    assert not (tmp_path / "TS_1.csv").exists()
    assert tomograms_in(tmp_path / "picks.csv") == {"TS_2"}


def test_merged_files_are_written_once_for_all_that_wait(world, cli, tmp_path):
    """A job that finds the merged files up to date leaves them; one that misses them writes them."""
    arguments = ["pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path]
    assert cli(*arguments).code == 0
    before = (tmp_path / "picks.star").stat().st_mtime_ns
    assert cli(*arguments).code == 0
    assert (tmp_path / "picks.star").stat().st_mtime_ns == before
    (tmp_path / "picks.star").unlink()
    assert cli(*arguments).code == 0
    assert (tmp_path / "picks.star").exists()
