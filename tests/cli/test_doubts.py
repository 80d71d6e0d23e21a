"""What is likely a mistake is said in a line: nanometres for Å, the truth of another tomogram, RELION 4's pixels."""

import numpy as np
import pytest

from tests.cli.conftest import DIAMETER, VOXEL_SIZE, write_csv


def warnings(result):
    return [line for line in result.err.splitlines() if line.startswith("tomopicker: warning: ")]


@pytest.mark.parametrize(("diameter", "doubted"), [(30, True), (39, True), (50, False), (DIAMETER, False)])
def test_a_diameter_in_nanometres(world, cli, tmp_path, diameter, doubted):
    """Balls of 100 Å are 10 nm; voxels are 10 Å."""
    arguments = ["train", world.tomogram("TS_1"), "--picks", world.clicks, "-d", diameter, "-o", tmp_path / "m"]
    result = cli(*arguments, "--config", world.config, "--dry-run")
    assert result.code == 0
    assert len(warnings(result)) == doubted
    if doubted:
        assert f"give {10 * diameter} if you meant {diameter} nm" in result.err
    checked = cli("check", world.clicks, world.tomogram("TS_1"), "-d", diameter, "-o", tmp_path / "check.png")
    assert ("if you meant" in checked.err) == doubted


def test_a_diameter_in_nanometres_is_said_when_it_is_trained(world, cli, tmp_path):
    more = ["-d", 30, "--steps", 2, "--mask", "none"]
    result = cli(*world.train_arguments(tmp_path / "m"), *more)
    assert result.code == 0
    assert sum("if you meant 30 nm" in line for line in warnings(result)) == 1


def test_the_truth_of_another_tomogram(cli, tmp_path):
    rng = np.random.default_rng(3)
    one, other = (rng.uniform((0, 0, 20), (300, 300, 80), (60, 3)) for _ in range(2))
    found = one + rng.normal(0, 1, one.shape)
    picks = write_csv(tmp_path / "TS_1.csv", found)
    right = cli("evaluate", picks, "--truth", write_csv(tmp_path / "truth.csv", one))
    assert right.err == ""
    for wrong in (other, one[:, [1, 0, 2]], one * VOXEL_SIZE):
        result = cli("evaluate", picks, "--truth", write_csv(tmp_path / "truth.csv", wrong))
        assert result.code == 0
        assert len(warnings(result)) == 1
        assert "than by chance would: TS_1 (" in result.err


def test_a_few_right_picks_are_no_chance(cli, tmp_path):
    truth = write_csv(tmp_path / "truth.csv", [[100, 100, 100], [200, 200, 100]])
    assert cli("evaluate", write_csv(tmp_path / "a.csv", [[101, 100, 99], [10, 20, 30]]), "--truth", truth).err == ""
    one = write_csv(tmp_path / "one.csv", [[100, 100, 100]])
    assert cli("evaluate", write_csv(tmp_path / "a.csv", [[101, 100, 99]]), "--truth", one).err == ""
    none = cli("evaluate", write_csv(tmp_path / "b.csv", [[150, 100, 99], [10, 20, 30]]), "--truth", truth)
    assert "b (0 of 2)" in none.err


def test_what_the_pixels_of_relion_4_are(world, cli, tmp_path):
    there = ["convert", world.clicks, tmp_path / "a.star", "--to", "relion4", "--overwrite"]
    silent = cli(*there, "--tomograms", world.tomogram("TS_1"), "--bin-factor", 2)
    assert silent.err == ""
    result = cli(*there, "--tomograms", world.tomogram("TS_1"))
    assert result.code == 0
    assert len(warnings(result)) == 1
    assert "pixels of 10 Å" in result.err and "--bin-factor" in result.err


def test_picks_for_relion_4_say_so_too(world, cli, tmp_path):
    result = cli("pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out", "--star-format", "relion4")
    assert result.code == 0
    assert "picks.star: the coordinates count pixels of 10 Å" in result.err


def test_one_is_not_several(world, cli, tmp_path):
    out = cli("convert", world.clicks, tmp_path / "a.csv", "--tomograms", world.tomogram("TS_1")).out
    assert out == f"{tmp_path / 'a.csv'}: 6 picks of 1 tomogram written as csv.\n"


def test_clicks_that_all_lie_within_one_particle(world, cli, tmp_path):
    picks = write_csv(tmp_path / "TS_1.csv", [[20 + i, 20 + i // 2, 15] for i in range(6)])
    arguments = ["train", world.tomogram("TS_1"), "--picks", picks, "-d", DIAMETER, "-o", tmp_path / "m"]
    result = cli(*arguments, "--config", world.config, "--dry-run")
    assert len(warnings(result)) == 1
    assert "less than one particle" in result.err
    assert "--picks-unit" in result.err
    result = cli(*arguments, "--config", world.config, "--steps", 1, "--mask", "none")
    assert "less than one particle" in result.err
