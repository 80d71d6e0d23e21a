"""Text columns with and without a header, Amira's landmarks and graphs, and the tables of Topaz in 3D."""

import numpy as np
import pytest

from tests.shared import SHARED
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, Unit
from tomopicker.io import read_picks, read_table, write_picks
from tomopicker.picks import Picks


@pytest.fixture
def table(tmp_path):
    def read(text, name="clicks.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return read_table(path)

    return read


@pytest.fixture
def refusal(table):
    def read(text, name="clicks.csv"):
        with pytest.raises(TomoPickerError) as caught:
            table(text, name)
        message = str(caught.value)
        assert name in message
        assert "\n" not in message
        return message

    return read


TWO = [[1.0, 2.0, 3.0], [4.5, 5.0, 6.0]]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", " ", "   ", ", ", " \t"])
@pytest.mark.parametrize("header", [["x", "y", "z"], ["X", "Y", "Z"], ["coord_x", "coord_y", "coord_z"], None])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_and_headers(table, delimiter, header, newline):
    rows = ([header] if header else []) + [[f"{v:g}" for v in row] for row in TWO]
    read = table(newline.join(delimiter.join(row) for row in rows) + newline)
    assert read.coordinates.tolist() == TWO
    assert read.unit is Unit.VOXEL
    assert read.tomograms.tolist() == ["", ""]
    assert np.isnan(read.scores).all()
    assert read.extra.shape[1] == 0


def test_own_format(table):
    read = table("tomogram,x,y,z,score,class,id\n0001,1,2,3,0.25,a,007\n0002,4.5,5,6,,b,008\n")
    assert read.coordinates.tolist() == TWO
    assert read.tomograms.tolist() == ["0001", "0002"]
    assert read.scores[0] == 0.25
    assert np.isnan(read.scores[1])
    assert read.extra.to_dict("list") == {"class": ["a", "b"], "id": ["007", "008"]}


@pytest.mark.parametrize("name", ["micrograph", "Tomo", "rlnTomoName", "tomo name", "run"])
def test_other_names_of_the_tomogram(table, name):
    assert table(f"x,y,z,{name}\n1,2,3,TS_01\n").tomograms.tolist() == ["TS_01"]


@pytest.mark.parametrize("name", ["confidence", "Score", "LCCmax", "rlnAutopickFigureOfMerit"])
def test_other_names_of_the_score(table, name):
    assert table(f"{name},x,y,z\n0.5,1,2,3\n").scores.tolist() == [0.5]


@pytest.mark.parametrize("unit", [" [A]", " (Å)", "_angstrom", "[Angstrom]", "(A)"])
def test_angstrom_in_the_header(table, unit):
    read = table(f"IDs,X{unit},Y{unit},Z{unit}\n7,1,2,3\n")
    assert read.unit is Unit.ANGSTROM
    assert read.coordinates.tolist() == TWO[:1]
    assert read.extra["IDs"].tolist() == [7]


def test_voxels_come_before_angstrom(table):
    read = table("x_angstrom,y_angstrom,z_angstrom,x,y,z\n10,20,30,1,2,3\n")
    assert read.unit is Unit.VOXEL
    assert read.coordinates.tolist() == TWO[:1]


def test_columns_in_another_order(table):
    assert table("z,y,x\n3,2,1\n").coordinates.tolist() == TWO[:1]
    assert table("index,axis-0,axis-1,axis-2\n0,3,2,1\n").coordinates.tolist() == TWO[:1]


def test_a_comment_may_be_the_header(table):
    assert table("# z y x\n3 2 1\n", "a.txt").coordinates.tolist() == TWO[:1]
    assert table("# picked by hand\n# 2 clicks\n1 2 3\n", "a.txt").coordinates.tolist() == TWO[:1]


def test_mark_comments_quotes_and_blank_lines(table):
    text = '\ufeff"x", "y", "z"\n\n# a comment\n"1","2","3"\n   \n4.5,5,6\n\n'
    assert table(text).coordinates.tolist() == TWO
    assert table("x,y,z\n1,2,3\n4.5,5,6\n", encoding="utf-16").coordinates.tolist() == TWO
    assert table("x,y,z,näme\n1,2,3,é\n", encoding="latin-1").coordinates.tolist() == TWO[:1]


def test_four_columns_without_a_header(table, refusal):
    named = table("TS_01 1 2 3\nTS_02 4.5 5 6\n")
    assert named.coordinates.tolist() == TWO
    assert named.tomograms.tolist() == ["TS_01", "TS_02"]
    scored = table("1,2,3,0.5\n4.5,5,6,0.25\n")
    assert scored.coordinates.tolist() == TWO
    assert scored.scores.tolist() == [0.5, 0.25]
    assert "header" in refusal("1,180,480,118\n1,87,503,281\n")
    assert "header" in refusal("1,2,3,4,5\n")
    assert "header" in refusal("1,2\n3,4\n")


def test_refusals_name_the_line_and_the_columns(refusal):
    assert "no picks" in refusal("x,y,z\n")
    assert "no picks" in refusal("\n# nothing\n")
    assert "empty" in refusal("")
    assert "line 3" in refusal("x,y,z\n1,2,3\n1,two,3\n")
    assert "'two'" in refusal("x,y,z\n1,2,3\n1,two,3\n")
    assert "line 4" in refusal("x,y,z\n1,2,3\n\n1,2\n")
    assert "line 2" in refusal("x,y,z\n1,nan,3\n")
    assert "finite" in refusal("1,2,3\n1,inf,3\n")
    missing = refusal("image_name\tx_coord\ty_coord\na\t1\t2\n")
    assert "column for z" in missing
    assert "x_coord" in missing
    assert "nm" in refusal("x [nm],y [nm],z [nm]\n1,2,3\n")
    assert "not a text file" in refusal(b"\x93NUMPY\x01\x00v\x00" + bytes(range(256)))
    assert "quotation" in refusal('x,y,z\n1,"2,3\n4,5,6\n')
    assert "line 2" in refusal("x,y,z,score\n1,2,3,high\n")
    assert "x, y, z" in refusal('{\n  "points": [1, 2, 3]\n}\n', "a.json")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(TomoPickerError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(TomoPickerError, match="folder"):
        read_table(tmp_path)


def test_lines_that_end_in_a_delimiter(tmp_path):
    path = tmp_path / "clicks.csv"
    for text in ("1,2,3,\n4,5,6,\n", "x;y;z;\n1;2;3;\n4;5;6;\n", "x,y,z\n1,2,3,\n4,5,6,,\n", "1 2 3\t\n4 5 6 \t\n"):
        path.write_text(text)
        assert read_table(path).coordinates.tolist() == [[1, 2, 3], [4, 5, 6]]
        assert read_table(path).extra.shape[1] == 0


def test_decimal_commas_of_spreadsheets(tmp_path):
    path = tmp_path / "clicks.csv"
    for text in (
        "x;y;z\n-1,5;1.020,25;8,0\n50;12,25;12\n", '"-1,5","1020,25","8"\n"50","12,25","12"\n',
        "tomogram\tz\ty\tx\tscore\nTS.1\t8,0\t1.020,25\t-1,5\t0,5\nTS.1\t12\t12,25\t50\t\n",
    ):  # fmt: skip
        path.write_text(text)
        table = read_table(path)
        assert table.coordinates.tolist() == [[-1.5, 1020.25, 8], [50, 12.25, 12]]
        assert any("decimal commas" in note for note in table.notes)
    assert table.scores[0] == 0.5
    for text in ("x;y;z\n1,5;2;3\n1.020;2;3\n", "x;y;z;score\n1,5;2;3;0.5\n"):
        path.write_text(text)
        with pytest.raises(TomoPickerError, match="write points in all"):
            read_table(path)


def test_columns_of_imod_suggest_its_format(tmp_path):
    path = tmp_path / "points.txt"
    path.write_text("1 1 10.5 20.5 3\n1 2 30.5 40.5 5\n")
    with pytest.raises(TomoPickerError, match="--from imod-text"):
        read_table(path)
    assert read_table(path, "imod-text").coordinates.tolist() == [[10.5, 20.5, 3], [30.5, 40.5, 5]]


FRAMES = {"TS_1": Frame((30, 40, 50), 10.0), "TS_2": Frame((30, 40, 50), 10.0)}
LANDMARKS = """# Avizo 3D ASCII 3.0

define Markers 2

Parameters {
    NumSets 1,
    ContentType "LandmarkSet"
}

Markers { float[3] Coordinates } @1

# Data section follows
@1
1.5e+02 2.0e+02 1.0e+01
0 0 0
"""
GRAPH = """# AmiraMesh 3D ASCII 2.0
define VERTEX 1
define POINT 2
VERTEX { float[3] VertexCoordinates } = @1
POINT { float[3] EdgePointCoordinates } = @2
POINT { float thickness } = @3

@1
9 9 9

@2
1 2 3
4 5 6

@3
7
8
"""


@pytest.mark.shared
def test_the_shared_graph():
    table = read_table(SHARED / "amira" / "tardis__am3D.CorrelationLines.am")
    assert (table.unit, len(table)) == (Unit.ANGSTROM, 10)
    np.testing.assert_allclose(table.coordinates[-1], (9996.779296875, 16468.521484375, 535.1466674804688))


def test_landmarks(tmp_path):
    (tmp_path / "TS_1.landmarkAscii").write_text(LANDMARKS)
    picks = read_picks(tmp_path / "TS_1.landmarkAscii", FRAMES)
    assert picks.tomograms.tolist() == ["TS_1"] * 2
    assert picks.positions.tolist() == [[150, 200, 10], [0, 0, 0]]


def test_points_of_a_graph_or_its_vertices(tmp_path):
    (tmp_path / "a.am").write_text(GRAPH)
    assert read_table(tmp_path / "a.am").coordinates.tolist() == [[1, 2, 3], [4, 5, 6]]
    (tmp_path / "a.am").write_text(GRAPH.replace("EdgePointCoordinates", "Other"))
    assert read_table(tmp_path / "a.am").coordinates.tolist() == [[9, 9, 9]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LANDMARKS.replace("ASCII", "BINARY-LITTLE-ENDIAN"), "save it there as ASCII"),
        (LANDMARKS.replace("Markers 2", "Markers 3"), "states 3 Markers and has 2"),
        (LANDMARKS.replace("0 0 0", "0 0"), "three numbers"),
        (LANDMARKS.replace("0 0 0", "0 0 x"), "point 2"),
        (LANDMARKS.replace("Coordinates", "Colours"), "neither landmarks nor points"),
        (LANDMARKS.rpartition("@1\n")[0].replace("Markers 2", "Markers 0"), "no "),
    ],
)
def test_errors_are_one_line(tmp_path, text, words):
    (tmp_path / "a.am").write_text(text)
    with pytest.raises(TomoPickerError, match=words) as caught:
        read_picks(tmp_path / "a.am", FRAMES)
    assert "\n" not in str(caught.value)


def test_topaz_has_its_columns(tmp_path):
    picks = Picks(np.array([[10.0, 20, 30], [40, 50, 60]]), np.array(["TS_1", "TS_2"], object), np.array([0.5, -1.25]))
    write_picks(picks, FRAMES, tmp_path / "p.txt", "topaz")
    lines = (tmp_path / "p.txt").read_text().splitlines()
    assert lines[0].split("\t") == ["image_name", "x_coord", "y_coord", "z_coord", "score"]
    assert lines[1].split("\t") == ["TS_1", "1.0000", "2.0000", "3.0000", "0.5"]
    back = read_picks(tmp_path / "p.txt", FRAMES)
    assert back.positions.tolist() == picks.positions.tolist()
    assert back.tomograms.tolist() == ["TS_1", "TS_2"] and back.scores.tolist() == [0.5, -1.25]
    clicks = Picks.of("TS_1", picks.positions)
    write_picks(clicks, FRAMES, tmp_path / "c.txt", "topaz")
    assert (tmp_path / "c.txt").read_text().splitlines()[0] == "image_name\tx_coord\ty_coord\tz_coord"
