"""Two runs of ``pick`` in one folder, and killed runs: nothing is lost, duplicated or mixed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tomopicker
import tomopicker.errors
from tests.cli.conftest import call
from tomopicker.output.lock import STALE_SECONDS, holder, locked
from tomopicker.pipeline.pick import pick

PICK = "tomopicker.cluster.pick_tomogram.pick"


def start(arguments, program="from tomopicker.cli import main; main()"):
    environment = {**os.environ, "PYTHONPATH": str(Path(tomopicker.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tomograms_in(file):
    return {line.split(",")[0] for line in file.read_text(encoding="utf-8").splitlines()[1:]}


def test_a_second_run_says_that_one_is_going_on(world, cli, tmp_path, monkeypatch):
    arguments = ["pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out"]
    codes = []

    def with_a_second_run(*more, **flags):
        codes.append(call(arguments))
        return pick(*more, **flags)

    monkeypatch.setattr(PICK, with_a_second_run)
    result = cli(*arguments)
    assert (result.code, codes) == (0, [1])
    assert f"process {os.getpid()} on" in result.err and "tomopicker status" in result.err
    assert holder(tmp_path / "out") is None


def test_a_run_that_is_killed_is_followed_by_another(world, cli, tmp_path):
    """A killed run cleans up nothing; the next run detects that, and keeps finished tomograms."""
    out = tmp_path / "out"
    arguments = ["pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", out, "--no-pictures"]
    stuck = (
        "import time; from tomopicker.cluster import pick_tomogram as p; pick = p.pick; "
        "p.pick = lambda t, *a, **k: pick(t, *a, **k) if t.name == 'TS_1' else time.sleep(1000); "
    )
    run = start(arguments, stuck + "from tomopicker.cli import main; main()")
    deadline = time.monotonic() + 60
    while not (out / "records" / "TS_1.json").exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert holder(out) == f"process {run.pid} on {os.uname().nodename}"
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert (out / ".running").exists() and holder(out) is None
    assert not (out / "picks.csv").exists()
    before = cli("threshold", out, "--threshold", "0.2", "--no-pictures")
    assert before.code == 0 and "1 tomogram:" in before.out, "what is finished can be used"
    assert cli("threshold", out, "--no-pictures").code == 0
    again = cli(*arguments)
    assert again.code == 0
    assert "TS_1: done already" in again.out and "TS_2: done" not in again.out
    assert tomograms_in(out / "picks.csv") == {"TS_1", "TS_2"}
    assert not [path for path in out.rglob(".*")]


def test_half_written_files_are_written_again(world, cli, picked, tmp_path):
    out = tmp_path / "out"
    arguments = ["pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", out]
    assert cli(*arguments).code == 0
    (out / "TS_1.star").unlink()
    (out / "records" / "TS_2.json").write_text('{"status": "do', encoding="utf-8")
    again = cli(*arguments)
    assert "skipped" not in again.out
    assert (out / "picks.csv").read_bytes() == (picked / "picks.csv").read_bytes()


def test_what_is_called_done_is_on_the_disk(world, cli, tmp_path, monkeypatch):
    """After a power failure, no record may list a tomogram as done whose files are empty."""
    out, synced = tmp_path / "out", []
    monkeypatch.setattr("tomopicker.files._sync", lambda path: synced.append(path.relative_to(tmp_path)))
    replace = Path.replace

    def renamed(source, target):
        if Path(target).parent.name == "records":
            name = Path(target).stem
            files = [f"out/{name}.csv", f"out/{name}.star", f"out/candidates/{name}.csv"]
            assert {*map(Path, files)} <= {*synced}
            assert source.relative_to(tmp_path) in synced
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", renamed)
    assert cli("pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", out).code == 0
    assert {Path("out/picks.csv"), Path("out/picks.star"), Path("out/records")} <= {*synced}
    synced[:] = [path for path in synced if path.parent.name == "candidates"]  # These are unchanged.
    assert cli("threshold", out, "--threshold", "0.6").code == 0
    assert {Path("out/TS_1.csv"), Path("out/TS_2.star"), Path("out/picks.csv")} <= {*synced}


@pytest.mark.parametrize("suffix", [".csv", ".star"])
def test_a_list_that_was_emptied_is_named(world, cli, picked, tmp_path, suffix):
    out = tmp_path / "out"
    shutil.copytree(picked, out)
    (out / f"TS_2{suffix}").write_bytes(b"")
    (out / "picks.csv").unlink()
    result = cli("pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", out)
    assert result.code == 1
    assert f"TS_2{suffix}: is damaged" in result.errors[0] and "--overwrite" in result.errors[0]


def test_merged_files_stay_where_nothing_was_done(world, cli, tmp_path):
    arguments = ["pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path]
    assert cli(*arguments).code == 0
    before = (tmp_path / "picks.star").stat().st_mtime_ns
    assert cli(*arguments).code == 0
    assert (tmp_path / "picks.star").stat().st_mtime_ns == before
    (tmp_path / "picks.star").unlink()
    assert cli(*arguments).code == 0
    assert (tmp_path / "picks.star").exists()


def test_a_bad_file_is_not_tried_again_until_it_changes(world, cli, tmp_path, monkeypatch):
    bad = tmp_path / "bad.mrc"
    bad.write_bytes(world.tomogram("TS_1").read_bytes()[:5000])
    arguments = ["pick", bad, world.tomogram("TS_2"), "-m", world.model, "-o", tmp_path / "out"]
    first = cli(*arguments)
    entry = json.loads((tmp_path / "out" / "picks.json").read_text(encoding="utf-8"))["tomograms"]["bad"]
    assert first.code == 1 and entry["status"] == "failed" and entry["error"] in first.err
    tried = []
    monkeypatch.setattr(f"{PICK}_tomogram", lambda *a, **k: tried.append(a) or "bad: tried")
    again = cli(*arguments)
    assert (again.code, tried) == (1, [])
    assert f"{entry['error']} (as before; --retry-failed tries it again)" in again.err
    assert cli(*arguments, "--retry-failed").code == 0 and len(tried) == 1
    bad.write_bytes(world.tomogram("TS_1").read_bytes())
    monkeypatch.undo()
    assert cli(*arguments).code == 0


def test_a_full_disk_ends_the_run_in_one_line(world, cli, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tomopicker.output.layout.write_selected", full)
    result = cli("pick", world.tomograms, "-m", world.model, "-o", tmp_path / "out")
    assert result.code == 1 and len(result.errors) == 1
    assert "no room left" in result.err and "repeat the command" in result.err
    assert json.loads((tmp_path / "out" / "picks.json").read_text(encoding="utf-8"))["tomograms"] == {}
    monkeypatch.undo()
    assert cli("pick", world.tomograms, "-m", world.model, "-o", tmp_path / "out").code == 0


def test_marks_of_other_machines_count_while_they_are_fresh(tmp_path):
    mark = tmp_path / ".running"
    mark.write_text("elsewhere 12 another-machine\n", encoding="utf-8")
    assert holder(tmp_path) == "process 12 on elsewhere"
    with pytest.raises(tomopicker.errors.TomoPickerError, match="process 12 on elsewhere"), locked(tmp_path):
        pass
    old = time.time() - STALE_SECONDS - 5
    os.utime(mark, (old, old))
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert holder(tmp_path) == f"process {os.getpid()} on {os.uname().nodename}"
    assert not mark.exists()
