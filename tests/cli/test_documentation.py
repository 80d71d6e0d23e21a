"""What the documentation tells people to type works as it stands there, on small simulated data."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import DIAMETER, SHAPE, VOXEL_SIZE
from tomopicker import formats

pytestmark = pytest.mark.xdist_group("cli")
ROOT = Path(__file__).parents[2]
NAMES, BINNING = ("TS_1", "TS_2"), 4


def blocks(page, language=""):
    """Give the blocks of code of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page):
    """Give the lines of a page's blocks that call this program."""
    lines = [line for block in blocks(page) for line in block.replace("\\\n", " ").splitlines()]
    return [line.removeprefix("tomopicker ") for line in lines if line.startswith("tomopicker ")]


@pytest.fixture
def project(world, picked, tmp_path, monkeypatch):
    """A folder as the recipes suppose it: picks, tomograms, and what RELION 5 and Warp have of them."""
    shutil.copytree(picked, tmp_path / "picks")
    (tmp_path / "tomograms").mkdir()
    warp = tmp_path / "warp_tiltseries" / "reconstruction"
    warp.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(world.tomogram(name), tmp_path / "tomograms")
        shutil.copy(world.tomogram(name), warp / f"{name}_{VOXEL_SIZE:.2f}Apx.mrc")
    job = tmp_path / "Tomograms" / "job010"
    job.mkdir(parents=True)
    columns = ["Name", "TiltSeriesPixelSize", "SizeX", "SizeY", "SizeZ", "TomogramBinning"]
    x, y, z = (n * BINNING for n in SHAPE[::-1])
    rows = [f"{name} {VOXEL_SIZE / BINNING} {x} {y} {z} {BINNING}" for name in NAMES]
    (job / "tomograms.star").write_text(
        "\n".join(["data_global", "loop_", *(f"_rlnTomo{name}" for name in columns), *rows]) + "\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


RECIPES = commands("docs/formats.md")


def test_every_recipe_has_its_command():
    """What makes the test below able to fail: one for each program that is named."""
    targets = [shlex.split(line)[2].rstrip("/") for line in RECIPES]
    assert targets == ["relion", "warp", "crop.tbl", "info", "models"]


@pytest.mark.parametrize("line", RECIPES)
def test_recipes_from_picks_to_subtomograms(cli, project, line):
    result = cli(*shlex.split(line))
    assert result.code == 0, result.err
    assert result.err == ""
    frames = {name: formats.open_tomogram(project / "tomograms" / f"{name}.mrc").frame for name in NAMES}
    made = project / shlex.split(line)[2]
    if made.name == "relion":
        frames = formats.read_frames(project / "Tomograms" / "job010" / "tomograms.star")
        files = [made / "relion5_import.star"]
    else:
        files = [made] if made.is_file() else sorted(made.iterdir())
    assert len(files) == (2 if made.is_dir() and made.name != "relion" else 1)
    back, meant = formats.read_picks(files, frames), formats.read_picks(project / "picks" / "picks.csv", frames)
    for name in NAMES:
        np.testing.assert_allclose(
            back.in_tomogram(name).positions, meant.in_tomogram(name).positions, atol=1e-2 * VOXEL_SIZE
        )


def test_relion5_without_the_import(cli, project):
    """The other way that the recipe names: particles and their optimisation set."""
    star = "Tomograms/job010/tomograms.star"
    assert cli("convert", "picks/picks.csv", "particles.star", "--tomograms", star).code == 0
    assert formats.read_table(project / "particles_optimisation_set.star").coordinates.shape[1] == 3


def test_python_in_the_readme(world, tmp_path, monkeypatch):
    """As it stands there, but for fewer steps, smaller particles and other names."""
    (block,) = blocks("README.md", "python")
    for before, after in {
        "TS_0001.mrc": "TS_1.mrc",
        "TS_0002.mrc": "TS_2.mrc",
        "clicks_TS_0001_20.csv": "clicks_TS_1.csv",
        "truth/TS_0002.csv": "TS_2_truth.csv",
        "seed=1": 'seed=1, training={"steps": 2}',
        "particle_diameter=300": f"particle_diameter={DIAMETER}",
        "diameter=300": f"diameter={DIAMETER}",
    }.items():
        assert before in block
        block = block.replace(before, after)
    for name in NAMES:
        shutil.copy(world.tomogram(name), tmp_path)
    shutil.copy(world.clicks, tmp_path)
    shutil.copy(world.truth / "TS_2.csv", tmp_path / "TS_2_truth.csv")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert (tmp_path / "ribosome.model").exists() and (tmp_path / "TS_0002.star").exists()
