"""Text columns: every delimiter and header that is met, and one clear line for what cannot be understood."""

import numpy as np
import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.formats import read_table
from tomopicker.geometry import Unit


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
    for text in ("1,2,3,\n4,5,6,\n", "x;y;z;\n1;2;3;\n4;5;6;\n", "x,y,z\n1,2,3,\n4,5,6,,\n"):
        path.write_text(text)
        assert read_table(path).coordinates.tolist() == [[1, 2, 3], [4, 5, 6]]
        assert read_table(path).extra.shape[1] == 0


def test_columns_of_imod_name_the_way(tmp_path):
    path = tmp_path / "points.txt"
    path.write_text("1 1 10.5 20.5 3\n1 2 30.5 40.5 5\n")
    with pytest.raises(TomoPickerError, match="--from imod-text"):
        read_table(path)
    assert read_table(path, "imod-text").coordinates.tolist() == [[10.5, 20.5, 3], [30.5, 40.5, 5]]
