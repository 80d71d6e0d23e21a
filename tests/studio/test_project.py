"""Every act is on the disk before it is answered; nothing is lost, and what others write is noticed."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.conftest import DIAMETER, VOXEL_SIZE
from tests.studio.conftest import act, open_studio, wait_for
from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.studio.points import Change, Point, apply, write_points
from tomopicker.studio.serve import ssh_line

PLACES = [(100.0, 120.0, 150.0), (200.0, 250.0, 150.0), (300.0, 100.0, 160.0)]


def csv(studio, folder="clicks", name="TS_1"):
    return studio.project.folder / folder / "ball" / f"{name}.csv"


def rows(path):
    return pd.read_csv(path)[["x", "y", "z"]].to_numpy() * VOXEL_SIZE


def test_a_click_is_on_the_disk_when_it_is_answered(client, studio):
    assert act(client, PLACES[:1]).status_code == 200
    assert rows(csv(studio)) == pytest.approx(np.array([PLACES[0]]), abs=0.01)
    act(client, [(*PLACES[1], "negative")])
    assert rows(csv(studio, "rejected")) == pytest.approx(np.array([PLACES[1]]), abs=0.01)
    assert len(rows(csv(studio))) == 1
    star = csv(studio).with_suffix(".star")
    wait_for(star.exists)
    frames = {"TS_1": studio.listing.frame("TS_1")}
    assert io.read_picks(star, frames).positions == pytest.approx(np.array([PLACES[0]]), abs=0.02)


def test_undo_and_redo_go_over_everything(client, studio):
    act(client, PLACES[:1])
    act(client, PLACES[1:2], tomogram="TS_2")
    act(client, [(*PLACES[0], "negative")], PLACES[:1])  # N: a particle becomes a negative.
    assert len(rows(csv(studio, "rejected"))) == 1 and len(rows(csv(studio))) == 0
    told = client.post("/api/undo").json()
    assert told["change"]["tomogram"] == "TS_1" and (told["undo"], told["redo"]) == (2, 1)
    assert rows(csv(studio)) == pytest.approx(np.array([PLACES[0]]), abs=0.01)
    assert len(rows(csv(studio, "rejected"))) == 0
    assert client.post("/api/undo").json()["change"]["tomogram"] == "TS_2"
    assert len(rows(csv(studio, name="TS_2"))) == 0
    client.post("/api/undo")
    assert client.post("/api/undo").json()["change"] is None
    for _ in range(3):
        client.post("/api/redo")
    assert len(rows(csv(studio, "rejected"))) == 1 and len(rows(csv(studio, name="TS_2"))) == 1
    assert client.post("/api/redo").json()["change"] is None


def test_kinds_and_notes_are_undone_in_their_turn(client, studio, balls_world):
    """Clicks, a new kind, a diameter, a note and a mark: one undo each, also after a restart; no step for nothing."""
    act(client, PLACES[:1])
    client.post("/api/kind", json={"name": "ring", "diameter": 80})
    act(client, PLACES[1:2], kind="ring")
    client.post("/api/kind", json={"name": "ring", "diameter": 120, "colour": "#ff0000"})
    client.post("/api/note", json={"tomogram": "TS_1", "note": "thick"})
    client.post("/api/note", json={"tomogram": "TS_1", "reviewed": True})
    client.post("/api/note", json={"tomogram": "TS_1", "note": "thick"})
    again = open_studio(balls_world, studio.project.folder).project

    def undo():
        return asyncio.run(again.undo())

    assert len(again.history.done) == 6
    undo()
    assert (again.notes["TS_1"], again.reviewed) == ("thick", set())
    undo()
    assert again.notes["TS_1"] == ""
    undo()
    assert (again.kinds["ring"].diameter, again.kinds["ring"].colour) != (120, "#ff0000")
    assert again.kinds["ring"].diameter == 80
    undo()
    assert again.sheet("ring", "TS_1").points == ()
    assert undo().of == "kind" and set(again.kinds) == {"ball"}
    assert again.changed_elsewhere() == [], "lists of a kind that went are not looked for"
    assert open_studio(balls_world, studio.project.folder).project.kinds.keys() == {"ball"}
    for _ in range(5):
        asyncio.run(again.redo())
    assert again.kinds["ring"].diameter == 120 and again.reviewed == {"TS_1"} and again.notes["TS_1"] == "thick"
    assert len(again.sheet("ring", "TS_1").points) == 1


def test_pages_are_notified_of_an_undone_kind_and_note(client, studio):
    told = []
    client.post("/api/kind", json={"name": "ring", "diameter": 80})
    client.post("/api/note", json={"tomogram": "TS_1", "note": "thick"})
    studio.events.send = lambda name, **content: told.append((name, content))
    answered = client.post("/api/undo").json()
    assert (answered["change"], answered["edited"], answered["undo"]) == (None, "note TS_1", 1)
    assert client.post("/api/undo").json()["edited"] == "kind ring"
    of = {name: content for name, content in told if name in {"kinds", "notes"}}
    assert of["notes"]["note"] == "" and [kind["name"] for kind in of["kinds"]["kinds"]] == ["ball"]
    assert act(client, PLACES[:1], kind="ring").status_code == 400
    assert "edited" not in client.post("/api/undo").json()


def test_undo_after_a_restart_and_a_torn_line(client, studio, balls_world):
    act(client, PLACES[:1])
    act(client, PLACES[1:2])
    log = studio.project.folder / "history.jsonl"
    log.write_text(log.read_text() + '{"act": 3, "chan', encoding="utf-8")
    again = open_studio(balls_world, studio.project.folder)
    assert len(again.project.sheet("ball", "TS_1").points) == 2
    change = asyncio.run(again.project.undo())
    assert [point.x for point in change.change.removed] == [PLACES[1][0]]
    assert len(rows(csv(studio))) == 1


def test_an_edit_made_elsewhere_is_detected(client, studio):
    act(client, PLACES[:2])
    frame = studio.listing.frame("TS_1")
    write_points(studio.project.folder, "ball", "TS_1", frame, tuple(Point(*place) for place in PLACES))
    seen = client.get("/api/points", params={"kind": "ball", "tomogram": "TS_1"}).json()
    assert len(seen["points"]) == 3
    # A click on top of an edit that no page has seen yet keeps both.
    write_points(studio.project.folder, "ball", "TS_1", frame, (Point(*PLACES[2]),))
    act(client, [(150, 150, 150)])
    assert len(rows(csv(studio))) == 2


def test_pages_are_notified_of_an_edit_made_elsewhere(client, studio):
    act(client, PLACES[:2])
    told = []
    studio.events.send = lambda name, **content: told.append((name, content))
    write_points(studio.project.folder, "ball", "TS_1", studio.listing.frame("TS_1"), (Point(*PLACES[2]),))
    wait_for(lambda: ("reread", {"kind": "ball", "tomogram": "TS_1"}) in told)


def test_a_full_disk_is_reported_and_made_up_for(client, studio, monkeypatch):
    act(client, PLACES[:1])
    real = io.write_picks

    def full(picks, frames, path, format=None):
        raise TomoPickerError(f"{path}: cannot be written ({os.strerror(errno.ENOSPC)})")

    monkeypatch.setattr("tomopicker.io.write_picks", full)
    told = act(client, PLACES[1:2]).json()
    assert "No space left" in told["trouble"]
    assert len(rows(csv(studio))) == 1
    points = client.get("/api/points", params={"kind": "ball", "tomogram": "TS_1"}).json()["points"]
    assert len(points) == 2, "what is not saved yet stays on the page"
    monkeypatch.setattr("tomopicker.io.write_picks", real)
    wait_for(lambda: len(rows(csv(studio))) == 2)
    wait_for(lambda: client.get("/api/state").json()["trouble"] is None)


def test_clicks_that_come_together_are_written_together(studio):
    """Twenty clicks at once: all saved, in fewer writes than clicks."""
    writes = []
    real = io.write_picks

    async def click_all():
        changes = [Change("ball", "TS_1", (Point(10.0 * i + 5, 100, 100),)) for i in range(20)]
        await asyncio.gather(*(studio.project.act(change) for change in changes))

    def counted(*arguments):
        writes.append(1)
        return real(*arguments)

    formats_module = sys.modules["tomopicker.io"]
    formats_module.write_picks = counted
    try:
        asyncio.run(click_all())
    finally:
        del formats_module.write_picks
    assert len(rows(csv(studio))) == 20
    assert len(writes) < 20


def test_kinds_and_notes_are_kept(client, studio, balls_world):
    assert client.post("/api/kind", json={"name": "ring", "diameter": 150}).json()["colour"] != "#39d98a"
    client.post("/api/note", json={"tomogram": "TS_2", "note": "cracked <b>ice</b>", "reviewed": True})
    again = open_studio(balls_world, studio.project.folder).project
    assert (again.kinds["ring"].diameter, again.notes["TS_2"]) == (150, "cracked <b>ice</b>")
    assert again.reviewed == {"TS_2"}
    assert client.post("/api/kind", json={"name": "a/b", "diameter": 150}).status_code == 422
    assert client.post("/api/kind", json={"name": "x", "diameter": -1}).status_code == 400


def test_a_damaged_project_is_one_line(studio, balls_world):
    (studio.project.folder / "project.json").write_text("{", encoding="utf-8")
    with pytest.raises(TomoPickerError, match="is damaged"):
        open_studio(balls_world, studio.project.folder)


POINT = st.builds(
    Point, *(st.integers(0, 3).map(float) for _ in "xyz"), label=st.sampled_from(["particle", "negative"])
)
POINTS = st.lists(POINT, max_size=14).map(tuple)


@settings(max_examples=200, deadline=None)
@given(start=POINTS, added=POINTS, removed=POINTS)
def test_the_inverse_takes_a_change_back(start, added, removed):
    start, _ = apply((), Change("k", "t", start))
    if len({(p.x, p.y, p.z) for p in added}) < len(added) or len({(p.x, p.y, p.z) for p in start}) < len(start):
        return
    after, done = apply(start, Change("k", "t", added, removed))
    back, _ = apply(after, done.inverse)
    assert set(back) == set(start)
    again, _ = apply(back, done)
    assert set(again) == set(after)


def test_a_file_of_many_points_is_undone_in_a_moment(client, studio):
    """Opened as a file, as one act a tomogram."""
    places = np.random.default_rng(0).uniform(0, 300, (10_000, 3)).round(2)
    lines = "\n".join(f"{x},{y},{z}" for x, y, z in places / VOXEL_SIZE)
    content = f"x,y,z\n{lines}\n".encode()
    told = client.post("/api/open", params={"kind": "ball", "file": "TS_1.csv"}, content=content).json()
    assert told["added"]["TS_1"] > 9_900
    started = time.process_time()
    assert len(client.post("/api/undo").json()["change"]["removed"]) == told["added"]["TS_1"]
    assert len(rows(csv(studio))) == 0
    assert time.process_time() - started < 6


@pytest.mark.parametrize(
    ("host", "environment", "line"),
    [
        ("gpu1", {}, "ada@gpu1"),
        ("gpu1", {"SSH_CONNECTION": "10.0.0.9 51234 10.0.0.1 22"}, "ada@gpu1"),
        ("gpu1", {"SSH_CONNECTION": "10.0.0.9 51234 10.0.0.1 2022"}, "-p 2022 ada@gpu1"),
        ("n12", {"SLURM_JOB_ID": "7", "SLURM_SUBMIT_HOST": "login.lab.org"}, "-J ada@login.lab.org ada@n12"),
        ("n12", {"SLURM_JOB_ID": "7", "SLURM_SUBMIT_HOST": "n12.lab.org"}, "ada@n12"),
        (
            "n12",
            {"SLURM_JOB_ID": "7", "SLURM_SUBMIT_HOST": "login", "SSH_CONNECTION": "10.0.0.9 51234 10.0.0.1 2022"},
            "-J ada@login:2022 ada@n12",
        ),
    ],
)
def test_the_line_for_ssh(host, environment, line):
    assert ssh_line(8123, "ada", host, environment) == f"ssh -N -L 8123:127.0.0.1:8123 {line}"


def test_killed_in_the_middle_nothing_is_lost(balls_world, tmp_path):
    """The real server, killed with SIGKILL right after an answer; the next one has all, and the same cookie is good."""
    import httpx

    def start():
        command = [
            sys.executable, "-m", "tomopicker.cli", "studio", str(balls_world.tomograms), "-p", str(tmp_path / "p"),
            "-d", str(DIAMETER),
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Open in a browser" in line:
                return process, lines, line.split()[-1]
        raise AssertionError(lines)

    process, lines, link = start()
    try:
        base = link.partition("/?")[0]
        assert any(f"ssh -N -L {base.rpartition(':')[2]}:127.0.0.1:" in line for line in lines)
        browser = httpx.Client(base_url=base, headers={"origin": base}, follow_redirects=True)
        assert browser.get(link).status_code == 200
        body = {"kind": "particle", "tomogram": "TS_1", "added": [dict(zip("xyz", PLACES[0], strict=True))]}
        assert browser.post("/api/act", json=body).status_code == 200
        second = subprocess.run(process.args, capture_output=True, text=True, check=False)
        assert second.returncode == 1 and "is open in process" in second.stderr
        process.send_signal(signal.SIGKILL)
        process.wait()
        process, _, _ = start()
        assert len(browser.get("/api/points?kind=particle&tomogram=TS_1").json()["points"]) == 1
        assert browser.post("/api/undo").json()["change"]["removed"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    json.loads((tmp_path / "p" / "project.json").read_text())
