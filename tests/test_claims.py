"""Claims: one holder at a time, the dead noticed, also with many processes at once."""

import errno
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


HERE = f"{socket.gethostname()} {{dead}} {claims._machine()}"
"""What a process of this machine begins its claims with."""


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


@pytest.mark.parametrize(
    "text", [f"{HERE} x", f"{socket.gethostname()} 1 another-boot x", "elsewhere 1 x", "", "\x00\xff"]
)
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


@pytest.mark.parametrize("minutes", [-60, 60])
def test_clocks_that_differ_do_not_make_the_living_dead(tmp_path, monkeypatch, minutes):
    """The machine's clock is an hour off from that of the disk."""
    claims._ahead.cache_clear()
    monkeypatch.setattr(claims.time, "time", lambda now=time.time: now() + 60 * minutes)
    file = tmp_path / "a"
    file.write_text("elsewhere 1 x")
    with claimed(file) as ours:
        assert not ours
    old = file.stat().st_mtime - claims.STALE_SECONDS - 5
    os.utime(file, (old, old))
    with claimed(file) as ours:
        assert ours
    claims._ahead.cache_clear()


def test_a_claim_is_never_seen_without_its_holder(tmp_path, monkeypatch):
    """It is whole when it appears: an empty one could be of any age, as NFS 3 keeps a secret in its time at first."""
    file, seen = tmp_path / "a", []
    link = os.link

    def watched(source, target):
        seen.append((file.exists(), Path(source).read_text()))
        link(source, target)

    monkeypatch.setattr(os, "link", watched)
    with claimed(file) as ours:
        assert ours and seen == [(False, file.read_text())]


def test_an_answer_that_was_lost(tmp_path, monkeypatch):
    """The server made the link, its answer was lost, and asked again it says that the file is there."""
    link = os.link

    def answers_late(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", answers_late)
    with claimed(tmp_path / "a") as ours:
        assert ours
    assert not list(tmp_path.iterdir())


def test_a_disk_without_hard_links(tmp_path, monkeypatch):
    def refused(source, target):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with claimed(tmp_path / "a") as ours, claimed(tmp_path / "a") as too:
        assert ours and not too
    assert not list(tmp_path.iterdir())


def test_a_claim_that_goes_away_while_it_is_read(tmp_path, monkeypatch):
    """NFS names a file that another machine removed a stale handle."""

    def gone(path, **how):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "read_text", gone)
    assert holder(tmp_path / "a") is None


def test_a_server_that_does_not_answer_for_a_while(tmp_path, monkeypatch):
    """The holder goes on to give signs of life."""
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.01)
    touched, utime = [], os.utime

    def sometimes(path, *times):
        touched.append(path)
        if len(touched) < 3:
            raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")
        utime(path, *times)

    monkeypatch.setattr(os, "utime", sometimes)
    with claimed(tmp_path / "a"):
        deadline = time.monotonic() + 20
        while len(touched) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)


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
    (tmp_path / "lock").write_text(f"{HERE.format(dead=dead_process())} x")
    counters = [python(COUNT, tmp_path) for _ in range(4)]
    assert [process.wait(timeout=60) for process in counters] == [0] * 4
    assert (tmp_path / "count").read_text() == "80"
    assert not (tmp_path / "lock").exists()
