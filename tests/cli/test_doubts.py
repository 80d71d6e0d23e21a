"""Likely mistakes are reported in one line: nm for Å, truth of another tomogram, RELION 4's pixels."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import DIAMETER, SHAPE, VOXEL_SIZE, balls, write_csv
from tomopicker.cluster.pick_tomogram import crowded
from tomopicker.tomogram import Tomogram


def warnings(result):
    return [line for line in result.err.splitlines() if line.startswith("tomopicker: warning: ")]


@pytest.mark.parametrize(("diameter", "doubted"), [(30, True), (39, True), (50, False), (DIAMETER, False)])
def test_a_diameter_in_nanometres(world, cli, tmp_path, diameter, doubted):
    """Balls of 100 Å are 10 nm; voxels are 10 Å."""
    arguments = ["train", world.tomogram("TS_1"), "--picks", world.clicks, "-d", diameter, "-o", tmp_path / "m"]
    result = cli(*arguments, "--config", world.config, "--dry-run")
    assert result.code == 0
    assert len([line for line in warnings(result) if "if you meant" in line]) == doubted
    if diameter == DIAMETER / 2:  # The radius as diameter.
        assert f"--particle-diameter is the whole width in Å: is {DIAMETER:g} right?" in result.err
    if doubted:
        assert f"give {10 * diameter} if you meant {diameter} nm" in result.err
    checked = cli("check", world.clicks, world.tomogram("TS_1"), "-d", diameter, "-o", tmp_path / "check.png")
    assert ("if you meant" in checked.err) == doubted


def clicks_and_plan(world, cli, tmp_path, positions, *more, name="clicks.csv"):
    clicks = write_csv(tmp_path / name, positions)
    arguments = ["train", world.tomogram("TS_1"), "--picks", clicks, "-d", DIAMETER, "-o", tmp_path / "m"]
    return cli(*arguments, "--config", world.config, "--dry-run", *more)


def test_clicks_that_lie_on_nothing_are_reported_beforehand_and_afterwards(world, cli, tmp_path):
    places = np.array([[6, 50, 5], [42, 6, 27], [24, 8, 6.0]])
    far = [place for place in places if np.linalg.norm(balls(1)[1] - place, axis=1).min() > 7]
    assert far
    plan = clicks_and_plan(world, cli, tmp_path, far)
    assert plan.code == 0
    assert "look at the picture" in plan.err
    assert "tomopicker check" in plan.err and "--particle-diameter 100" in plan.err
    more = ["--config", world.config, "-o", tmp_path / "m", "--steps", 2, "--mask", "none", "--device", "cpu"]
    trained = cli("train", world.tomogram("TS_1"), "--picks", tmp_path / "clicks.csv", "-d", DIAMETER, *more)
    assert trained.code == 0
    assert trained.out.count("Remember: the clicks: ") >= 1


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_clicks_are_reported(world, cli, tmp_path, count):
    result = clicks_and_plan(world, cli, tmp_path, balls(1)[1][:count])
    assert f"{count} click{'s show' if count > 1 else ' shows'} too little" in result.err


def test_a_click_counts_once(world, cli, tmp_path):
    centres = balls(1)[1][:6]
    result = clicks_and_plan(world, cli, tmp_path, np.concatenate([centres, centres + 0.5]))
    assert "6 of 12 clicks are left out" in result.err
    assert "6 clicks" in result.out and "12 clicks" not in result.out
    assert "left out" not in clicks_and_plan(world, cli, tmp_path, centres).err


def test_a_dry_run_says_how_clicks_are_read(world, cli, tmp_path):
    centres = balls(1)[1]
    said = " ".join(clicks_and_plan(world, cli, tmp_path, centres).out.split())
    assert "in voxels of the tomogram; neither its name nor its contents name a tomogram; taken for TS_1" in said
    assert "TS_1 ({:.1f}, {:.1f}, {:.1f}), (".format(*centres[0]) in said
    other = clicks_and_plan(world, cli, tmp_path, centres * VOXEL_SIZE, "--picks-unit", "angstrom", name="TS_1.csv")
    said = " ".join(other.out.split())
    assert "in Å from the centre of the first voxel" in said and "taken for" not in said
    assert "TS_1 ({:.1f}, {:.1f}, {:.1f}), (".format(*centres[0]) in said


def test_a_dry_run_refuses_what_the_run_refuses(world, cli, tmp_path):
    from tomopicker.io import write_mrc

    (tmp_path / "m").write_text("a model", encoding="utf-8")
    wrong, empty = tmp_path / "wrong.mrc", tmp_path / "empty.mrc"
    write_mrc(wrong, np.ones((8, 8, 8), dtype=np.float32), VOXEL_SIZE)
    write_mrc(empty, np.zeros(SHAPE, dtype=np.float32), VOXEL_SIZE)
    for output, more, words in (
        ("m", (), "--overwrite"),
        ("m/inside", (), "--output"),
        ("n", ("--mask", wrong), "--mask has shape (8, 8, 8)"),
        ("n", ("--mask", empty), "0 everywhere"),
        ("n", ("--expected-particles", 2), "less than the 6 clicks"),
        ("n", ("--device", "abacus"), "--device"),
    ):
        config = ["--config", world.config]
        arguments = ["train", world.tomogram("TS_1"), "--picks", world.clicks, "-d", DIAMETER, *config, *more]
        plan, real = (cli(*arguments, "-o", tmp_path / output, *flag) for flag in (("--dry-run",), ()))
        assert plan.code == real.code != 0
        assert plan.err == real.err and words in plan.err
        assert len(plan.errors) == 1


@pytest.mark.parametrize(("factor", "size", "unit"), [(4, "2.5", True), (2, "5", True), (VOXEL_SIZE, "", False)])
def test_clicks_of_unbinned_pixels_are_not_called_angstrom(world, cli, tmp_path, factor, size, unit):
    result = clicks_and_plan(world, cli, tmp_path, balls(1)[1] * factor)
    assert result.code == 1
    assert f"--picks-pixel-size {size}" in result.err if unit else "they look like Å" in result.err
    if unit:
        read = clicks_and_plan(world, cli, tmp_path, balls(1)[1] * factor, "--picks-pixel-size", size)
        assert (read.code, read.err) == (0, "")


def test_a_header_without_a_voxel_size_is_not_blamed_on_the_diameter(world, cli, tmp_path):
    from tomopicker.io import write_mrc

    write_mrc(tmp_path / "TS_1.mrc", balls(1)[0], 1.0)
    picked = cli("pick", tmp_path / "TS_1.mrc", "-m", world.model, "-o", tmp_path / "out")
    assert picked.code == 1 and len(picked.errors) == 1
    assert "give --voxel-size" in picked.errors[0] and "--particle-diameter" not in picked.err
    asked = ["train", tmp_path / "TS_1.mrc", "--picks", world.clicks, "-o", tmp_path / "m", "--dry-run", "--no-check"]
    trained = cli(*asked, "-d", DIAMETER)
    assert trained.code == 2 and "give --voxel-size" in trained.errors[0]
    doubted = cli(*asked, "-d", 22)
    assert doubted.code == 0 and "so give --voxel-size" in doubted.err and "too few" not in doubted.err


def test_the_contrast_of_training_is_remembered_and_the_other_one_seen(world, cli, tmp_path, monkeypatch):
    from tomopicker import api
    from tomopicker.io import write_mrc

    for number in (1, 2):
        write_mrc(tmp_path / f"TS_{number}.mrc", -balls(number)[0], VOXEL_SIZE)
    missed = cli("pick", tmp_path / "TS_2.mrc", "-m", world.model, "-o", tmp_path / "none")
    assert "if protein is bright; give --invert" in missed.err, missed.out + missed.err
    arguments = ["train", tmp_path / "TS_1.mrc", "--picks", world.clicks, "-d", DIAMETER, "--config", world.config]
    assert cli(*arguments, "--invert", "-o", tmp_path / "m", "--device", "cpu").code == 0
    tries = []
    monkeypatch.setattr(
        "tomopicker.cluster.pick_tomogram.pick", lambda *a, pick=api.pick, **k: tries.append(a) or pick(*a, **k)
    )
    picked = cli("pick", tmp_path / "TS_2.mrc", "-m", tmp_path / "m", "-o", tmp_path / "out")
    assert picked.code == 0, picked.err
    assert len(tries) == 1  # With picks, the inverted contrast is not tested.
    high = cli("pick", tmp_path / "TS_2.mrc", "-m", tmp_path / "m", "-o", tmp_path / "high", "--threshold", "0.99999")
    assert high.code == 0 and len(tries) == 2 and "give --" not in high.err
    assert "was trained with --invert" in picked.out
    dark = cli("pick", world.tomogram("TS_2"), "-m", tmp_path / "m", "-o", tmp_path / "dark", "--no-invert")
    rows = [(tmp_path / name / "TS_2.csv").read_text(encoding="utf-8") for name in ("out", "dark")]
    assert dark.code == 0 and rows[0] == rows[1] and rows[0].count("TS_2") > 3


def test_a_folder_without_picks_is_not_called_damaged(cli, tmp_path):
    result = cli("threshold", tmp_path)
    assert result.code == 1
    assert "no picks.json in this folder" in result.err and "damaged" not in result.err


def test_a_diameter_in_nanometres_is_reported_when_it_is_trained(world, cli, tmp_path):
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
        assert "than by chance: TS_1 (" in result.err


def test_a_few_right_picks_are_no_chance(cli, tmp_path):
    truth = write_csv(tmp_path / "truth.csv", [[100, 100, 100], [200, 200, 100]])
    assert cli("evaluate", write_csv(tmp_path / "a.csv", [[101, 100, 99], [10, 20, 30]]), "--truth", truth).err == ""
    one = write_csv(tmp_path / "one.csv", [[100, 100, 100]])
    assert cli("evaluate", write_csv(tmp_path / "a.csv", [[101, 100, 99]]), "--truth", one).err == ""
    none = cli("evaluate", write_csv(tmp_path / "b.csv", [[150, 100, 99], [10, 20, 30]]), "--truth", truth)
    assert "b (0 of 2)" in none.err


def test_what_the_pixels_of_relion_4_are(world, cli, tmp_path):
    there = ["convert", world.clicks, tmp_path / "a.star", "--to", "relion4", "--overwrite"]
    silent = cli(*there, "--tomograms", world.tomogram("TS_1"), "--binning", 2)
    assert silent.err == ""
    result = cli(*there, "--tomograms", world.tomogram("TS_1"))
    assert result.code == 0
    assert len(warnings(result)) == 1
    assert "pixels of 10 Å" in result.err and "--binning" in result.err


def test_picks_for_relion_4_report_it_too(world, cli, tmp_path):
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
    assert "less than one particle" in warnings(result)[0]
    assert "--picks-unit" in result.err
    result = cli(*arguments, "--config", world.config, "--steps", 1, "--mask", "none")
    assert "less than one particle" in result.err


@pytest.mark.parametrize(("particles", "warned"), [(540.0, True), (100.0, False), (3.0, False)])
def test_far_denser_than_in_training(particles, *, warned):
    tomogram = Tomogram("TS_2", np.zeros((10, 20, 30), np.float32), 10.0)
    trained = {"shape_zyx": [10, 20, 30], "voxel_size_angstrom": 10.0, "specimen_fraction": 1.0}
    doubt = crowded(Path("TS_2.mrc"), tomogram, {"particles": 60.0, "training": [trained]}, 1.0, particles)
    assert ("9.0 times as dense" in (doubt or "")) == warned
