"""Picks meet their tomograms: whose they are, whether they lie inside, and what to do when they do not."""

import numpy as np
import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.formats import read_picks
from tomopicker.geometry import Frame, Unit
from tomopicker.tomogram import Tomogram

FRAME = Frame((50, 60, 70), 10.0)
BOTH = {"TS_01": FRAME, "TS_02": Frame((50, 60, 70), 5.0)}


@pytest.fixture
def clicks(tmp_path):
    def write(text, name="clicks.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def refusal(path, *arguments, **options) -> str:
    with pytest.raises(TomoPickerError) as caught:
        read_picks(path, *arguments, **options)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tomograms_or_frames(clicks):
    tomogram = Tomogram("TS_01", np.zeros((50, 60, 70), np.float32), 10.0)
    path = clicks("x,y,z,score,tag\n1,2,3,0.5,a\n")
    for at_hand in ([tomogram], {"TS_01": FRAME}):
        picks = read_picks([path], at_hand)
        assert picks.positions.tolist() == [[10, 20, 30]]
        assert picks.tomograms.tolist() == ["TS_01"]
        assert picks.scores.tolist() == [0.5]
        assert picks.extra["tag"].tolist() == ["a"]


def test_several_files_each_of_its_tomogram(clicks):
    paths = [clicks("1,2,3\n", "TS_0002_cyto_ribosomes.csv"), clicks("4,5,6\n7,8,9\n", "clicks_TS_0001_20.csv")]
    picks = read_picks(paths, {"TS_0001": FRAME, "TS_0002": FRAME})
    assert picks.tomograms.tolist() == ["TS_0002", "TS_0001", "TS_0001"]
    assert picks.positions[:, 0].tolist() == [10, 40, 70]


def test_rows_name_their_tomograms(clicks):
    path = clicks("tomogram,x,y,z\nrec_TS_01.mrc,1,2,3\nts_02.tomostar,1,2,3\n")
    picks = read_picks(path, BOTH)
    assert picks.tomograms.tolist() == ["TS_01", "TS_02"]
    assert picks.positions[:, 0].tolist() == [10, 5]


def test_whose_picks_these_are_must_be_clear(clicks):
    assert "not said" in refusal(clicks("1,2,3\n"), BOTH)
    assert "may mean any" in refusal(clicks("1,2,3\n", "TS_01_TS_02.csv"), BOTH)
    assert read_picks(clicks("1,2,3\n"), {"TS_01": FRAME}).tomogram_names == ["TS_01"]
    unknown = refusal(clicks("tomogram,x,y,z\nTS_01,1,2,3\nTS_09,1,2,3\n"), BOTH)
    assert "TS_09" in unknown
    assert "TS_01, TS_02" in unknown


def test_unknown_tomograms_can_be_left_out(clicks):
    path = clicks("tomogram,x,y,z\nTS_01,1,2,3\nTS_09,999,2,3\n")
    with pytest.warns(UserWarning, match="1 pick left out.*TS_09"):
        assert len(read_picks(path, BOTH, ignore_unknown=True)) == 1
    alone = clicks("tomogram,x,y,z\nTS_09,1,2,3\n")
    with pytest.warns(UserWarning, match="TS_09"):
        assert "no picks" in refusal(alone, BOTH, ignore_unknown=True)


def test_units_can_be_told(clicks):
    path = clicks("10,20,30\n", "TS_01.csv")
    assert read_picks(path, BOTH, unit=Unit.ANGSTROM).positions.tolist() == [[10, 20, 30]]
    assert read_picks(path, BOTH, unit=Unit.CENTRED_ANGSTROM).positions.tolist() == [[360, 320, 280]]
    assert read_picks(path, BOTH, pixel_size=2.5).positions.tolist() == [[25, 50, 75]]
    assert read_picks(path, BOTH).positions.tolist() == [[100, 200, 300]]
    stated = clicks("x [A],y [A],z [A]\n10,20,30\n", "TS_01_A.csv")
    assert read_picks(stated, BOTH).positions.tolist() == [[10, 20, 30]]


def test_angstrom_taken_for_voxels_is_noticed(clicks):
    assert "--picks-unit angstrom" in refusal(clicks("350,200,100\n500,400,300\n20,20,20\n", "TS_01.csv"), BOTH)


def test_many_positions_outside_are_refused(clicks):
    inside = "".join(f"{i},{i},{i}\n" for i in range(9))
    message = refusal(clicks(inside + "10,60,10\n11,61,10\n", "TS_01.csv"), BOTH)
    assert "row 10 (10.0, 60.0, 10.0)" in message
    assert "70 x 60 x 50" in message
    assert "angstrom" not in message
    assert len(read_picks(clicks("-0.5,-0.4,0\n69.5,59.5,49.5\n", "TS_01.csv"), BOTH)) == 2
    assert "row 1" in refusal(clicks("-0.6,0,0\n", "TS_01.csv"), BOTH)
    assert "row 2" in refusal(clicks("5,5,5\n10,60,10\n15,5,5\n", "TS_01.csv"), BOTH)


@pytest.mark.parametrize(("n", "bad"), [(4, 1), (30, 1), (60, 3)])
def test_few_positions_outside_are_left_out_and_named(clicks, n, bad):
    rows = [f"{i % 50},{i % 40},{i % 30}" for i in range(n - bad)] + [f"{71 + i},5,6" for i in range(bad)]
    path = clicks("\n".join(rows) + "\n", "TS_01.csv")
    with pytest.warns(UserWarning, match=rf"{bad} of {n} positions left out.*row {n - bad + 1} \(71\.0, 5\.0, 6\.0\)"):
        assert len(read_picks(path, BOTH)) == n - bad
    assert len(read_picks(path, BOTH, check_inside=False)) == n


@pytest.mark.filterwarnings("ignore:.*picks left out")
def test_rows_are_numbered_as_in_the_file(clicks):
    rows = ["TS_09,1,2,3", *[f"TS_01,{i},2,3" for i in (10, 20, 30, 40)], "TS_01,99,2,3"]
    path = clicks("tomogram,x,y,z\n" + "\n".join(rows) + "\n")
    with pytest.warns(UserWarning, match=r"1 of 5 positions left out.*row 6 "):
        assert len(read_picks(path, BOTH, ignore_unknown=True)) == 4


def test_few_are_counted_over_all_files(clicks):
    paths = [clicks("1,2,3\n4,5,6\n30,20,10\n", "TS_01.csv"), clicks("10,20,-1\n", "TS_02.csv")]
    with pytest.warns(UserWarning, match=r"TS_02\.csv: 1 of 1 positions left out"):
        assert read_picks(paths, BOTH).tomogram_names == ["TS_01"]


def test_swapped_axes_are_noticed(clicks):
    assert "z, y, x" in refusal(clicks("45,10,68\n45,10,60\n30,3,20\n", "TS_01.csv"), BOTH)


def test_one_bad_file_of_many_is_named(clicks):
    good, bad = clicks("1,2,3\n", "TS_01.csv"), clicks("1,2,x\n", "TS_02.csv")
    with pytest.raises(TomoPickerError, match=r"TS_02\.csv: line 1"):
        read_picks([good, bad], BOTH)
