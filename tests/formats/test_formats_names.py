"""Names of tomograms: generous with decoration, never guessing between two."""

from pathlib import Path

import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.formats import match_name
from tomopicker.formats.tomogram_names import check_file_name, contained, files_of, rename_unique, without_rec


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
def test_decoration_is_seen_through(name):
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
    with pytest.raises(TomoPickerError, match="no tomogram is called '70'"):
        match_name("70", ["TS_07", "TS_7"])


def test_names_are_not_shortened_into_one():
    assert rename_unique(["rec_A", "B"], without_rec) == {"rec_A": "A", "B": "B"}
    assert rename_unique(["rec_A", "A"], without_rec) == {"rec_A": "rec_A", "A": "A"}


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
def test_names_that_are_none_of_a_file(name):
    with pytest.raises(TomoPickerError, match=r"list\.star.*rename it") as caught:
        check_file_name(name, "list.star")
    assert str(caught.value).isprintable()
