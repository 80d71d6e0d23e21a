"""``tomopicker export-subtomograms``: boxes are centred on the picks, and the list matches them."""

import mrcfile
import numpy as np
import starfile

from tests.cli.conftest import VOXEL_SIZE
from tomopicker import io


def test_boxes_mean_and_list(cli, world, tmp_path):
    out = tmp_path / "boxes"
    result = cli("export-subtomograms", world.truth / "TS_2.csv", world.tomogram("TS_2"), "--box", 12, "-o", out)
    assert (result.code, result.err) == (0, "")
    with mrcfile.open(out / "subtomograms.mrcs", permissive=False) as file:
        stack, size = file.data.copy(), float(file.voxel_size.x)
        assert file.is_volume_stack()
    assert stack.shape == (8, 12, 12, 12) and size == VOXEL_SIZE
    # Each box is darkest at its centre, where the particle is.
    tomogram = io.open_tomogram(world.tomogram("TS_2"))
    truth = io.read_picks(world.truth / "TS_2.csv", [tomogram])
    listed = starfile.read(out / "subtomograms.star")
    assert listed["rlnImageName"].tolist()[0] == "000001@subtomograms.mrcs"
    again = io.read_picks(out / "subtomograms.star", [tomogram])
    np.testing.assert_allclose(again.positions, truth.positions, atol=1e-3)
    for box in stack:
        assert box[5:8, 5:8, 5:8].mean() < box.mean() - 0.5
    with mrcfile.open(out / "mean.mrc") as file:
        np.testing.assert_allclose(file.data, stack.mean(axis=0), atol=1e-5)
    assert (out / "mean.png").read_bytes().startswith(b"\x89PNG")


def test_binning_and_several_tomograms(cli, world, tmp_path):
    arguments = ["export-subtomograms", world.truth, world.tomograms, "--box", 8, "--binning", 2, "-o", tmp_path]
    assert cli(*arguments).code == 0
    with mrcfile.open(tmp_path / "subtomograms.mrcs") as file:
        assert file.data.shape == (24, 8, 8, 8)
        assert float(file.voxel_size.x) == 2 * VOXEL_SIZE
        mean = file.data.mean(axis=0)
    assert np.unravel_index(mean.argmin(), mean.shape) == (4, 4, 4)
    assert cli(*arguments).code == 2
    assert cli(*arguments, "--overwrite").code == 0


def test_wrong_usage(cli, world, tmp_path):
    for more in (("--box", "1"), ("--box", "8", "--binning", "0")):
        result = cli("export-subtomograms", world.clicks, world.tomogram("TS_1"), *more, "-o", tmp_path / "new")
        assert result.code == 2 and len(result.err.splitlines()) == 1
    assert not (tmp_path / "new").exists()
