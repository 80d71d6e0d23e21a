"""Names with blanks and odd bytes, terminals without Unicode, and masks in a dry run."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.cli.conftest import DIAMETER, SHAPE, VOXEL_SIZE
from tomopicker.io import read_table, write_mrc


def test_blanks_and_bytes_that_are_not_utf8(world, cli, tmp_path):
    folder = tmp_path / "share"
    folder.mkdir()
    shutil.copy(world.tomogram("TS_2"), folder / "Position 5.mrc")
    shutil.copy(world.tomogram("TS_3"), os.fsdecode(os.fsencode(folder) + b"/Zelle_\xf6.mrc"))
    out = tmp_path / "picks"
    result = cli("pick", folder, "-m", world.model, "-o", out, "--device", "cpu")
    assert result.code == 0, result.err
    assert "'Position 5' is called 'Position_5'" in result.err
    assert sorted({*read_table(out / "picks.star").tomograms}) == ["Position_5", "Zelle_\xf6"]
    assert cli("pick", folder, "-m", world.model, "-o", out, "--device", "cpu").out.count("done already") == 2
    again = cli("convert", out / "picks.star", tmp_path / "a.csv", "--tomograms", folder)
    assert again.code == 0, again.err
    assert set(read_table(tmp_path / "a.csv").tomograms) == {"Position 5", "Zelle_\xf6"}


def test_names_that_would_become_one_are_refused_before_scoring(world, cli, tmp_path):
    for name in ("a b.mrc", "a_b.mrc"):
        shutil.copy(world.tomogram("TS_2"), tmp_path / name)
    result = cli("pick", tmp_path / "a b.mrc", tmp_path / "a_b.mrc", "-m", world.model, "-o", tmp_path / "out")
    assert result.code == 1
    assert "rename the tomogram" in result.errors[0]
    assert not (tmp_path / "out").exists()


def test_an_ascii_terminal(tmp_path):
    write_mrc(tmp_path / "a.mrc", np.zeros((4, 5, 6), np.float32), 10.0)
    (tmp_path / "a.mrc").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xe4.mrc"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [sys.executable, "-m", "tomopicker.cli", "info", "--header", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert rb"\xe4" in done.stdout
    missing = subprocess.run([*command[:-1], b"\xe4.mrc"], env=environment, capture_output=True, check=False)
    assert missing.returncode == 1
    assert missing.stderr.startswith(b"tomopicker: error: ")


@pytest.mark.parametrize("shape", [(16, 28, 24), SHAPE[::-1]])
def test_a_dry_run_refuses_a_mask_of_another_shape(world, cli, tmp_path, shape):
    write_mrc(tmp_path / "mask.mrc", np.ones(shape, np.int8), VOXEL_SIZE)
    result = cli(
        "train", world.tomogram("TS_1"), "--picks", world.clicks, "-d", DIAMETER, "-o", tmp_path / "m",
        "--mask", tmp_path / "mask.mrc", "--dry-run",
    )  # fmt: skip
    assert result.code == 2
    assert "--mask has shape" in result.errors[0]


def test_a_layer_of_napari_does_not_name_a_tomogram(cli, tmp_path):
    (tmp_path / "Points.csv").write_text("index,axis-0,axis-1,axis-2\n0,3,2,1\n")
    result = cli("convert", tmp_path / "Points.csv", tmp_path / "a.csv")
    assert result.code == 2
    assert "--tomograms" in result.errors[0]
