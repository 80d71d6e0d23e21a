"""copick: picks of one run as JSON, and projects laid out as its documentation has them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.shared import SHARED
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame, Unit
from tomopicker.io import read_picks, read_table, tomogram_name, write_picks
from tomopicker.io.angles import RELION
from tomopicker.io.projects.copick import check_name, read_project
from tomopicker.picks import Picks

FRAMES = {"TS_01": Frame((20, 20, 20), 10.0)}


@pytest.mark.shared
def test_the_shared_file():
    path = SHARED / "copick" / "cz-backend__copick.json"
    table = read_table(path)
    assert (table.unit, len(table)) == (Unit.ANGSTROM, 4)
    picks = read_picks(path, FRAMES)
    np.testing.assert_allclose(picks.positions[:2] / 10, [[4, 2, 3], [0, 5, 1]])
    assert picks.scores.tolist() == [1] * 4
    stated = [point["transformation_"] for point in json.loads(path.read_text())["points"]]
    angles = picks.extra[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy(np.float64)
    np.testing.assert_allclose(RELION.rotations(angles).as_matrix(), np.array(stated)[:, :3, :3], atol=1e-6)


@pytest.mark.shared
def test_the_shared_configuration():
    project = read_project(SHARED / "copick" / "copick__config_overlay_local.json")
    assert project.objects == ("ribosome", "atpase")
    assert project.roots == (Path("/path/to/copick_project"),)
    with pytest.raises(TomoPickerError, match="no tomogram in its runs"):
        project.tomograms()


def test_written_fields_are_those_of_copick(tmp_path):
    extra = pd.DataFrame({"rlnAngleRot": [10.0], "rlnAngleTilt": [20.0], "rlnAnglePsi": [30.0]})
    picks = Picks(np.array([[10.0, 20, 30]]), np.array(["TS_01"], object), np.array([1.5]), extra)
    path = tmp_path / "ExperimentRuns" / "TS_01" / "Picks" / "tomopicker_1_ribosome.json"
    write_picks(picks, FRAMES, path, "copick")
    content = json.loads(path.read_text())
    names = [content[key] for key in ("pickable_object_name", "user_id", "session_id", "run_name", "unit")]
    assert names == ["ribosome", "tomopicker", "1", "TS_01", "angstrom"]
    assert content["points"][0]["location"] == {"x": 10, "y": 20, "z": 30}
    assert content["trust_orientation"] is True and content["voxel_spacing"] == 10
    np.testing.assert_allclose(read_picks(path, FRAMES).extra["rlnAngleTilt"], 20)


def test_shifts_count_and_the_run_is_in_the_path(tmp_path):
    path = tmp_path / "ExperimentRuns" / "TS_01" / "Picks" / "a_1_b.json"
    matrix = np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    point = {"location": {"x": 5, "y": 6, "z": 7}, "transformation_": matrix.tolist(), "score": None}
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pickable_object_name": "b", "points": [point], "trust_orientation": False}))
    picks = read_picks(path, {**FRAMES, "TS_02": FRAMES["TS_01"]})
    assert picks.positions.tolist() == [[6, 8, 10]] and picks.tomograms.tolist() == ["TS_01"]
    assert np.isnan(picks.scores[0]) and not picks.extra.shape[1]


def test_instance_ids_are_kept(tmp_path):
    extra = pd.DataFrame({"instance_id": [7, np.nan, "x"]})
    picks = Picks(np.array([[10.0, 20, 30]] * 3), np.array(["TS_01"] * 3, object), np.full(3, np.nan), extra)
    write_picks(picks, FRAMES, tmp_path / "a.json", "copick")
    assert [point["instance_id"] for point in json.loads((tmp_path / "a.json").read_text())["points"]] == [7, 0, 0]
    assert read_picks(tmp_path / "a.json", FRAMES).extra["instance_id"].tolist() == [7, 0, 0]


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"location": {"x": 1, "y": 2}}, "no location"),
        ({"location": {"x": 1, "y": 2, "z": "a"}}, "not a number"),
        ({"location": {"x": 1, "y": 2, "z": 3}, "transformation_": [[1, 2], [3, 4]]}, "4 x 4"),
        ({"location": {"x": 1, "y": 2, "z": 3}, "transformation_": (np.eye(4) * 2).tolist()}, "4 x 4"),
        (7, "no list 'points'"),
    ],
)
def test_errors_of_bad_points_are_one_line(tmp_path, point, words):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"pickable_object_name": "b", "points": [point]}))
    with pytest.raises(TomoPickerError, match=words):
        read_table(path)


def project(folder, **more):
    config = {
        "overlay_root": "local://overlay",
        "pickable_objects": [{"name": "ribosome", "is_particle": True}],
        **more,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return read_project(folder / "config.json")


def test_tomograms_of_both_roots(tmp_path):
    for root, run, name in (("static", "TS_1", "wbp"), ("overlay", "TS_2", "wbp"), ("static", "TS_1", "wbp_features")):
        (tmp_path / root / "ExperimentRuns" / run / "VoxelSpacing10.000" / f"{name}.zarr").mkdir(parents=True)
    found = project(tmp_path, static_root="static").tomograms()
    assert [tomogram_name(path) for path in found] == ["TS_1", "TS_2"]
    (tmp_path / "static/ExperimentRuns/TS_1/VoxelSpacing7.500/denoised.zarr").mkdir(parents=True)
    both = project(tmp_path, static_root=str(tmp_path / "static"))
    with pytest.raises(TomoPickerError, match=r"TS_1 has the tomograms wbp@10\.000, denoised@7\.500"):
        both.tomograms()
    assert len(both.tomograms("wbp")) == 2
    assert [path.stem for path in both.tomograms(spacing=7.5)] == ["denoised"]


def test_objects_and_roots_are_checked(tmp_path):
    assert project(tmp_path).object_named(None) == "ribosome"
    with pytest.raises(UsageError, match="no particle 'fas'"):
        project(tmp_path).object_named("fas")
    two = [{"name": name, "is_particle": True} for name in ("a", "b")]
    with pytest.raises(UsageError, match="one of a, b"):
        project(tmp_path, pickable_objects=two).object_named(None)
    with pytest.raises(TomoPickerError, match="not on this machine"):
        project(tmp_path, static_root="s3://bucket/data")
    with pytest.raises(TomoPickerError, match="overlay_root"):
        project(tmp_path, overlay_root=None)
    with pytest.raises(UsageError, match="--copick-session a_b"):
        check_name("a_b", "--copick-session")
