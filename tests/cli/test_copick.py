"""``tomopicker pick --copick``: tomograms are read from a project, and picks written back to it."""

import json
import shutil

import numpy as np
import pytest
import zarr

from tests.cli.conftest import VOXEL_SIZE
from tomopicker import io


@pytest.fixture
def config(world, tmp_path):
    """A project with one run, whose tomogram is TS_2's."""
    volume = io.open_tomogram(world.tomogram("TS_2")).read()
    path = tmp_path / "project" / "ExperimentRuns" / "TS_2" / f"VoxelSpacing{VOXEL_SIZE:.3f}" / "wbp.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.create_array("0", data=volume)
    scale = [{"type": "scale", "scale": [VOXEL_SIZE] * 3}]
    axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    ]
    config = tmp_path / "config.json"
    objects = [{"name": "ball", "is_particle": True}, {"name": "membrane", "is_particle": False}]
    config.write_text(json.dumps({"overlay_root": "local://project", "pickable_objects": objects}))
    return config


def test_picks_go_back_into_the_project(cli, world, picked, config, tmp_path):
    arguments = ("pick", "--copick", config, "-m", world.model, "-o", tmp_path / "out", "--device", "cpu")
    result = cli(*arguments)
    assert result.code == 0 and "picks of 1 runs, tomopicker_1_ball.json" in result.out
    written = tmp_path / "project" / "ExperimentRuns" / "TS_2" / "Picks" / "tomopicker_1_ball.json"
    frames = {"TS_2": io.open_tomogram(world.tomogram("TS_2")).frame}
    new, old = io.read_picks(written, frames), io.read_picks(picked / "TS_2.csv", frames)
    np.testing.assert_allclose(new.positions, old.positions, atol=0.05)
    # A second run keeps existing files: its own unchanged, those of others with a warning.
    assert cli(*arguments).err == ""
    written.write_text(written.read_text().replace('"x": ', '"x": 1'))
    changed = written.read_text()
    assert "holds other picks" in cli(*arguments).err
    assert written.read_text() == changed
    assert cli(*arguments, "--overwrite").code == 0
    assert written.read_text() != changed


def test_picks_of_a_project_can_be_trained_on(cli, world, config, tmp_path):
    tomogram = next((tmp_path / "project").glob("ExperimentRuns/TS_2/*/wbp.zarr"))
    frames = {"TS_2": io.open_tomogram(tomogram).frame}
    file = tomogram.parents[1] / "Picks" / "me_1_ball.json"
    io.write_picks(io.read_picks(world.truth / "TS_2.csv", frames), frames, file, "copick")
    result = cli(
        "train", tomogram, "--picks", file, "--particle-diameter", 100, "--config", world.config,
        "--output", tmp_path / "m.model", "--dry-run",
    )  # fmt: skip
    assert result.code == 0 and "TS_2" in result.out


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--copick-object", "fas"), 2, "one of ball"),
        (("--copick-tomogram", "denoised"), 1, "no tomogram in its runs"),
        (("--copick-tomogram", "wbp@ten"), 2, "wbp@10"),
        (("--copick-session", "a_b"), 2, "no blank, slash or underscore"),
    ],
)
def test_what_cannot_be_is_one_line(cli, world, config, tmp_path, more, code, words):
    result = cli("pick", "--copick", config, "-m", world.model, "-o", tmp_path / "out", *more)
    assert result.code == code and len(result.err.splitlines()) == 1 and words in result.err


def test_each_of_several_kinds_goes_to_its_object(cli, instant_kinds, config, tmp_path):
    arguments = ("pick", "--copick", config, "-m", instant_kinds, "-o", tmp_path / "out", "--device", "cpu")
    assert "it has no particle 'small'; give --copick-object small=OBJECT, one of ball" in cli(*arguments).err
    objects = [{"name": name, "is_particle": True} for name in ("ball", "other")]
    config.write_text(json.dumps({"overlay_root": "local://project", "pickable_objects": objects}))
    assert "two kinds are one object" in cli(*arguments, "--copick-object", "small=ball").err
    assert "picks ball, small; give KIND=OBJECT" in cli(*arguments, "--copick-object", "other").err
    result = cli(*arguments, "--copick-object", "small=other")
    assert result.code == 0, result.err
    assert "picks of 2 kinds, 2 files, tomopicker_1_ball.json, tomopicker_1_other.json" in result.out
    run = tmp_path / "project" / "ExperimentRuns" / "TS_2"
    frames = {"TS_2": io.open_tomogram(next(run.glob("*/wbp.zarr"))).frame}
    found = []
    for kind, name in (("ball", "ball"), ("small", "other")):
        there = io.read_picks(run / "Picks" / f"tomopicker_1_{name}.json", frames)
        here = io.read_picks(tmp_path / "out" / f"TS_2.{kind}.csv", frames)
        np.testing.assert_allclose(there.positions, here.positions, atol=0.05)
        found.append(len(here))
    assert min(found) > 0


def test_one_kind_is_one_object(cli, world, config, tmp_path):
    arguments = ("pick", "--copick", config, "-m", world.model, "-o", tmp_path / "out")
    assert "one kind of particle" in cli(*arguments, "--copick-object", "a=ball").err
    assert "one kind of particle" in cli(*arguments, "--copick-object", "ball", "--copick-object", "b").err


@pytest.mark.parametrize("name", ["../../../victim", "/no/such/victim", ""])
def test_a_particle_named_as_a_path_is_refused(cli, world, config, tmp_path, name):
    config.write_text(config.read_text().replace('"ball"', json.dumps(name)))
    result = cli("pick", "--copick", config, "-m", world.model, "-o", tmp_path / "out")
    assert (result.code, len(result.errors)) == (1, 1) and str(config) in result.err
    assert not (tmp_path / "out").exists()


def test_one_run_that_cannot_be_written_does_not_stop_the_others(cli, world, config, tmp_path):
    runs = tmp_path / "project" / "ExperimentRuns"
    shutil.copytree(runs / "TS_2", runs / "TS_0")
    damaged = runs / "TS_0" / "Picks" / "tomopicker_1_ball.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    result = cli("pick", "--copick", config, "-m", world.model, "-o", tmp_path / "out", "--device", "cpu")
    assert (result.code, len(result.errors)) == (1, 1) and str(damaged) in result.err
    assert (runs / "TS_2" / "Picks" / "tomopicker_1_ball.json").exists()


def test_no_tomogram_at_all(cli, world, tmp_path):
    assert "--copick CONFIG" in cli("pick", "-m", world.model, "-o", tmp_path / "out").err
    assert cli("pick", "-m", world.model, "-o", tmp_path / "out", "--copick-object", "a").code == 2
