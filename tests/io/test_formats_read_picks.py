"""Picks in their tomograms: which one is meant, and the unit where a file does not state it."""

import warnings

import numpy as np
import pytest

from tests.io.test_formats_star import CENTRED, PIXELS, loop
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, Unit
from tomopicker.io import read_picks, read_table
from tomopicker.io.read import InferredUnitWarning
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


def test_one_file_per_tomogram(clicks):
    paths = [clicks("1,2,3\n", "TS_0002_cyto_ribosomes.csv"), clicks("4,5,6\n7,8,9\n", "clicks_TS_0001_20.csv")]
    picks = read_picks(paths, {"TS_0001": FRAME, "TS_0002": FRAME})
    assert picks.tomograms.tolist() == ["TS_0002", "TS_0001", "TS_0001"]
    assert picks.positions[:, 0].tolist() == [10, 40, 70]


def test_rows_name_their_tomograms(clicks):
    path = clicks("tomogram,x,y,z\nrec_TS_01.mrc,1,2,3\nts_02.tomostar,1,2,3\n")
    picks = read_picks(path, BOTH)
    assert picks.tomograms.tolist() == ["TS_01", "TS_02"]
    assert picks.positions[:, 0].tolist() == [10, 5]


def test_ambiguous_tomograms_are_refused(clicks):
    assert "is not stated" in refusal(clicks("1,2,3\n"), BOTH)
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


def test_units_can_be_given(clicks):
    path = clicks("10,20,30\n", "TS_01.csv")
    assert read_picks(path, BOTH, unit=Unit.ANGSTROM).positions.tolist() == [[10, 20, 30]]
    assert read_picks(path, BOTH, unit=Unit.CENTRED_ANGSTROM).positions.tolist() == [[360, 320, 280]]
    assert read_picks(path, BOTH, pixel_size=2.5).positions.tolist() == [[25, 50, 75]]
    assert read_picks(path, BOTH).positions.tolist() == [[100, 200, 300]]
    stated = clicks("x [A],y [A],z [A]\n10,20,30\n", "TS_01_A.csv")
    assert read_picks(stated, BOTH).positions.tolist() == [[10, 20, 30]]


def test_angstrom_read_as_voxels_is_detected(clicks):
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


def test_few_positions_outside_are_counted_over_all_files(clicks):
    paths = [clicks("1,2,3\n4,5,6\n30,20,10\n", "TS_01.csv"), clicks("10,20,-1\n", "TS_02.csv")]
    with pytest.warns(UserWarning, match=r"TS_02\.csv: 1 of 1 positions left out"):
        assert read_picks(paths, BOTH).tomogram_names == ["TS_01"]


def test_swapped_axes_are_detected(clicks):
    assert "z, y, x" in refusal(clicks("45,10,68\n45,10,60\n30,3,20\n", "TS_01.csv"), BOTH)


def test_one_bad_file_of_many_is_named(clicks):
    good, bad = clicks("1,2,3\n", "TS_01.csv"), clicks("1,2,x\n", "TS_02.csv")
    with pytest.raises(TomoPickerError, match=r"TS_02\.csv: line 1"):
        read_picks([good, bad], BOTH)


FRAMES = {"TS_01": FRAME}
BINNED = {"TS_01": Frame((50, 60, 70), 10.0, (280.0, 240.0, 200.0), 2.5)}
NAMED = f"rlnMicrographName {PIXELS}"


