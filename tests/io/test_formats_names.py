"""Names of tomograms, and the lists of RELION, Warp and tables that give them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.io.test_formats_star import loop
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, Unit
from tomopicker.io import (
    match_name,
    open_tomogram,
    read_picks,
    read_table,
    tomogram_name,
    volume_files,
    write_mrc,
    write_picks,
)
from tomopicker.io.angles import RELION
from tomopicker.io.tomogram_names import (
    check_file_name,
    contained,
    files_of,
    matches,
    rename_unique,
    strip_reconstruction,
)
from tomopicker.picks import Picks


@pytest.mark.parametrize(
    "name",
    [
        "TS_01",
        "ts_01",
        "TS_01.mrc",
        "rec_TS_01.mrc",
        "TS_01.tomostar",
        "TS_01.mrc.tomostar",
        "TS_01_13.48Apx",
        "/data/x/TS_01_13.48Apx.mrc",
        "C:\\data\\TS_01.rec",
        "TS_01.mrc_15.00Apx.mrc",
        "TS_01.mrc.gz",
        "tomograms/TS_01__bin4.hdf",
        "TS_01__bin4_wedgefill.hdf",
    ],
)
def test_decoration_of_names_is_ignored(name):
    assert match_name(name, ["TS_01", "TS_010", "TS_02"]) == "TS_01"
    assert match_name("TS_01", [name, "TS_010", "TS_02"]) == name


def test_exact_name_wins():
    names = ["TS_01", "rec_TS_01", "ts_01", "TS_01_10.00Apx"]
    for name in names:
        assert match_name(name, names) == name


def test_case_is_the_last_resort():
    assert match_name("ts_01.mrc", ["TS_01", "ts_01"]) == "ts_01"


@pytest.mark.parametrize("name", ["TS_1", "TS_010", "S_01", "TS_01_extra", ""])
def test_other_names_are_refused_with_a_list(name):
    with pytest.raises(TomoPickerError, match="TS_01, TS_02"):
        match_name(name, ["TS_01", "TS_02"], "clicks.csv")


def test_two_equally_good_are_refused():
    with pytest.raises(TomoPickerError, match="may mean any"):
        match_name("TS_01", ["rec_TS_01", "TS_01.mrc"])


def test_the_error_stays_one_line():
    with pytest.raises(TomoPickerError) as caught:
        match_name("x", [f"TS_{i:04d}" for i in range(1000)])
    assert "992 more" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_contained_names():
    names = ["TS_01", "TS_01_bin4", "TS_02", "TS_0"]
    assert contained("clicks_TS_01_20.csv", names) == ["TS_01"]
    assert contained("ts_01_bin4_clicks.csv", names) == ["TS_01_bin4"]
    assert contained("TS_012.csv", names) == []
    assert contained("TS_01_and_TS_02.csv", names) == ["TS_01", "TS_02"]
    assert contained("TS_01_and_TS_0.csv", names) == ["TS_01", "TS_0"]
    assert contained("TS_03_particles.csv", ["rec_TS_03.mrc"]) == ["rec_TS_03.mrc"]
    assert contained("TS_03_info.json", ["TS_03__bin4", "TS_04__bin4"]) == ["TS_03__bin4"]


def test_a_bare_number_means_the_name_that_ends_in_it():
    assert match_name("7", ["TS_07", "TS_17", "7_a"]) == "TS_07"
    assert match_name("7", ["TS_07", "7"]) == "7"
    with pytest.raises(TomoPickerError, match="may mean any"):
        match_name("7", ["TS_07", "Position_7"])
    with pytest.raises(TomoPickerError, match="no tomogram is named '70'"):
        match_name("70", ["TS_07", "TS_7"])


def test_names_are_not_shortened_into_one():
    assert rename_unique(["rec_A", "B"], strip_reconstruction) == {"rec_A": "A", "B": "B"}
    assert rename_unique(["rec_A", "A"], strip_reconstruction) == {"rec_A": "rec_A", "A": "A"}


@pytest.mark.parametrize(
    ("name", "files", "found"),
    [
        ("TS_01", "TS_01.csv TS_010.csv clicks_TS_01.csv", "TS_01.csv"),
        ("TS_01", "rec_TS_01.csv TS_01.csv", "TS_01.csv"),
        ("TS_01", "TS_01_info.json TS_02_info.json", "TS_01_info.json"),
        ("TS_01", "TS_01.csv TS_01.star", "TS_01.csv TS_01.star"),
        ("TS_160", "160.csv 161.csv", "160.csv"),
        ("TS_03", "TS_01.csv", ""),
    ],
)
def test_files_of_a_tomogram(name, files, found):
    """A folder's files: equal names first, then those that contain it; two that fit equally well are both given."""
    assert files_of(name, [Path(file) for file in files.split()]) == [Path(file) for file in found.split()]


