"""Whatever names tomograms lists them, and nothing else can be opened."""

import json

import pytest

from tests.cli.conftest import VOXEL_SIZE
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.io import ReadOptions, write_mrc
from tomopicker.studio.listing import list_tomograms

NAMES = ["TS_1", "TS_2"]


def test_files_and_folders(balls_world):
    assert list_tomograms([balls_world.tomograms]).names == NAMES
    assert list_tomograms([balls_world.file("TS_2"), balls_world.file("TS_1")]).names == NAMES[::-1]
    with pytest.raises(TomoPickerError, match="no such file"):
        list_tomograms([balls_world.tomograms / "nothing.mrc"])


def test_a_tomograms_star(balls_world, tmp_path):
    """Its paths count from the project's folder, above the job's."""
    job = tmp_path / "Tomograms" / "job010"
    job.mkdir(parents=True)
    (tmp_path / "recs").symlink_to(balls_world.tomograms)
    rows = "\n".join(f"{name} recs/{name}.mrc" for name in NAMES)
    star = job / "tomograms.star"
    star.write_text(f"data_global\nloop_\n_rlnTomoName\n_rlnTomoReconstructedTomogram\n{rows}\n", encoding="utf-8")
    listing = list_tomograms([star])
    assert listing.names == NAMES and listing.frame("TS_1").voxel_size == VOXEL_SIZE
    star.write_text("data_global\nloop_\n_rlnTomoName\nTS_1\n", encoding="utf-8")
    with pytest.raises(TomoPickerError, match="names no reconstructed tomograms"):
        list_tomograms([star])


def test_a_copick_configuration(tmp_path):
    zarr = pytest.importorskip("zarr")
    import numpy as np

    folder = tmp_path / "root" / "ExperimentRuns" / "TS_7" / "VoxelSpacing10.000"
    folder.mkdir(parents=True)
    group = zarr.open_group(str(folder / "wbp.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=np.zeros((4, 5, 6), dtype=np.float32))
    scale = {"type": "scale", "scale": [10.0, 10.0, 10.0]}
    axes = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"overlay_root": f"local://{tmp_path}/root", "pickable_objects": []}))
    listing = list_tomograms([config])
    assert listing.names == ["TS_7"] and listing.tomogram("TS_7").shape == (4, 5, 6)


def test_a_second_volume_is_shown_under_the_same_clicks(balls_world, tmp_path):
    denoised = tmp_path / "denoised"
    denoised.mkdir()
    for name in NAMES:
        write_mrc(denoised / f"rec_{name}.mrc", -list_tomograms([balls_world.tomograms]).tomogram(name).read(), 10.0)
    listing = list_tomograms([balls_world.tomograms], [denoised])
    assert list(listing.files["TS_1"]) == ["raw", "denoised"]
    raw, other = listing.tomogram("TS_1"), listing.tomogram("TS_1", "denoised")
    assert other.name == "TS_1" and float((raw.read() + other.read()).max()) == 0
    with pytest.raises(UsageError, match="has no volume"):
        listing.tomogram("TS_1", "../raw")
    (denoised / "rec_TS_1.mrc").rename(denoised / "strange.mrc")
    with pytest.raises(TomoPickerError, match="volume of none of the tomograms"):
        list_tomograms([balls_world.tomograms], [denoised])


def test_voxel_size_and_contrast_as_the_flags_say(balls_world):
    listing = list_tomograms([balls_world.tomograms], reading=ReadOptions(voxel_size=5.0, invert=True))
    opened = listing.tomogram("TS_1")
    assert (opened.voxel_size, opened.inverted) == (5.0, True)


def test_only_what_is_listed(balls_world):
    with pytest.raises(UsageError, match="no tomogram"):
        list_tomograms([balls_world.file("TS_1")]).tomogram("TS_2")
