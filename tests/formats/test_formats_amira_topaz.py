"""Amira's landmarks and graphs, and the tables of Topaz in 3D."""

from pathlib import Path

import numpy as np
import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.formats import read_picks, read_table, write_picks
from tomopicker.geometry import Frame, Unit
from tomopicker.picks import Picks

SHARED = Path(__file__).parents[3] / "shared" / "formats" / "amira"
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


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not here")
def test_the_shared_graph():
    table = read_table(SHARED / "tardis__am3D.CorrelationLines.am")
    assert (table.unit, len(table)) == (Unit.ANGSTROM, 10)
    np.testing.assert_allclose(table.coordinates[-1], (9996.779296875, 16468.521484375, 535.1466674804688))


def test_landmarks(tmp_path):
    (tmp_path / "TS_1.landmarkAscii").write_text(LANDMARKS)
    picks = read_picks(tmp_path / "TS_1.landmarkAscii", FRAMES)
    assert picks.tomograms.tolist() == ["TS_1"] * 2
    assert picks.positions.tolist() == [[150, 200, 10], [0, 0, 0]]


def test_points_of_a_graph_and_else_its_vertices(tmp_path):
    (tmp_path / "a.am").write_text(GRAPH)
    assert read_table(tmp_path / "a.am").coordinates.tolist() == [[1, 2, 3], [4, 5, 6]]
    (tmp_path / "a.am").write_text(GRAPH.replace("EdgePointCoordinates", "Other"))
    assert read_table(tmp_path / "a.am").coordinates.tolist() == [[9, 9, 9]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LANDMARKS.replace("ASCII", "BINARY-LITTLE-ENDIAN"), "save it there as ASCII"),
        (LANDMARKS.replace("Markers 2", "Markers 3"), "says 3 Markers and has 2"),
        (LANDMARKS.replace("0 0 0", "0 0"), "three numbers"),
        (LANDMARKS.replace("0 0 0", "0 0 x"), "point 2"),
        (LANDMARKS.replace("Coordinates", "Colours"), "neither landmarks nor points"),
        (LANDMARKS.rpartition("@1\n")[0].replace("Markers 2", "Markers 0"), "no "),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, text, words):
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
