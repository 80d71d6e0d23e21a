"""What is written, read by somebody else's program or by the tool's own documented formula."""

import csv
import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import starfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tomopicker.geometry import Frame
from tomopicker.io import read_picks, write_picks
from tomopicker.io.angles import DYNAMO, RELION, TOM, relion_columns
from tomopicker.picks import Picks

RELAXED = settings(
    max_examples=settings.default.max_examples // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ANGLES = np.array([[10.0, 20, 30], [-100, 60, 170], [5, 90, -45]])


@st.composite
def scenes(draw):
    """Draw three oriented picks in a tomogram of odd or even size, binned from its tilt series."""
    size = st.integers(2, 2000)
    shape, voxel_size, binning = draw(st.tuples(size, size, size)), draw(st.floats(0.5, 40)), draw(st.integers(1, 8))
    x, y, z = (float(n * binning) for n in shape[::-1])
    frame = Frame(shape, voxel_size, (x, y, z), voxel_size / binning)
    fractions = np.array(draw(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=3, max_size=3)))
    voxels = fractions * (np.array(shape[::-1]) - 1)
    extra = pd.DataFrame({**relion_columns(RELION.rotations(ANGLES)), "rlnClassNumber": [1, 2, 1]})
    picks = Picks(voxels * voxel_size, np.full(3, "TS_07", object), np.array([0.5, 0.25, 1.0]), extra)
    return picks, frame, voxels


def close(found, voxels, scale=1.0):
    np.testing.assert_allclose(np.asarray(found, float) * scale, voxels, atol=1e-3)


@RELAXED
@given(scene=scenes())
def test_relion5_by_its_own_formula(tmp_path, scene):
    """particle_set.cpp: pixel = centred / tilt-series pixel + size / 2, of the unbinned tomogram."""
    picks, frame, voxels = scene
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.star", "relion5")
    table = starfile.read(tmp_path / "p.star", always_dict=True)["particles"]
    centred = table[[f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]].to_numpy()
    pixels = centred / frame.unbinned_pixel_size + np.array(frame.unbinned_size) / 2
    close(pixels, voxels, frame.unbinned_pixel_size / frame.voxel_size)
    assert table["rlnTomoName"].tolist() == ["TS_07"] * 3
    np.testing.assert_allclose(table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]], ANGLES, atol=1e-6)


@RELAXED
@given(scene=scenes())
def test_relion4_and_warp_by_their_formulas(tmp_path, scene):
    picks, frame, voxels = scene
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.star", "relion4")
    table = starfile.read(tmp_path / "p.star", always_dict=True)
    pixel = table["optics"]["rlnTomoTiltSeriesPixelSize"].iloc[0]
    close(table["particles"][[f"rlnCoordinate{axis}" for axis in "XYZ"]], voxels, pixel / frame.voxel_size)
    write_picks(picks, {"TS_07": frame}, tmp_path / "w.star", "warp")
    warp = starfile.read(tmp_path / "w.star")
    close(warp[[f"rlnCoordinate{axis}" for axis in "XYZ"]], voxels)
    assert warp["rlnMicrographName"].tolist() == ["TS_07.tomostar"] * 3


@RELAXED
@given(scene=scenes())
def test_imodmodel_reads_our_models(tmp_path, scene):
    imodmodel = pytest.importorskip("imodmodel")
    picks, frame, voxels = scene
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.mod")
    table = imodmodel.read(tmp_path / "p.mod")
    order = [0, 2, 1]  # One object a class.
    close(table[["x", "y", "z"]].to_numpy() - [0.5, 0.5, 0], voxels[order])
    assert table["object_id"].tolist() == [0, 0, 1]


def test_we_read_models_of_imodmodel(tmp_path):
    imodmodel = pytest.importorskip("imodmodel")
    points = pd.DataFrame({"object_id": [0, 0], "contour_id": [0, 1], "x": [1.5, 3], "y": [2.5, 4], "z": [3.0, 5]})
    imodmodel.write(points, tmp_path / "a.mod")
    picks = read_picks(tmp_path / "a.mod", {"a": Frame((9, 9, 9), 2.0)})
    np.testing.assert_allclose(picks.positions, [[2, 4, 6], [5, 7, 10]])
    assert picks.extra["imod_contour"].tolist() == [1, 2]


@RELAXED
@given(scene=scenes())
def test_emfile_reads_our_motive_lists(tmp_path, scene):
    emfile = pytest.importorskip("emfile")
    picks, frame, voxels = scene
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.em")
    _, motl = emfile.read(tmp_path / "p.em")
    assert motl.shape == (1, 3, 20)
    close(motl[0, :, 7:10] + motl[0, :, 10:13] - 1, voxels)
    assert motl[0, :, 4].tolist() == [7, 7, 7]
    assert motl[0, :, 19].tolist() == [1, 2, 1]
    turned = TOM.rotations(motl[0][:, [16, 18, 17]].astype(float))
    np.testing.assert_allclose((RELION.rotations(ANGLES).inv() * turned).magnitude(), 0, atol=1e-5)


