"""Every format of picks, given any bytes: picks, or one line for the user; soon, and in bounded memory."""

import json
import struct
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tomopicker.errors import TomoPickerError
from tomopicker.formats import FORMATS, read_picks, read_table, volume_files, write_picks
from tomopicker.geometry import Frame
from tomopicker.picks import Picks

RELAXED = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
READ = [entry for entry in FORMATS if entry.kind == "picks" and entry.reader]
WRITTEN = [entry for entry in READ if entry.writer]
FRAMES = {"TS_01": Frame((10, 11, 12), 5.0)}
ANY = st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
VALUES = st.sampled_from(["nan", "inf", "-1", "1e400", "", "x", "0", "1e9", "9" * 400, "é", '"', "<", "]", "\0", "\n"])


def survives(path, entry):
    for opener in (read_table, lambda file: read_table(file, entry.name), lambda file: read_picks(file, FRAMES)):
        try:
            opener(path)
        except TomoPickerError as error:
            assert "\n" not in str(error), error


def written(path, entry):
    extra = pd.DataFrame({"rlnAngleRot": [10.0, 20], "rlnAngleTilt": [30.0, 40], "rlnAnglePsi": [50.0, 60]})
    picks = Picks(np.array([[5.0, 10, 15], [20, 25, 30]]), np.full(2, "TS_01", object), np.array([0.5, 1.5]), extra)
    path.unlink(missing_ok=True)
    write_picks(picks, FRAMES, path, entry.name)
    return path.read_bytes()


@pytest.mark.parametrize("entry", READ, ids=lambda entry: entry.name)
@RELAXED
@given(content=ANY)
def test_any_bytes(tmp_path, entry, content):
    path = tmp_path / f"a{entry.suffixes[0]}"
    path.write_bytes(content)
    survives(path, entry)


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
@RELAXED
@given(at=st.integers(0, 3000), content=ANY, cut=st.booleans())
def test_damaged_bytes(tmp_path, entry, at, content, cut):
    path = tmp_path / f"a{entry.suffixes[0]}"
    whole = bytearray(written(path, entry))
    at %= len(whole)
    whole[at : None if cut else at + len(content)] = content
    path.write_bytes(whole)
    survives(path, entry)


@pytest.mark.parametrize("entry", [entry for entry in WRITTEN if entry.suffixes[0] not in {".em", ".mod"}],
                         ids=lambda entry: entry.name)  # fmt: skip
@RELAXED
@given(data=st.data(), value=VALUES)
def test_another_word_in_place_of_one(tmp_path, entry, data, value):
    path = tmp_path / f"a{entry.suffixes[0]}"
    words = written(path, entry).decode().replace(",", " , ").replace('"', ' " ').split(" ")
    words[data.draw(st.integers(0, len(words) - 1))] = value
    path.write_text(" ".join(words), encoding="utf-8")
    survives(path, entry)


@RELAXED
@given(
    boxes=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    unbinned=st.none() | st.floats() | st.text(max_size=3) | st.just([]),
)
def test_any_boxes_of_eman2(tmp_path, boxes, unbinned):
    path = tmp_path / "a_info.json"
    path.write_text(json.dumps({"boxes_3d": boxes, "apix_unbin": unbinned}))
    survives(path, next(entry for entry in READ if entry.name == "eman2"))


BOMBS = {
    "a.em": b"\x06\0\0\x05" + struct.pack("<3i", 20, 2**31 - 1, 1).ljust(508, b"\0"),
    "b.em": b"\x06\0\0\x05" + struct.pack("<3i", 20, -5, 1).ljust(508, b"\0"),
    "a.mod": b"IMODV1.2".ljust(240, b"\0") + b"CONT" + struct.pack(">4i", 2**31 - 1, 0, 0, 0),
    "b.mod": b"IMODV1.2".ljust(240, b"\0") + b"MESH" + struct.pack(">4i", -(2**31), 2**31 - 1, 0, 0),
    "c.mod": b"IMODV1.2",
    "d.mod": b"IMODV1.2".ljust(240, b"\0") + b"ABCD\xff\xff\xff\xff" * 1000,
    "a.xml": b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><ParticleList>&b;</ParticleList>',
    "b.xml": b"<ParticleList>" + b"<a>" * 200_000,
    "a.cmm": b'<?xml version="1.0" encoding="utf-32"?><marker_set><marker x="1" y="2" z="3"/></marker_set>',
    "a.json": b'{"boxes_3d": ' + b"[" * 200_000,
    "b.json": b'{"boxes_3d": [[' + b"9" * 100_000 + b", 1, 2]]}",
    "a.tbl": b"1 " * 100_000,
    "a.csv": b",".join([b"1"] * 20) + b"\n" + b"9" * 200_000,
    "a.star": b"data_stopgap\nloop_\n_orig_x\n_orig_y\n_orig_z\n_tomo_num\n1 2 3 " + b"9" * 5000,
    "a.cbox": b"data_cryolo\nloop_\n_CoordinateX\n_CoordinateY\n_CoordinateZ\n_Width\n_Height\n1 2 3 <NA> <NA>",
    "a.tloc": b"\x80\x04c__builtin__\nexec\n(S'raise SystemExit'\ntR.",
    "a.pkl.csv": b"\x80\x04c__builtin__\nexec\n(S'raise SystemExit'\ntR.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_promises_that_cannot_be_kept_cost_nothing(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BOMBS[name])
    tracemalloc.start()
    before = time.perf_counter()
    try:
        read_table(path)
    except TomoPickerError as error:
        assert "\n" not in str(error)
    taken, (_, peak) = time.perf_counter() - before, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6
    assert taken < 20


LISTS = {
    ".star": b"data_global\nloop_\n_rlnTomoName\n_rlnTomoTiltSeriesPixelSize\n_rlnTomoSizeX\n_rlnTomoSizeY\n"
    b"_rlnTomoSizeZ\n_rlnTomoReconstructedTomogram\nTS_01 2.5 40 40 40 a.mrc\n",
    ".settings": b'<Settings><Param Name="ProcessingFolder" Value="x"/><Param Name="PixelSize" Value="1"/></Settings>',
    ".csv": b"tomogram,file,voxel_size\nTS_01,a.mrc,10\nTS_02,b.mrc,\n",
}


@pytest.mark.parametrize("suffix", LISTS)
@RELAXED
@given(at=st.integers(0, 300), content=ANY, cut=st.booleans())
def test_damaged_lists_of_tomograms(tmp_path, suffix, at, content, cut):
    path = tmp_path / f"a{suffix}"
    whole = bytearray(LISTS[suffix])
    at %= len(whole)
    whole[at : None if cut else at + len(content)] = content
    path.write_bytes(whole)
    try:
        volume_files(path)
    except TomoPickerError as error:
        assert "\n" not in str(error), error