@pytest.fixture
def write(tmp_path):
    def write(text, name="picks.star"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def noted(path, frames=FRAMES, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picks = read_picks(path, frames, **options)
    return picks, [str(warning.message) for warning in caught if warning.category is InferredUnitWarning]


def units_refusal(path, frames=FRAMES, **options):
    with pytest.raises(TomoPickerError) as caught:
        read_picks(path, frames, **options)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("rlnMagnification rlnDetectorPixelSize rlnPixelSize", "20000 8.0 2.0"),  # 4 Å against 2
        ("rlnPixelSize rlnMicrographPixelSize", "2.0 2.1"),
        ("rlnPixelSize rlnTomoTiltSeriesPixelSize", "10 2.5"),
    ],
)
def test_two_sizes_of_one_pixel_contradict_each_other(write, columns, values):
    path = write(loop("", f"{NAMED} {columns}", f"TS_01 4 8 12 {values}", f"TS_01 40 8 12 {values}"))
    message = units_refusal(path)
    assert "two sizes" in message
    assert "--picks-pixel-size" in message
    assert all(name in message for name in columns.split()[-2:])
    assert read_picks(path, FRAMES, pixel_size=2.0).positions[0].tolist() == [8, 16, 24]
    assert read_picks(path, FRAMES, unit=Unit.ANGSTROM).positions[0].tolist() == [4, 8, 12]


def test_the_optics_group_and_the_row_contradict_each_other(write):
    optics = loop("optics", "rlnOpticsGroup rlnTomoTiltSeriesPixelSize", "1 2.0")
    row = loop("particles", f"rlnTomoName {PIXELS} rlnOpticsGroup rlnTomoTiltSeriesPixelSize", "TS_01 4 8 12 1 3.0")
    assert "of the optics group 2 Å" in units_refusal(write(optics + row))


def test_sizes_that_agree_are_no_contradiction(write):
    path = write(
        loop("", f"{NAMED} rlnMagnification rlnDetectorPixelSize rlnPixelSize", "TS_01 4 8 12 10000 5.364 5.36")
    )
    assert noted(path)[1] == []


OPTICS = loop("optics", "rlnOpticsGroup rlnOpticsGroupName rlnTomoTiltSeriesPixelSize", "1 a 2.5", "2 b 5.0")


@pytest.mark.parametrize(
    ("columns", "rows", "why"),
    [
        ("", ["TS_01 4 8 12", "TS_01 40 8 12"], "no row names its group"),
        ("rlnOpticsGroup", ["TS_01 4 8 12 1", "TS_01 40 8 12 7"], "row 2 is of optics group 7"),
        ("rlnOpticsGroupName", ["TS_01 4 8 12 a", "TS_01 40 8 12 c"], "row 2 is of optics group c"),
    ],
)
def test_unknown_optics_group_is_refused(write, columns, rows, why):
    path = write(OPTICS + loop("particles", f"rlnTomoName {PIXELS} {columns}", *rows))
    message = units_refusal(path)
    assert why in message
    assert "--picks-pixel-size" in message
    assert read_picks(path, FRAMES, pixel_size=1.0).positions[1].tolist() == [40, 8, 12]


def test_optics_groups_by_name_or_all_alike(write):
    named = write(OPTICS + loop("particles", f"rlnTomoName {PIXELS} rlnOpticsGroupName", "TS_01 4 8 12 b"))
    assert read_table(named).pixel_size.tolist() == [5.0]
    alike = loop("optics", "rlnOpticsGroup rlnTomoTiltSeriesPixelSize", "1 2.5", "2 2.5")
    assert read_table(write(alike + loop("particles", f"rlnTomoName {PIXELS}", "TS_01 4 8 12"))).pixel_size[0] == 2.5


def test_pixel_sizes_missing_in_some_rows_are_refused(write):
    path = write(loop("", f"{NAMED} rlnPixelSize", "TS_01 4 8 12 5", "TS_01 40 8 12 0"))
    assert "row 2 states no pixel size" in units_refusal(path)


def test_coordinates_without_pixel_size_are_reported(write):
    path = write(loop("", NAMED, "TS_01 4 8 12"))
    picks, notes = noted(path)
    assert picks.positions.tolist() == [[40, 80, 120]]
    assert len(notes) == 1
    assert "voxels of the tomogram, 10 Å" in notes[0]
    picks, notes = noted(path, BINNED, check_inside=False)
    assert "pixels of the tilt series, 2.5 Å" in notes[0]
    assert noted(path, pixel_size=4.0)[1] == []