@RELAXED
@given(scene=scenes())
def test_dynamotable_reads_our_tables(tmp_path, scene):
    dynamotable = pytest.importorskip("dynamotable")
    picks, frame, voxels = scene
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.tbl")
    table = dynamotable.read(str(tmp_path / "p.tbl"), str(tmp_path / "p.doc"))
    close(table[["x", "y", "z"]].to_numpy() + table[["dx", "dy", "dz"]].to_numpy() - 1, voxels)
    assert table["tomo_file"].tolist() == ["TS_07"] * 3
    assert table["cc"].tolist() == [0.5, 0.25, 1.0]
    turned = DYNAMO.rotations(table[["tdrot", "tilt", "narot"]].to_numpy(float))
    np.testing.assert_allclose((RELION.rotations(ANGLES).inv() * turned).magnitude(), 0, atol=1e-5)


def test_we_read_tables_of_dynamotable(tmp_path):
    dynamotable = pytest.importorskip("dynamotable")
    table = pd.DataFrame({"x": [4.0, 6], "y": [5.0, 7], "z": [6.0, 8], "dx": [0.5, 0], "tomo": [1, 2],
                          "tomo_file": ["TS_01.mrc", "TS_02.mrc"]})  # fmt: skip
    dynamotable.write(table, str(tmp_path / "a.tbl"))
    picks = read_picks(tmp_path / "a.tbl", {name: Frame((20, 20, 20), 2.0) for name in ("TS_01", "TS_02")})
    np.testing.assert_allclose(picks.positions, [[7, 8, 10], [10, 12, 14]])
    assert picks.tomograms.tolist() == ["TS_01", "TS_02"]


@RELAXED
@given(scene=scenes())
def test_eman2_by_its_own_formula(tmp_path, scene):
    """e2spt_boxer.py: voxel = box / apix * apix_unbin + n // 2."""
    picks, frame, voxels = scene
    path = tmp_path / "TS_07_info.json"
    path.unlink(missing_ok=True)
    write_picks(picks, {"TS_07": frame}, path)
    info = json.loads(path.read_text())
    boxes = np.array([box[:3] for box in info["boxes_3d"]])
    middle = np.array([n // 2 for n in frame.shape[::-1]])
    close(boxes / frame.voxel_size * info["apix_unbin"] + middle, voxels)
    assert set(info["class_list"]) == {"1", "2"}


@RELAXED
@given(scene=scenes())
def test_napari_by_its_rule(tmp_path, scene):
    """napari_builtins/io/_read.py: points have the columns index, axis-0, axis-1, …, in the order of the array."""
    picks, frame, voxels = scene
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.csv", "napari")
    with (tmp_path / "p.csv").open() as stream:
        header, *rows = csv.reader(stream)
    assert {"index", "axis-0", "axis-1"} <= set(header)
    axes = [i for i, name in enumerate(header) if name.startswith("axis-")]
    close([[float(row[i]) for i in axes][::-1] for row in rows], voxels)


def test_napari_reads_our_points(tmp_path):
    io = pytest.importorskip("napari_builtins.io")
    picks = Picks.of("TS_07", np.array([[2.0, 4, 6], [8, 10, 12]]), np.array([0.5, 1]))
    write_picks(picks, {"TS_07": Frame((9, 9, 9), 2.0)}, tmp_path / "p.csv", "napari")
    data, _, kind = io.csv_to_layer_data(str(tmp_path / "p.csv"))
    assert kind == "points"
    np.testing.assert_allclose(data, [[3, 2, 1], [6, 5, 4]])


@RELAXED
@given(scene=scenes())
def test_crYOLO_boxes_by_the_rule_of_boxmanager(tmp_path, scene):
    picks, frame, voxels = scene
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.cbox")
    blocks = starfile.read(tmp_path / "p.cbox", always_dict=True)
    assert float(blocks["global"]["cbox_format_version"]) == 1.0
    boxes = blocks["cryolo"]
    corner = boxes[["CoordinateX", "CoordinateY", "CoordinateZ"]].to_numpy()
    half = boxes[["Width", "Height"]].to_numpy() / 2
    close(np.column_stack([corner[:, :2] + half, corner[:, 2]]), voxels)
    assert "Depth" in boxes


@RELAXED
@given(scene=scenes())
def test_xml_by_its_attributes(tmp_path, scene):
    picks, frame, voxels = scene
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.xml", "pytom")
    particles = ET.parse(tmp_path / "p.xml").getroot().findall("Particle")
    places = [particle.find("PickPosition") for particle in particles]
    close([[float(place.get(axis)) for axis in "XYZ"] for place in places], voxels)
    assert {place.get("Origin") for place in places} == {"TS_07"}
    turns = [particle.find("Rotation") for particle in particles]
    turned = TOM.rotations(np.array([[float(turn.get(name)) for name in ("Z1", "X", "Z2")] for turn in turns]))
    np.testing.assert_allclose((RELION.rotations(ANGLES).inv() * turned).magnitude(), 0, atol=1e-5)
    write_picks(picks, {"TS_07": frame}, tmp_path / "p.cmm")
    markers = ET.parse(tmp_path / "p.cmm").getroot().findall("marker")
    close([[float(marker.get(axis)) for axis in "xyz"] for marker in markers], voxels, 1 / frame.voxel_size)
