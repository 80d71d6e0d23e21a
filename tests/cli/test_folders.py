"""Every command accepts folders written by the program, and sorts names listed by a shell."""

import shutil

import numpy as np
import pytest

from tests.cli.conftest import DIAMETER, SHAPE, VOXEL_SIZE
from tomopicker import io
from tomopicker.picks import Picks


@pytest.fixture(scope="module")
def simulated(world, tmp_path_factory):
    """Output of `simulate`: truth as CSV and STAR."""
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "settings").mkdir()
    for name in ("TS_1", "TS_2"):
        shutil.copy(world.tomogram(name), folder)
        frames = {name: io.open_tomogram(world.tomogram(name)).frame}
        truth = io.read_picks(world.truth / f"{name}.csv", frames)
        for suffix in (".csv", ".star"):
            io.write_picks(truth, frames, folder / "truth" / f"{name}{suffix}")
        (folder / "settings" / f"{name}.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture(params=["picked", "truth", "simulated", "converted"])
def folder(request, picked, simulated, cli, world, tmp_path):
    """A folder of picks of TS_1 and TS_2, and their number."""
    if request.param == "picked":
        return picked, sum(
            len(path.read_text().splitlines()) - 1 for path in (picked / "TS_1.csv", picked / "TS_2.csv")
        )
    if request.param == "converted":
        target = tmp_path / "converted"
        assert cli("convert", simulated, target, "--to", "relion5", "--tomograms", world.tomograms).code == 0
        assert (target / "relion5_import.star").exists()
        return target, 16
    return (simulated / "truth" if request.param == "truth" else simulated), 16


def test_every_command_takes_it(cli, world, tmp_path, folder):
    path, count = folder
    two = [world.tomogram("TS_1"), world.tomogram("TS_2")]
    checked = cli("check", path, *two, "-d", DIAMETER, "-o", tmp_path / "check.png")
    assert f"({count} picks of 2 tomograms)" in checked.out, checked.err
    cut = cli("export-subtomograms", path, *two, "--box", 8, "-o", tmp_path / "boxes")
    assert cut.code == 0 and f"{count} boxes" in cut.out, cut.err
    written = cli("convert", path, tmp_path / "all.csv", "--tomograms", *two)
    assert written.code == 0 and f"{count} picks of 2 tomograms" in written.out, written.err
    judged = cli("evaluate", path, "--truth", path, *two)
    assert judged.code == 0 and judged.err == ""
    assert judged.out.count("1.000") >= 2
    plan = cli("train", *two, "--picks", path, "-d", DIAMETER, "-o", tmp_path / "m", "--dry-run", "--no-check")
    assert plan.code == 0, plan.err


def test_truth_as_simulate_leaves_it_judges_picks(cli, picked, simulated):
    by_folder = cli("evaluate", picked, "--truth", simulated / "truth")
    assert by_folder.code == 0, by_folder.err
    listed = sorted((simulated / "truth").glob("*.csv"))
    for arguments in ((picked, "--truth", *listed), ("--truth", *listed, picked)):
        assert cli("evaluate", *arguments).out == by_folder.out


def test_a_record_states_the_sizes_that_a_conversion_needs(cli, picked, tmp_path):
    result = cli("convert", picked, tmp_path / "warp.star", "--to", "warp")
    assert result.code == 0, result.err
    assert cli("convert", picked, tmp_path / "five.star").code == 0


def test_another_programs_picks_may_be_a_folder_of_ours(picked, simulated, world):
    from tomopicker.benchmark.candidates import external_picks
    from tomopicker.benchmark.dataset import OpenDataSet
    from tomopicker.benchmark.protocol import DataSet

    tomograms = {name: io.open_tomogram(world.tomogram(name)) for name in ("TS_1", "TS_2")}
    asked = DataSet(tomograms=[world.tomograms], truth=str(world.truth / "{tomogram}.csv"), training="TS_1")
    for folder in (picked, simulated):
        found = external_picks(folder, OpenDataSet("balls", asked, tomograms, {}))
        assert set(found) == {"TS_1", "TS_2"} and all(len(part) for part in found.values())


def test_two_lists_of_one_name_that_differ_are_not_chosen_between(cli, world, tmp_path):
    frames = {"TS_1": io.open_tomogram(world.tomogram("TS_1")).frame}
    for suffix, n in ((".csv", 3), (".star", 4)):
        positions = np.tile(np.array(SHAPE[::-1]) / 2 * VOXEL_SIZE, (n, 1)) + np.arange(n)[:, None]
        io.write_picks(Picks.of("TS_1", positions), frames, tmp_path / f"TS_1{suffix}")
    result = cli("check", tmp_path, world.tomogram("TS_1"), "-d", DIAMETER, "-o", tmp_path / "check.png")
    assert result.code == 2 and len(result.errors) == 1
    assert "TS_1.csv" in result.err and "TS_1.star" in result.err and "different numbers" in result.err


def test_the_format_of_clicks_can_be_named(cli, world, tmp_path):
    clicks = tmp_path / "TS_1.txt"
    clicks.write_text("1 24 28 16\n1 30 20 10\n", encoding="utf-8")
    arguments = ["train", world.tomogram("TS_1"), "--picks", clicks, "-d", DIAMETER, "-o", tmp_path / "m", "--dry-run"]
    result = cli(*arguments, "--no-check", "--from", "nothing")
    assert result.code == 2 and "no format is named" in result.err
    result = cli(*arguments, "--no-check", "--from", "deepetpicker")
    assert result.code == 0 and "TS_1 (24.0, 28.0, 16.0)" in result.out, result.err
