"""``tomopicker check``: printed lines, picture and exit code."""

import numpy as np
import pytest

from tests.cli.conftest import DIAMETER, SHAPE, VOXEL_SIZE, write_csv
from tomopicker.io import write_mrc

N = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tomogram with enough balls for a mean."""
    folder = tmp_path_factory.mktemp("check")
    rng = np.random.default_rng(5)
    shape = (64, 72, 80)
    centres = []
    while len(centres) < N:
        new = rng.uniform(8, np.array(shape[::-1]) - 9)
        if all(np.linalg.norm(new - other) > 12 for other in centres):
            centres.append(new)
    grid = np.indices(shape)[::-1]
    volume = rng.normal(0, 0.4, shape)
    for centre in centres:
        volume -= 2 * np.exp(-np.square(grid - centre[:, None, None, None]).sum(axis=0) / (2 * 3.0**2))
    write_mrc(folder / "TS_1.mrc", volume.astype(np.float32), VOXEL_SIZE)
    write_csv(folder / "TS_1.csv", np.array(centres))
    swapped = np.array(centres)[:, [1, 0, 2]]
    write_csv(folder / "swapped_TS_1.csv", swapped)
    return folder


def test_good_picks_pass_and_are_drawn(cli, folder, tmp_path):
    picture = tmp_path / "new" / "check.png"
    result = cli("check", folder / "TS_1.csv", folder / "TS_1.mrc", "-d", DIAMETER, "-o", picture)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["PASS", "inside"], ["PASS", "contrast"], ["PASS", "reading"]]
    assert lines[-1].startswith("No fault found")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_bad_picks_exit_with_1_and_state_the_remedy(cli, folder, tmp_path, suffix):
    picture = tmp_path / f"check{suffix}"
    result = cli("check", folder / "swapped_TS_1.csv", folder / "TS_1.mrc", "-d", DIAMETER, "-o", picture)
    assert result.code == 1
    assert "x and y are swapped" in result.out
    assert "→ write the columns as x, y, z" in result.out
    assert picture.stat().st_size > 1000


def test_clicks_that_fit_far_better_otherwise_stop_a_training(cli, folder, tmp_path):
    """Also in a dry run; `--no-check` skips the check."""
    asked = ["train", folder / "TS_1.mrc", "--picks", folder / "swapped_TS_1.csv", "-d", DIAMETER, "-o", tmp_path / "m"]
    for more in ((), ("--dry-run",)):
        result = cli(*asked, *more)
        assert (result.code, len(result.errors)) == (2, 1)
        assert "x and y are swapped" in result.err and "--no-check" in result.err
    past = cli(*asked, "--dry-run", "--no-check")
    assert (past.code, past.err) == (0, "")


def test_few_picks_are_not_called_right(cli, folder, tmp_path):
    positions = np.loadtxt(folder / "TS_1.csv", delimiter=",", skiprows=1)[:2]
    few = write_csv(tmp_path / "TS_1.csv", positions)
    result = cli("check", few, folder / "TS_1.mrc", "-d", DIAMETER, "-o", tmp_path / "check.png")
    assert result.code == 0
    assert "No fault found" not in result.out
    assert f"cannot decide whether the picks are right (2 picks of 1 tomogram); see {tmp_path}" in result.out


def test_positions_outside_are_a_finding_and_no_error(cli, folder, tmp_path):
    far = write_csv(tmp_path / "TS_1.csv", np.array([[500.0, 10, 10], [40, 40, 30]]))
    result = cli("check", far, folder / "TS_1.mrc", "-d", DIAMETER, "-o", tmp_path / "check.png")
    assert result.code == 1
    assert "1 of 2 positions lie outside" in result.out
    assert not result.errors


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("-d", "0"), "--particle-diameter 0"),
        (("-d", "9000"), "--particle-diameter 9000"),
        (("-d", "100", "-o", "check.jpg"), ".png, .svg or .pdf"),
        (("-d", "100", "--from", "nothing"), "'nothing'"),
    ],
)
def test_wrong_usage_is_one_line_and_2(cli, folder, more, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("check", folder / "TS_1.csv", folder / "TS_1.mrc", *more)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1 and words in result.err
    assert not list(tmp_path.iterdir())


def test_the_world_of_the_other_tests_is_small_enough_to_doubt(cli, world, tmp_path):
    assert SHAPE[0] < 64
    result = cli("check", world.clicks, world.tomogram("TS_1"), "-d", DIAMETER, "-o", tmp_path / "check.png")
    assert "too few to test whether they are centred" in result.out
    assert result.code == 0
