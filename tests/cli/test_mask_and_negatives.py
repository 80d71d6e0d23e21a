"""``--mask`` and ``--negatives``: logged, recorded, and refused if invalid."""

import json

import numpy as np
import pytest
import zarr

from tests.cli.conftest import SHAPE, VOXEL_SIZE, write_csv
from tomopicker import io
from tomopicker.api import load_model

QUICK = ("--steps", "2", "--expected-particles", "8")


def train(cli, world, output, *more):
    return cli(*world.train_arguments(output, *QUICK, *more))


def half_mask(path):
    mask = np.zeros(SHAPE, dtype=np.int8)
    mask[:, :, :24] = 1
    io.write_mrc(path, mask, 1.0)
    return path


def test_negatives_are_read_reported_and_recorded(world, cli, tmp_path):
    """As STAR and CSV, far from the clicks."""
    from tomopicker.picks import Picks

    tomogram = io.open_tomogram(world.tomogram("TS_1"))
    clicks = io.read_picks(world.clicks, [tomogram]).positions / VOXEL_SIZE
    grid = np.stack(np.meshgrid([5.0, 24.0, 42.0], [5.0, 28.0, 50.0], [4.0, 16.0, 27.0]), -1).reshape(-1, 3)
    far = grid[np.linalg.norm(grid[:, None] - clicks[None], axis=2).min(axis=1) > 8]
    star = tmp_path / "rejected.star"
    io.write_picks(Picks.of("TS_1", far[:3] * VOXEL_SIZE), {"TS_1": tomogram.frame}, star, "relion5")
    csv = write_csv(tmp_path / "rejected_TS_1.csv", far[3:5])
    result = train(cli, world, tmp_path / "m", "--negatives", star, "--negatives", csv)
    assert result.code == 0, result.err
    assert "6 clicks, 5 negatives" in result.out
    provenance = load_model(tmp_path / "m").provenance
    assert provenance["training"][0]["rejected"] == 5
    assert provenance["files"] == {"picks": [str(world.clicks)], "negatives": [str(star), str(csv)]}
    plan = cli(*world.train_arguments(tmp_path / "n", "--negatives", csv, "--dry-run"))
    assert "6 clicks, 2 negatives" in " ".join(plan.out.split())


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_click_that_is_rejected_too_is_named(world, cli, tmp_path, more):
    result = train(cli, world, tmp_path / "m", "--negatives", world.clicks, *more)
    assert result.code == 2
    assert len(result.errors) == 1
    for words in ("--negatives", "0 Å from the click", "TS_1.mrc"):
        assert words in result.errors[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "a,b,c\n1,2\n"])
def test_negatives_that_cannot_be_read(world, cli, tmp_path, content):
    path = tmp_path / "bad.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    result = train(cli, world, tmp_path / "m", "--negatives", path)
    assert result.code in {1, 2}
    assert len(result.errors) == 1
    assert "bad.csv" in result.errors[0]


def test_which_flag_a_bare_file_belongs_to_is_asked(world, cli, tmp_path):
    csv = write_csv(tmp_path / "rejected_TS_1.csv", np.array([[5.0, 5.0, 5.0]]))
    result = train(cli, world, tmp_path / "m", "--negatives", csv, csv)
    assert result.code == 2
    assert "repeat the flag" in result.errors[0]


def test_training_in_a_mask(world, cli, tmp_path):
    mask = half_mask(tmp_path / "mask.mrc")
    result = train(cli, world, tmp_path / "m", "--mask", mask)
    assert result.code == 0, result.err
    assert "mask: 50% of the volume" in result.out
    assert load_model(tmp_path / "m").provenance["training"][0]["specimen_fraction"] == 0.5


@pytest.mark.parametrize("way", ["auto", "none"])
def test_training_keeps_the_way_for_picking(world, cli, tmp_path, way):
    assert train(cli, world, tmp_path / "m", "--mask", way).code == 0
    assert load_model(tmp_path / "m").settings.preprocess.mask == way


def test_a_mask_that_is_missing_names_the_other_ways(world, cli, tmp_path):
    for result in (
        train(cli, world, tmp_path / "m", "--mask", "atuo"),
        cli("pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out", "--mask", "atuo"),
    ):
        assert result.code in {1, 2}
        assert len(result.errors) == 1
        assert "--mask" in result.errors[0] and "auto" in result.errors[0]


def test_picking_says_how_much_it_looked_at_and_records_the_way(world, cli, tmp_path):
    arguments = ["pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out"]
    masked = cli(*arguments, "--mask", half_mask(tmp_path / "mask.mrc"))
    assert "in 50% of the volume" in masked.out
    found = cli(*arguments, "--mask", "none", "--overwrite")
    assert (found.code, "of the volume" in found.out) == (0, False)
    record = json.loads((tmp_path / "out" / "picks.json").read_text(encoding="utf-8"))
    assert record["settings"]["mask"] == "none"
    other = cli(*arguments, "--mask", "auto")
    assert other.code == 2
    assert "mask none, not auto" in other.errors[0]


def test_a_mask_of_the_finest_scale_picks_in_the_scale_near_the_model(world, cli, tmp_path):
    """OME-Zarr: training reads the finest scale, picking the scale nearest to the model's; one mask serves both."""
    volume = io.open_tomogram(world.tomogram("TS_2")).read()
    group = zarr.open_group(str(tmp_path / "TS_2.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=volume.repeat(2, 0).repeat(2, 1).repeat(2, 2), chunks=(24, 24, 24))
    group.create_array("1", data=volume, chunks=(24, 24, 24))
    levels = [
        {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [size] * 3}]}
        for level, size in enumerate((VOXEL_SIZE / 2, VOXEL_SIZE))
    ]
    axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": levels}]
    small = half_mask(tmp_path / "small.mrc")
    mask = io.open_tomogram(small, voxel_size=1.0).read().astype(np.int8).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    io.write_mrc(tmp_path / "large.mrc", mask, 1.0)
    plain = cli("pick", world.tomogram("TS_2"), "--mask", small, "-m", world.model, "-o", tmp_path / "plain")
    assert plain.code == 0, plain.err
    zarred = cli(
        "pick", tmp_path / "TS_2.zarr", "--mask", tmp_path / "large.mrc", "-m", world.model, "-o", tmp_path / "z"
    )
    assert zarred.code == 0, zarred.err
    assert "'1' is used" in zarred.err
    one = io.read_picks(tmp_path / "plain" / "TS_2.csv", [io.open_tomogram(world.tomogram("TS_2"))])
    other = io.read_picks(tmp_path / "z" / "TS_2.csv", [io.open_tomogram(tmp_path / "TS_2.zarr")])
    assert len(one) > 2
    # The first voxels of both scales share a corner, so their centres differ by half a fine voxel.
    np.testing.assert_allclose(other.positions, one.positions + VOXEL_SIZE / 4, atol=0.01)