@pytest.mark.parametrize("name", ["TS_01", "TS 01", "é", "a.b", "...", "-x", "x" * 200])
def test_names_of_files(name):
    assert check_file_name(name, "list.star") == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "..\\a", "a\0", "a\n", "\x7f", "é" * 101, "\udce9"])
def test_invalid_file_names(name):
    with pytest.raises(TomoPickerError, match=r"list\.star.*rename it") as caught:
        check_file_name(name, "list.star")
    assert str(caught.value).isprintable()


SHAPE = (4, 6, 8)


def volume(path, size=10.0):
    write_mrc(path, np.zeros(SHAPE, np.float32), size)
    return path


def names(*paths):
    return [tomogram_name(file) for file in volume_files(paths)]


def test_tomograms_of_relion(tmp_path):
    volume(tmp_path / "Tomograms" / "job7" / "a_strange_name.mrc")
    volume(tmp_path / "Tomograms" / "job7" / "rec_T2.mrc", 1.0)
    labels = "rlnTomoName rlnTomoTiltSeriesPixelSize rlnTomoTomogramBinning rlnTomoSizeX rlnTomoSizeY rlnTomoSizeZ"
    rows = [f"{name} 2.5 4 33 24 16 Tomograms/job7/{file}" for name, file in
            (("L1", "a_strange_name.mrc"), ("T2", "rec_T2.mrc"))]  # fmt: skip
    listed = tmp_path / "Tomograms" / "job7" / "tomograms.star"
    listed.write_text(loop("global", f"{labels} rlnTomoReconstructedTomogram", *rows))
    assert names(listed) == ["L1", "T2"]
    tomograms = [open_tomogram(file) for file in volume_files(listed)]
    # The project's unbinned size is that of RELION's centre, and its voxel size wins over a header of 1.
    assert tomograms[0].frame == Frame(SHAPE, 10.0, (33.0, 24.0, 16.0), 2.5)
    assert tomograms[1].voxel_size == 10.0
    picks = tmp_path / "particles.star"
    centred = "rlnTomoName rlnCenteredCoordinateXAngst rlnCenteredCoordinateYAngst rlnCenteredCoordinateZAngst"
    picks.write_text(loop("particles", centred, "L1 0 0 0"))
    assert read_picks(picks, tomograms).positions.tolist() == [[41.25, 30, 20]]
    (tmp_path / "Tomograms" / "job7" / "rec_T2.mrc").unlink()
    with pytest.raises(TomoPickerError, match=r"rec_T2\.mrc"):
        volume_files(listed)
    listed.write_text(loop("global", labels, "L1 2.5 4 33 24 16"))
    with pytest.raises(TomoPickerError, match="names no reconstructions"):
        volume_files(listed)