def test_plain_text_is_reported_as_voxels(write):
    assert "x, y, z in voxels" in noted(write("5,6,7\n", "a.csv"))[1][0]
    assert noted(write("x y z\n5 6 7\n", "a.txt"))[1] == []  # By convention; they may still be doubted.
    assert "--picks-unit" in units_refusal(write("x y z\n5 6 7\n5.5 6 7\n6 7 7\n", "a.txt"))
    assert noted(write("tomogram,x,y,z,score\nTS_01,5,6,7,1\n", "a.csv"))[1] == []
    assert noted(write("x [A],y [A],z [A]\n5,6,7\n", "a.csv"))[1] == []
    assert noted(write("5,6,7\n", "a.csv"), unit=Unit.VOXEL)[1] == []
    many = [write("5,6,7\n", f"{i}.csv") for i in range(9)]
    assert len(noted(many)[1]) == 1


def test_tables_of_the_czii_challenge_are_in_angstrom(write):
    path = write("id,experiment,particle_type,x,y,z\n0,TS_01,virus,300.5,200,100\n", "labels.csv")
    picks, notes = noted(path)
    assert picks.positions.tolist() == [[300.5, 200, 100]]
    assert "CZII" in notes[0]


def test_fractions_of_warp_are_read_and_reported(write):
    rows = ["TS_01.tomostar 0.5 0.25 0.1 0.7", "TS_01.tomostar 0.1 0.9 0.99 0.6"]
    picks, notes = noted(write(loop("", f"{NAMED} rlnAutopickFigureOfMerit", *rows)))
    np.testing.assert_allclose(picks.positions, [[350, 150, 50], [70, 540, 495]])
    assert "fractions" in notes[0]


@pytest.mark.parametrize("text", ["0.5,0.25,0.1\n0.1,0.9,0.99\n", "x [A],y [A],z [A]\n0.5,0.25,0.1\n0.1,0.9,0.99\n"])
def test_other_coordinates_within_one_voxel_are_refused(write, text):
    path = write(text, "a.csv")
    assert "--picks-unit fraction" in units_refusal(path)
    assert read_picks(path, FRAMES, unit=Unit.FRACTION).positions[0].tolist() == [350, 150, 50]
    assert read_picks(path, FRAMES, unit=Unit.VOXEL).positions[0].tolist() == [5, 2.5, 1]


def test_positions_in_one_place_are_refused(write):
    path = write("30,30,30\n31,30.5,32\n30.5,32,31\n", "a.csv")
    assert "--picks-unit" in units_refusal(path)
    assert len(read_picks(path, FRAMES, unit=Unit.VOXEL)) == 3
    assert len(read_picks(write("30,30,30\n30,30,30\n30,30,30\n", "a.csv"), FRAMES)) == 3


@pytest.mark.parametrize("name", ["annotations/TS_01_particles.star", "TS_01_particles.star"])
@pytest.mark.parametrize("with_name", [True, False])
def test_annotations_of_relions_picker_are_voxels_of_the_binned_tomogram(write, name, with_name):
    columns, row = (f"rlnTomoName {PIXELS}", "TS_01 60 40 30") if with_name else (PIXELS, "60 40 30")
    picks, notes = noted(write(loop("", columns, row), name), BINNED)
    assert picks.positions.tolist() == [[600, 400, 300]]
    assert any("binned" in note for note in notes)
    # With a stated pixel it is another tool's file.
    picks, _ = noted(write(loop("", f"{columns} rlnPixelSize", f"{row} 2.5"), name), BINNED)
    assert picks.positions.tolist() == [[150, 100, 75]]


def test_unused_pixel_size_is_reported(write):
    _, notes = noted(write(loop("", CENTRED, "TS_01 4 8 12")), pixel_size=2.0)
    assert "--picks-pixel-size is not used" in notes[0]
