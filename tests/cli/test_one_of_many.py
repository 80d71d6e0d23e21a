"""One problematic tomogram of many is reported early and affects no others."""

import json
import shutil
import weakref

import numpy as np
import pytest
import torch

from tomopicker import api, io


def copied(picked, folder):
    """A folder of picks in two tomograms that tests may change."""
    return shutil.copytree(picked, folder / "work" / "picks")


def tree(folder):
    """Return the content of every file below a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name", ["../../victim", "/no/such/victim", "a/b", "a\\b", "..", "", "a\0b", "a\nb", "x" * 201, "picks"]
)
@pytest.mark.parametrize("command", ["threshold", "evaluate"])
def test_a_name_in_the_record_never_becomes_another_folders_file(cli, world, picked, tmp_path, command, name):
    folder = copied(picked, tmp_path)
    record = json.loads((folder / "picks.json").read_text(encoding="utf-8"))
    record["tomograms"] = {name: record["tomograms"]["TS_1"]}
    (folder / "picks.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "victim.csv").write_text("precious", encoding="utf-8")
    before = tree(tmp_path)
    more = ["--truth", world.truth] if command == "evaluate" else []
    result = cli(command, folder, *more)
    assert (result.code, len(result.errors)) == (1, 1), result
    assert str(folder / "picks.json") in result.err and "rename it" in result.err
    assert tree(tmp_path) == before


def test_a_folder_gets_no_file_beyond_it(cli, world, tmp_path):
    """Folders are removed from names in a list of picks before they become file names."""
    (tmp_path / "in.csv").write_text("tomogram,x,y,z\n../../TS_1,5,6,7\n/etc/TS_2,5,6,7\n", encoding="utf-8")
    result = cli("convert", tmp_path / "in.csv", tmp_path / "a" / "b", "--to", "csv", "--voxel-size", "10")
    assert result.code == 0, result.err
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"TS_1.csv", "TS_2.csv"}
    (tmp_path / "in.csv").write_text("tomogram,x,y,z\nTS_1,5,6,7\nx/..,5,6,7\n", encoding="utf-8")
    result = cli("convert", tmp_path / "in.csv", tmp_path / "c", "--to", "csv", "--voxel-size", "10")
    assert (result.code, len(result.errors)) == (1, 1)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("name", ["picks", "TS\\1"])
def test_names_that_results_cannot_bear_are_refused_before_scoring(cli, world, tmp_path, monkeypatch, name):
    """The bad one is reported first; the others are picked."""
    bad = tmp_path / f"{name}.mrc"
    shutil.copy(world.tomogram("TS_1"), bad)
    pick, scored = api.pick, []
    monkeypatch.setattr(
        "tomopicker.cluster.pick_tomogram.pick",
        lambda tomogram, *a, **k: scored.append(tomogram.name) or pick(tomogram, *a, **k),
    )
    out = tmp_path / "out"
    result = cli("pick", bad, "-m", world.model, "-o", out)
    assert (result.code, len(result.errors), scored) == (1, 1, [])
    assert str(bad) in result.err and "rename" in result.err and not out.exists()
    if name == "picks":
        result = cli("pick", world.tomogram("TS_2"), bad, "-m", world.model, "-o", out)
        assert (result.code, scored) == (1, ["TS_2"])
        assert (out / "TS_2.star").exists() and not list(out.rglob("picks/*"))
        assert "skipped" in cli("pick", world.tomogram("TS_2"), bad, "-m", world.model, "-o", out).out


def test_boxes_are_listed_under_the_name_that_a_star_file_holds(cli, world, tmp_path):
    shutil.copy(world.tomogram("TS_1"), tmp_path / "TS 1.mrc")
    out = tmp_path / "boxes"
    result = cli("export-subtomograms", world.clicks, tmp_path / "TS 1.mrc", "--box", 8, "-o", out)
    assert result.code == 0, result.err
    assert set(io.read_table(out / "subtomograms.star").tomograms) == {"TS_1"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."), "out of memory"),
        (ZeroDivisionError("division by zero"), "unexpected ZeroDivisionError: division by zero"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_one_that_fails_in_any_way_does_not_stop_the_others(cli, world, tmp_path, monkeypatch, error, words):
    pick = api.pick

    def failing(tomogram, *more, **flags):
        if tomogram.name == "TS_1":
            raise error
        return pick(tomogram, *more, **flags)

    monkeypatch.setattr("tomopicker.cluster.pick_tomogram.pick", failing)
    arguments = ("pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", tmp_path)
    result = cli(*arguments)
    assert (result.code, len(result.errors)) == (1, 1), result
    assert words in result.err and str(world.tomogram("TS_1")) in result.err
    entries = json.loads((tmp_path / "picks.json").read_text(encoding="utf-8"))["tomograms"]
    assert entries["TS_2"]["status"] == "done"
    assert entries["TS_1"]["status"] == "failed" and words in entries["TS_1"]["error"]
    monkeypatch.undo()
    assert cli(*arguments).code == 0


def test_what_a_failed_tomogram_held_is_given_back(cli, world, tmp_path, monkeypatch):
    """An error stored with its traceback would keep every volume in memory."""
    held = []

    def failing(tomogram, *more, **flags):
        assert not held or held[-1]() is None, "the last one's volume is still there"
        volume = np.zeros(1000).view(np.ndarray)
        held.append(weakref.ref(volume))
        raise MemoryError

    monkeypatch.setattr("tomopicker.cluster.pick_tomogram.pick", failing)
    assert cli("pick", world.tomograms, "-m", world.model, "-o", tmp_path / "out").code == 1
    assert len(held) == 3
