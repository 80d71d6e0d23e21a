"""Commands in the documentation work as written, on small simulated data."""

import re
import runpy
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import DIAMETER, SHAPE, TINY, VOXEL_SIZE
from tomopicker import io

ROOT = Path(__file__).parents[2]
NAMES, BINNING = ("TS_1", "TS_2"), 4


def blocks(page, language=""):
    """Return the code blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page):
    """Return the lines of a page's code blocks that call this program."""
    lines = [line for block in blocks(page) for line in block.replace("\\\n", " ").splitlines()]
    return [line.removeprefix("tomopicker ") for line in lines if line.startswith("tomopicker ")]


@pytest.fixture
def project(world, picked, tmp_path, monkeypatch):
    """A folder as the recipes expect it: picks, tomograms, and projects of RELION 5 and Warp."""
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


RECIPES = commands("docs/export.md")


def test_every_recipe_has_its_command():
    """Shows that the test below can fail: one recipe per program."""
    targets = [shlex.split(line)[2].rstrip("/") for line in RECIPES]
    assert targets == ["relion", "warp", "crop.tbl", "info", "models"]


@pytest.mark.parametrize("line", RECIPES)
def test_recipes_from_picks_to_subtomograms(cli, project, line):
    result = cli(*shlex.split(line))
    assert result.code == 0, result.err
    assert result.err == ""
    frames = {name: io.open_tomogram(project / "tomograms" / f"{name}.mrc").frame for name in NAMES}
    made = project / shlex.split(line)[2]
    if made.name == "relion":
        frames = io.read_frames(project / "Tomograms" / "job010" / "tomograms.star")
        files = [made / "relion5_import.star"]
    else:
        files = [made] if made.is_file() else sorted(made.iterdir())
    assert len(files) == (2 if made.is_dir() and made.name != "relion" else 1)
    back, meant = io.read_picks(files, frames), io.read_picks(project / "picks" / "picks.csv", frames)
    for name in NAMES:
        np.testing.assert_allclose(
            back.in_tomogram(name).positions, meant.in_tomogram(name).positions, atol=1e-2 * VOXEL_SIZE
        )


def test_relion5_without_the_import(cli, project):
    """The recipe's alternative: particles with their optimisation set."""
    star = "Tomograms/job010/tomograms.star"
    assert cli("convert", "picks/picks.csv", "particles.star", "--tomograms", star).code == 0
    assert io.read_table(project / "particles_optimisation_set.star").coordinates.shape[1] == 3


def test_example_from_python(world, tmp_path, capsys):
    """examples/from_python.py of docs/python.md, with few steps and small particles."""
    (tmp_path / "truth").mkdir()
    for number in (1, 2):
        shutil.copy(world.tomogram(f"TS_{number}"), tmp_path / f"TS_000{number}.mrc")
    shutil.copy(world.clicks, tmp_path / "clicks_TS_0001.csv")
    shutil.copy(world.truth / "TS_2.csv", tmp_path / "truth" / "TS_0002.csv")
    module = runpy.run_path(str(ROOT / "examples" / "from_python.py"), run_name="example")
    f1 = module["main"](tmp_path, DIAMETER, **(TINY | {"training": {"steps": 2}}))
    said = capsys.readouterr().out.splitlines()
    shown = (ROOT / "examples" / "from_python.txt").read_text(encoding="utf-8").splitlines()
    assert 0 <= f1 <= 1 and said[-1].endswith(f"F1 {f1:.2f}")
    assert shape(said[-1]) == shape(shown[-1])
    assert {line.split()[1] for line in said[:-1]} <= {line.split()[1] for line in shown[:-1]}
    assert (tmp_path / "ribosome.model").exists() and (tmp_path / "TS_0002.star").exists()


def shape(text):
    """Return the printed text with numbers and blanks masked.

    Excludes the lines after training, the specimen fraction (not printed for a whole volume), and the number of
    pseudo-labels (none in a small tomogram whose particles are all clicked).
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("training: ")]
    lines = [
        re.sub(r", in [\d.]+% of the volume|; lamella found: [\d.]+% of the volume|(?<=^Pseudo-labels:).*", "", line)
        for line in lines
    ]
    return [" ".join(re.sub(r"[\d.]+|[─–]+", "#", line).split()) for line in lines]


def test_quick_start(cli, tmp_path, monkeypatch):
    """The commands of examples/quick_start.sh print what the README shows, except numbers (two training steps)."""
    commands = re.split(r"(?<!\\)\n", (ROOT / "examples" / "quick_start.sh").read_text(encoding="utf-8").strip())
    outputs = (ROOT / "examples" / "quick_start.txt").read_text(encoding="utf-8").split("$\n")[1:]
    commands = [command.removeprefix("tomopicker ") for command in commands if command.startswith("tomopicker ")]
    assert len(commands) == len(outputs) == 4
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for command, shown in zip(commands, outputs, strict=True):
        arguments = shlex.split(command.replace("200,200,80 --particles 30", "192,160,52 --particles 8"))
        if arguments[0] == "train":
            arguments += ["--steps", "2", "--no-check"]
        if arguments[0] == "pick":
            # After two steps, a threshold is needed to get picks at all.
            arguments += ["--threshold", "0.0", "--pictures"]
        result = cli(*arguments)
        assert result.code == 0, result.err
        assert shape(result.out) == shape(shown), command
