"""What napari does with this package, without napari: the manifest is valid, files open, points are saved."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from npe2 import PluginManifest

import tomopicker
from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.napari.layers import LayerImage
from tomopicker.napari.reader import get_reader
from tomopicker.napari.writer import write_points
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram

MANIFEST = Path(tomopicker.__file__).parent / "napari" / "napari.yaml"
SHAPE, SIZE = (9, 10, 11), 7.5
FRAMES = {"TS_1": Frame(SHAPE, SIZE)}
POSITIONS = np.array([[1.0, 2, 3], [10, 9, 8]]) * SIZE


@pytest.fixture
def tomogram(tmp_path):
    volume = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    io.write_mrc(tmp_path / "TS_1.mrc", volume, SIZE)
    return tmp_path / "TS_1.mrc"


def picks_file(path, format=None):
    io.write_picks(Picks.of("TS_1", POSITIONS, np.array([1.0, 2])), FRAMES, path, format)
    return path


def read(*paths):
    given = str(paths[0]) if len(paths) == 1 else [str(path) for path in paths]
    reader = get_reader(given)
    return None if reader is None else reader(given)


def test_the_manifest_is_valid_and_its_commands_exist():
    manifest = PluginManifest.from_file(MANIFEST)
    assert manifest.name == "tomopicker"
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))
    manifest.validate_imports()
    writer = manifest.contributions.writers[0]
    known = {suffix for entry in io.FORMATS if entry.writer for suffix in entry.suffixes}
    assert set(writer.filename_extensions) <= known


def test_a_tomogram_opens_lazily(tomogram):
    ((image, shown, kind),) = read(tomogram)
    whole = io.open_tomogram(tomogram).read()
    assert (kind, shown["name"], image.shape, image.ndim) == ("image", "TS_1", SHAPE, 3)
    assert shown["metadata"]["tomopicker"] == {"tomogram": "TS_1", "voxel_size": SIZE, "shape": list(SHAPE)}
    for key in (3, -1, (2, slice(1, 4)), (slice(None), 5, 6), (..., 2), slice(0, 2), (1, 2, 3)):
        np.testing.assert_array_equal(image[key], whole[key])
    np.testing.assert_array_equal(np.asarray(image), whole)


def test_only_the_section_shown_is_read():
    class Watched:
        shape, dtype, asked = SHAPE, np.dtype(np.float32), ()

        def __getitem__(self, key):
            Watched.asked = key
            return np.zeros([len(range(*part.indices(n))) for part, n in zip(key, SHAPE, strict=True)], np.float32)

    image = LayerImage(Tomogram("a", Watched(), 1.0))
    assert image[4].shape == SHAPE[1:]
    assert Watched.asked[0] == slice(4, 5)


@pytest.mark.parametrize("format", ["relion5", "relion3", "csv", "imod", "cmm", "eman2"])
def test_picks_open_with_their_tomogram_and_next_to_it(tomogram, tmp_path, format):
    suffix = {"csv": ".csv", "imod": ".mod", "cmm": ".cmm", "eman2": "_info.json"}.get(format, ".star")
    file = picks_file(tmp_path / f"TS_1{suffix}", format)
    for layers in (read(tomogram, file)[1:], read(file)):
        ((points, shown, kind),) = layers
        assert kind == "points"
        np.testing.assert_allclose(points, POSITIONS[:, ::-1] / SIZE, atol=1e-3)
        assert shown["metadata"]["tomopicker"]["tomogram"] == "TS_1"


def test_picks_in_voxels_need_no_tomogram_and_others_report_it(tmp_path):
    ((points, shown, _),) = read(picks_file(tmp_path / "TS_1.csv"))
    np.testing.assert_allclose(points, POSITIONS[:, ::-1] / SIZE, atol=1e-3)
    assert shown["metadata"] == {}
    with pytest.raises(TomoPickerError, match="open its tomogram"):
        read(picks_file(tmp_path / "TS_1.star"))


def test_other_files_are_left_to_other_plugins(tmp_path):
    (tmp_path / "notes.md").write_bytes(b"\x00\x01\x02")
    assert read(tmp_path / "notes.md") is None
    assert read(tmp_path) is None
    assert read(tmp_path / "missing.mrc") is None


def test_points_are_saved_in_place(tomogram, tmp_path):
    shown = read(tomogram)[0][1]
    data = POSITIONS[:, ::-1] / SIZE
    attributes = {"metadata": shown["metadata"], "features": {"score": [0.5, 1.5]}, "scale": [1, 1, 1]}
    assert write_points(str(tmp_path / "clicks.star"), data, attributes) == [str(tmp_path / "clicks.star")]
    back = io.read_picks(tmp_path / "clicks.star", FRAMES)
    np.testing.assert_allclose(back.positions, POSITIONS, atol=1e-4)
    assert back.scores.tolist() == [0.5, 1.5]
    # A layer that is scaled and moved is saved where it is seen.
    moved = {"metadata": shown["metadata"], "scale": [2, 2, 2], "translate": [1, 0, 0]}
    write_points(str(tmp_path / "moved.star"), (data - [1, 0, 0]) / 2, moved)
    np.testing.assert_allclose(io.read_picks(tmp_path / "moved.star", FRAMES).positions, POSITIONS, atol=1e-4)


def test_new_points_are_of_the_only_tomogram_that_is_open(tomogram, tmp_path, monkeypatch):
    layers = [SimpleNamespace(metadata=read(tomogram)[0][1]["metadata"]), SimpleNamespace(metadata={})]
    viewer = SimpleNamespace(layers=layers)
    monkeypatch.setitem(sys.modules, "napari", SimpleNamespace(current_viewer=lambda: viewer))
    write_points(str(tmp_path / "new.star"), POSITIONS[:, ::-1] / SIZE, {"metadata": {}})
    assert io.read_picks(tmp_path / "new.star", FRAMES).tomograms.tolist() == ["TS_1"] * 2
    viewer.layers = []
    with pytest.raises(TomoPickerError, match="no tomogram was opened"):
        write_points(str(tmp_path / "none.star"), POSITIONS, {})
    with pytest.raises(TomoPickerError, match="3D layer"):
        write_points(str(tmp_path / "flat.star"), POSITIONS[:, :2], {})


def test_nothing_here_imports_napari_or_qt():
    assert not {name for name in sys.modules if name.split(".")[0] in {"napari", "qtpy", "PyQt5", "PyQt6"}}