@pytest.mark.parametrize("given", ["project", "folder", "settings"])
def test_tomograms_of_a_warp_project(tmp_path, given):
    for series in ("L1_ts_001", "L1_ts_002"):
        volume(tmp_path / "out" / "reconstruction" / f"{series}_10.00Apx.mrc")
    parameters = {"ProcessingFolder": "out", "PixelSize": 2.5, "DimensionsX": 33, "DimensionsY": 24, "DimensionsZ": 16}
    text = "".join(f'<Param Name="{name}" Value="{value}" />' for name, value in parameters.items())
    settings = tmp_path / "tiltseries.settings"
    settings.write_text(f'<?xml version="1.0" encoding="utf-16"?><Settings><Import>{text}</Import></Settings>')
    path = {"project": tmp_path, "folder": tmp_path / "out", "settings": settings}[given]
    assert names(path) == ["L1_ts_001", "L1_ts_002"]
    frame = open_tomogram(volume_files(path)[0]).frame
    assert frame.voxel_size == 10.0
    assert frame.unbinned_pixel_size == (None if given == "folder" else 2.5)


def test_a_table_maps_names_to_files(tmp_path):
    for i in (1, 2):
        volume(tmp_path / "data" / f"{i}.mrc")
    table = tmp_path / "data" / "list.csv"
    table.write_text("tomogram,file,voxel_size\nleft cell,1.mrc,\nright cell,2.mrc,13.5\n")
    assert names(table) == ["left cell", "right cell"]
    assert [open_tomogram(file).voxel_size for file in volume_files(table)] == [10.0, 13.5]
    table.write_text("tomogram,file\na,1.mrc\nb\n")
    with pytest.raises(TomoPickerError, match="line 3"):
        volume_files(table)


def test_files_of_one_name_are_named_after_their_folders(tmp_path):
    one, two = (volume(tmp_path / "s1" / folder / "filtered.mrc") for folder in ("001", "002"))
    three = volume(tmp_path / "s2" / "001" / "filtered.mrc")
    assert names(one, two) == ["001", "002"]
    assert names(one, three) == ["s1_001", "s2_001"]
    assert names(one) == ["filtered"]
    assert [open_tomogram(file).name for file in volume_files([one, two])] == ["001", "002"]
    clicks = tmp_path / "s1" / "002" / "clicks.csv"
    clicks.write_text("1,2,3\n")
    assert read_picks(clicks, {"001": Frame(SHAPE, 10.0), "002": Frame(SHAPE, 10.0)}).tomogram_names == ["002"]


@pytest.mark.parametrize("called", ["T3_Vol", "T3_rec", "T3_full_rec", "rec_T3", "T3_Vol.mrc", "T3_rec_10.00Apx"])
def test_additions_of_programs_to_names_are_ignored(called, tmp_path):
    assert matches("T3", [called, "T4_Vol"]) == [called]
    assert matches(called, ["T3", "T4"]) == ["T3"]
    for format in ("relion5", "warp"):
        picks = Picks.of(called, np.full((1, 3), 10.0))
        write_picks(picks, {called: Frame(SHAPE, 10.0)}, tmp_path / "a.star", format)
        if "Apx" not in called and "." not in called:
            assert read_table(tmp_path / "a.star").tomograms[0].removesuffix(".tomostar") == "T3"


def test_points_of_the_data_portal(tmp_path):
    path = tmp_path / "virus-1.0_orientedpoint.ndjson"
    matrix = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    rows = [
        {"type": "orientedPoint", "location": {"x": i, "y": 2.5, "z": 3}, "xyz_rotation_matrix": matrix} for i in (1, 2)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    table = read_table(path)
    assert (table.unit, table.coordinates.tolist()) == (Unit.VOXEL, [[1, 2.5, 3], [2, 2.5, 3]])
    angles = table.extra[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    np.testing.assert_allclose(RELION.rotations(angles).as_matrix()[1], matrix, atol=1e-9)
    for bad, said in (('{"location": {"x": 1}}', "line 2"), ("[1]", "line 2"), ("{", "line 2"), ("9" * 5000, "line 2")):
        path.write_text(json.dumps({"location": {"x": 1, "y": 2, "z": 3}}) + "\n" + bad + "\n")
        with pytest.raises(TomoPickerError, match=said):
            read_table(path)
