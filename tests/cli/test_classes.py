"""Picks of several classes: they are listed, and one can be chosen."""

import warnings

import numpy as np
import pytest

from tests.cli.conftest import DIAMETER
from tomopicker.geometry import Frame
from tomopicker.io import read_picks, read_table
from tomopicker.io.classes import MixedClassesWarning

FRAMES = {"TS_1": Frame((32, 56, 48), 10.0)}


@pytest.fixture
def mixed(world, tmp_path):
    """The clicks of TS_1, two of them of another class."""
    rows = read_table(world.clicks).coordinates
    lines = [",".join(map(str, [*row, 7 if i < 2 else 3])) for i, row in enumerate(rows.tolist())]
    path = tmp_path / "TS_1.csv"
    path.write_text("x,y,z,rlnClassNumber\n" + "\n".join(lines) + "\n")
    return path


def test_training_says_which_classes_there_are_and_takes_one(world, cli, mixed, tmp_path):
    arguments = ["train", world.tomogram("TS_1"), "--picks", mixed, "-d", DIAMETER, "-o", tmp_path / "m", "--dry-run"]
    result = cli(*arguments, "--config", world.config)
    assert "picks of several classes, 3 (4), 7 (2); --class chooses" in result.err
    assert "6 clicks" in result.out
    result = cli(*arguments, "--config", world.config, "--class", 3)
    assert "classes" not in result.err
    assert "4 clicks" in result.out
    result = cli(*arguments, "--config", world.config, "--class", 5)
    assert result.code == 2
    assert "3 (4), 7 (2)" in result.errors[0]
    result = cli("train", world.tomogram("TS_1"), "--picks", world.clicks, "-d", DIAMETER, "-o", "m", "--class", "a")
    assert "no classes" in result.errors[0]


def test_other_commands_choose_too(world, cli, mixed, tmp_path):
    result = cli("convert", mixed, tmp_path / "a.csv", "--tomograms", world.tomogram("TS_1"))
    assert result.err == ""
    assert "3 (4), 7 (2)" in result.out
    assert cli("convert", mixed, tmp_path / "b.csv", "--tomograms", world.tomogram("TS_1"), "--class", 7).code == 0
    assert len(read_table(tmp_path / "b.csv")) == 2
    result = cli("evaluate", world.truth / "TS_1.csv", "--truth", mixed, "--class", 3)
    assert result.code == 0, result.err
    picture = tmp_path / "check.png"
    checked = cli("check", mixed, world.tomogram("TS_1"), "-d", DIAMETER, "--class", 3, "--class", 7, "-o", picture)
    assert "6 picks" in checked.out


def test_classes_that_are_kinds_or_of_no_concern_are_no_warning(world, cli, mixed, tmp_path):
    """``--class`` is suggested only by commands that treat picks as one kind of particle."""
    more = ["--picks", mixed, "-d", f"3={DIAMETER}", "-d", f"7={DIAMETER}", "--config", world.config, "--dry-run"]
    result = cli("train", world.tomogram("TS_1"), *more, "-o", tmp_path / "m")
    assert result.code == 0, result.err
    assert "3: 4 clicks" in result.out and "7: 2 clicks" in result.out
    drawn = cli("sections", world.tomogram("TS_1"), "--picks", mixed, "--every", 300, "-o", tmp_path / "sections")
    assert drawn.code == 0, drawn.err
    assert "--class" not in result.err + drawn.err
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_picks(mixed, FRAMES, keep_classes=True)) == 6


@pytest.mark.parametrize("column", ["particle_type", "Kind", "class_id", "object_name"])
def test_columns_that_hold_classes(tmp_path, column):
    path = tmp_path / "TS_1.csv"
    path.write_text(f"x [A],y [A],z [A],{column}\n1,2,3,Virus\n40,50,60,ribosome\n70,8,9,ribosome\n")
    with pytest.warns(MixedClassesWarning, match=r"Virus \(1\), ribosome \(2\)"):
        assert len(read_picks(path, FRAMES)) == 3
    chosen = read_picks(path, FRAMES, classes=["RIBOSOME"])
    np.testing.assert_array_equal(chosen.positions[:, 0], [40, 70])
