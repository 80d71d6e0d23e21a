"""``tomopicker sections``: ticks of the picture are the coordinates of a CSV."""

import numpy as np
import pytest
from matplotlib.image import imread

from tests.cli.conftest import SHAPE, VOXEL_SIZE
from tomopicker.io import open_tomogram, write_mrc
from tomopicker.output.figures import save_figure
from tomopicker.output.sections import DPI, compose_section, sections_every


def test_a_dark_spot_lies_at_the_ticks_of_its_voxel(tmp_path):
    volume = np.random.default_rng(0).normal(0, 0.1, (9, 50, 80)).astype(np.float32)
    volume[4, 12, 61] = -50
    write_mrc(tmp_path / "spot.mrc", volume, 10.0)
    tomogram = open_tomogram(tmp_path / "spot.mrc")
    figure = compose_section(tomogram, 4, 10.0)
    axes = figure.axes[0]
    picture = tmp_path / "spot.png"
    save_figure(compose_section(tomogram, 4, 10.0), picture, DPI)
    figure.set_dpi(100)
    column, row = axes.transData.transform((61, 12))
    pixels = imread(picture)[..., :3].mean(axis=2)[::-1]
    around = pixels[int(row) - 6 : int(row) + 7, int(column) - 6 : int(column) + 7]
    assert around.min() == around[6, 6] == 0 or np.argwhere(around == around.min()).mean(axis=0) == pytest.approx(
        (6, 6), abs=1.5
    )
    ticks = axes.get_xticks()
    assert set(np.diff(ticks)) == {ticks[1] - ticks[0]} and 0 in ticks


def test_marks_lie_on_the_picks_near_the_section(world):
    tomogram = open_tomogram(world.tomogram("TS_1"))
    positions = np.array([[100.0, 200.0, 150.0], [300.0, 100.0, 160.0], [50.0, 50.0, 290.0]])
    figure = compose_section(tomogram, 15, 50.0, positions)
    (marks,) = [line for line in figure.axes[0].lines if line.get_marker() == "+"]
    np.testing.assert_allclose(marks.get_xydata(), positions[:2, :2] / VOXEL_SIZE)
    assert "z = 15   (sections 13 to 17 averaged; voxels of 10 Å)" in figure.texts[-1].get_text()


@pytest.mark.parametrize(
    ("distance", "expected"), [(50.0, [2, 7, 12, 17, 22, 27]), (1.0, list(range(32))), (1e6, [15])]
)
def test_sections_are_equally_far_apart(world, distance, expected):
    assert sections_every(open_tomogram(world.tomogram("TS_1")), distance) == expected


def test_command(cli, world, tmp_path):
    arguments = ["sections", world.tomogram("TS_1"), world.tomogram("TS_2"), "-o", tmp_path, "--every", 160]
    result = cli(*arguments, "--picks", world.clicks)
    assert (result.code, result.err) == (0, "")
    names = [f"TS_{n}_z{z:04d}.png" for n in (1, 2) for z in (7, 23)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert imread(tmp_path / names[0]).shape[1] > 4 * SHAPE[2]
    again = cli(*arguments)
    assert again.code == 2 and "--overwrite" in again.err
    assert cli(*arguments, "--overwrite").code == 0


@pytest.mark.parametrize("every", ["0", "-3", "nan"])
def test_wrong_distance(cli, world, tmp_path, every):
    result = cli("sections", world.tomogram("TS_1"), "-o", tmp_path / "new", "--every", every)
    assert result.code == 2 and "--every" in result.err and not (tmp_path / "new").exists()
