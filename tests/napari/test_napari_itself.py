"""napari itself, without Qt: it finds the manifest of the installed package, opens a tomogram with picks, saves points.

In a process of its own: other tests hold that nothing here imports napari.
"""

import json
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

import numpy as np
import pytest

from tomopicker import io
from tomopicker.geometry import Frame
from tomopicker.picks import Picks

pytestmark = [
    pytest.mark.skipif(find_spec("napari") is None, reason="napari is not installed: pip install napari"),
    pytest.mark.skipif(
        not [each for each in entry_points(group="napari.manifest") if each.name == "tomopicker"],
        reason="tomopicker is not installed as a package, so napari cannot find it",
    ),
]
SHAPE, SIZE = (9, 10, 11), 7.5
POSITIONS = np.array([[1.0, 2, 3], [10, 9, 8], [4.25, 5.5, 6.75]]) * SIZE

IN_NAPARI = """
import json, sys
import numpy as np
import napari
from napari.components import ViewerModel
from npe2 import PluginManager
tomogram, picks, saved, beside = sys.argv[1:5]
PluginManager.instance().discover()  # As napari does when its window opens.
viewer = ViewerModel()
alone = viewer.open(beside, plugin="tomopicker")[0].data.tolist()
viewer.layers.clear()
napari.current_viewer = lambda: viewer  # What it gives where there is a window.
viewer.open([tomogram, picks], plugin="tomopicker")
image, points = viewer.layers
result = {
    "kinds": [type(layer).__name__ for layer in viewer.layers],
    "section": np.asarray(image.data[4]).tolist(),
    "points": points.data.tolist(),
    "score": points.features["score"].tolist(),
    "shown": np.asarray(image.get_value((4, 5, 6))).tolist(),
}
viewer.dims.set_point(0, 4)
points.add([4.0, 5.0, 6.0])
written = points.save(saved, plugin="tomopicker")
result["written"] = written
clicks = viewer.add_points(np.array([[1.0, 2.0, 3.0]]), name="clicks")
result["written"] += clicks.save(saved.replace("saved", "clicks"), plugin="tomopicker")
result["alone"] = alone
print("RESULT", json.dumps(result))
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("napari")
    volume = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    frames = {"TS_1": Frame(SHAPE, SIZE)}
    io.write_mrc(folder / "TS_1.mrc", volume, SIZE)
    picks = Picks.of("TS_1", POSITIONS, np.array([0.9, 0.8, 0.7]))
    # STAR files of RELION 5 need the tomogram: one that is open, or lies beside them.
    io.write_picks(picks, frames, folder / "elsewhere" / "picks.star")
    io.write_picks(picks, frames, folder / "TS_1.star")
    arguments = [folder / name for name in ("TS_1.mrc", "elsewhere/picks.star", "saved.star", "TS_1.star")]
    done = subprocess.run(
        [sys.executable, "-c", IN_NAPARI, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.partition("RESULT ")[2])
    return folder, volume, frames, result


def test_a_tomogram_opens_with_its_picks(opened):
    _, volume, _, result = opened
    assert result["kinds"] == ["Image", "Points"]
    np.testing.assert_array_equal(np.float32(result["section"]), volume[4])
    assert np.float32(result["shown"]) == volume[4, 5, 6]
    np.testing.assert_allclose(result["points"], POSITIONS[:, ::-1] / SIZE, atol=1e-3)
    np.testing.assert_allclose(result["score"], [0.9, 0.8, 0.7])


def test_picks_open_with_the_tomogram_next_to_them(opened):
    np.testing.assert_allclose(opened[3]["alone"], POSITIONS[:, ::-1] / SIZE, atol=1e-3)


def test_points_are_saved_as_star(opened):
    folder, _, frames, result = opened
    assert result["written"] == [str(folder / "saved.star"), str(folder / "clicks.star")]
    back = io.read_picks(folder / "saved.star", frames)
    clicked = np.array([[6.0, 5.0, 4.0]]) * SIZE
    np.testing.assert_allclose(back.positions, np.concatenate([POSITIONS, clicked]), atol=1e-3)
    assert "rlnCenteredCoordinateXAngst" in (folder / "saved.star").read_text(encoding="utf-8")
    new = io.read_picks(folder / "clicks.star", frames)
    np.testing.assert_allclose(new.positions, np.array([[3.0, 2, 1]]) * SIZE, atol=1e-3)
