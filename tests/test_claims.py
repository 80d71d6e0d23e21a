"""Claims: one holder at a time, the dead noticed, also with many processes at once."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tomopicker
from tomopicker import claims
from tomopicker.claims import claimed, holder, locked
from tomopicker.errors import TomoPickerError

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(tomopicker.__file__).parent.parent)}


def python(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def dead_process():
    process = python("")
    process.wait()
    return process.pid


def test_one_holder_at_a_time(tmp_path):
    file = tmp_path / "folder" / "a.claim"
    with claimed(file) as ours:
        assert ours and holder(file) == f"process {os.getpid()} on {socket.gethostname()}"
        with claimed(file) as too:
            assert not too
        assert file.exists()
    assert holder(file) is None
    assert not list(file.parent.iterdir())


def test_given_back_when_the_work_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "a"):
        _ = 1 / 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [f"{socket.gethostname()} {{dead}} x", "elsewhere 1 x", "", "\x00\xff"])
def test_what_the_dead_left(tmp_path, text):
    """On this machine at once; elsewhere, or where nothing can be told, once it was not touched for long."""
    file = tmp_path / "a"
    file.write_text(text.format(dead=dead_process()))
    here = "{dead}" in text
    with claimed(file) as ours:
        assert ours == here
    if not here:
        old = time.time() - claims.STALE_SECONDS - 5
        os.utime(file, (old, old))
        with claimed(file) as ours:
            assert ours
    assert not list(tmp_path.iterdir())


def test_a_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.02)
    file = tmp_path / "a"
    with claimed(file):
        old = time.time() - 10 * claims.STALE_SECONDS
        os.utime(file, (old, old))
        deadline = time.monotonic() + 20
        while file.stat().st_mtime < old + claims.STALE_SECONDS:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert holder(file) is not None


def test_a_live_claim_that_is_set_aside_by_mistake_is_put_back(tmp_path):
    """Two processes find a dead claim; the slower one meets the claim of the faster one."""
    file = tmp_path / "a"
    with claimed(file) as ours:
        assert ours
        claims._set_aside(file, "what the dead one wrote")
        assert holder(file) == f"process {os.getpid()} on {socket.gethostname()}"
    assert not list(tmp_path.iterdir())


def test_a_holder_does_not_remove_the_claim_of_its_successor(tmp_path):
    file = tmp_path / "a"
    with claimed(file):
        file.write_text("elsewhere 7 successor")
    assert file.read_text() == "elsewhere 7 successor"


def test_patience_ends_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)
    with (
        claimed(tmp_path / "lock"),
        pytest.raises(TomoPickerError, match=f"process {os.getpid()}"),
        locked(tmp_path / "lock"),
    ):
        pass


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TomoPickerError, match="cannot be written"), claimed(tmp_path / "file" / "a"):
        pass


COUNT = """
import sys
from pathlib import Path
from tomopicker.claims import locked
folder = Path(sys.argv[1])
for _ in range(20):
    with locked(folder / "lock"):
        count = int((folder / "count").read_text())
        (folder / "count").write_text(str(count + 1))
"""


def test_nothing_is_lost_by_processes_that_count_together(tmp_path):
    (tmp_path / "count").write_text("0")
    (tmp_path / "lock").write_text(f"{socket.gethostname()} {dead_process()} x")
    counters = [python(COUNT, tmp_path) for _ in range(4)]
    assert [process.wait(timeout=60) for process in counters] == [0] * 4
    assert (tmp_path / "count").read_text() == "80"
    assert not (tmp_path / "lock").exists()
