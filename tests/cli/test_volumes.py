"""Formats other than MRC in info and pick: the right scale, and unchanged positions."""

import json

import h5py
import numpy as np
import zarr

from tests.cli.conftest import VOXEL_SIZE
from tomopicker import io


def as_zarr(path, volume, levels):
    """Write a tomogram of half the voxel size, and coarser scales by averaging."""
    fine = np.repeat(np.repeat(np.repeat(volume, 2, 0), 2, 1), 2, 2)
    group = zarr.open_group(str(path), mode="w")
    datasets = []
    for level in range(levels):
        data = fine if level == 0 else volume
        group.create_array(str(level), data=data, chunks=(16, 16, 16))
        scale = [VOXEL_SIZE / 2 * 2**level] * 3
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}


def test_info_lists_a_zarr_folder(cli, world, tmp_path):
    as_zarr(tmp_path / "TS_2.zarr", io.open_tomogram(world.tomogram("TS_2")).read(), 2)
    result = cli("info", tmp_path, "--header")
    assert result.code == 0 and "96 × 112 × 64" in result.out and "5 Å" in result.out


def test_a_coarser_scale_is_picked_in_and_positions_count_from_the_finest(cli, world, picked, tmp_path):
    as_zarr(tmp_path / "TS_2.zarr", io.open_tomogram(world.tomogram("TS_2")).read(), 2)
    result = cli("pick", tmp_path / "TS_2.zarr", "-m", world.model, "-o", tmp_path / "out", "--device", "cpu")
    assert result.code == 0
    assert "'1' is used, of 10 Å" in result.err
    tomogram = io.open_tomogram(tmp_path / "TS_2.zarr")
    assert tomogram.voxel_size == VOXEL_SIZE / 2
    new = io.read_picks(tmp_path / "out" / "TS_2.csv", [tomogram]).positions
    old = io.read_picks(picked / "TS_2.csv", [io.open_tomogram(world.tomogram("TS_2"))]).positions
    # The centres of the first voxels differ by a quarter of 10 Å.
    assert len(new) == len(old) > 0
    np.testing.assert_allclose(new, old + VOXEL_SIZE / 4, atol=0.2)
    # The merged files are read in the same frame.
    merged = io.read_picks(tmp_path / "out" / "picks.csv", [tomogram]).positions
    np.testing.assert_allclose(merged, new, atol=1e-2)


def test_axes_and_dataset_are_flags(cli, world, tmp_path):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    for name, shape in (("raw", (8, 10, 12)), ("other", (4, 4, 4))):
        group.create_array(name, data=np.random.default_rng(0).normal(size=shape).astype(np.float32))
    failed = cli("info", tmp_path / "a.zarr", "--voxel-size", 10)
    assert failed.code == 1 and "--dataset" in failed.err
    arguments = ("info", tmp_path / "a.zarr", "--voxel-size", 10, "--dataset", "raw")
    assert "12 × 10 × 8" in cli(*arguments).out
    assert "8 × 10 × 12" in cli(*arguments, "--axes", "xyz").out
    assert cli(*arguments, "--axes", "xxz").code == 2


def test_evaluate_and_convert_take_them_too(cli, world, tmp_path):
    """An HDF5 file with two arrays, stored x first: positions fit in 56 voxels along y, not in 48."""
    volume = io.open_tomogram(world.tomogram("TS_2")).read()
    tomogram = tmp_path / "TS_2.h5"
    with h5py.File(tomogram, "w") as file:
        file["raw"], file["other"] = volume.transpose(2, 1, 0), volume[:4, :4, :4]
    truth = world.truth / "TS_2.csv"
    sizes = ["--tomograms", tomogram, "--voxel-size", "10"]
    flags = ["--dataset", "raw", "--axes", "xyz"]
    judge = ["evaluate", truth, "--truth", truth, "--tolerance", "50A", "--json", tmp_path / "j.json"]
    turn = ["convert", truth, tmp_path / "o.star"]
    for command in (judge, turn):
        assert "--dataset" in cli(*command, *sizes).err
        wrong = cli(*command, *sizes, "--dataset", "other")
        assert wrong.code == 1 and "outside" in wrong.err
        alone = cli(*command, *flags)
        assert alone.code == 2 and "give --tomograms too" in alone.err
        assert cli(*command, *sizes, *flags).code == 0
    assert json.loads((tmp_path / "j.json").read_text())["mean"]["f1"] == 1
    by_file = cli("convert", truth, tmp_path / "p.star", "--tomograms", world.tomogram("TS_2"))
    assert by_file.code == 0
    with_flags, without = (io.read_table(tmp_path / name) for name in ("o.star", "p.star"))
    np.testing.assert_allclose(with_flags.coordinates, without.coordinates, atol=1e-3)
