"""Whatever bytes a file holds, reading it gives a result or one line for the user; soon, and in bounded memory.

The budgets are those of the Hypothesis profile: a few examples by default, thousands with ``make fuzz``.
"""

import json
import struct
import time
import tracemalloc
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io import FORMATS, open_tomogram, read_picks, read_table, volume_files, write_mrc, write_picks
from tomopicker.picks import Picks

BUDGET = settings.default.max_examples
RELAXED = settings(max_examples=BUDGET // 10, deadline=None, suppress_health_check=list(HealthCheck))
LONGER = settings(RELAXED, max_examples=BUDGET // 2)
READ = [entry for entry in FORMATS if entry.kind == "picks" and entry.reader]
WRITTEN = [entry for entry in READ if entry.writer]
FRAMES = {"TS_01": Frame((10, 11, 12), 5.0)}
ANY = st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
VALUES = st.sampled_from(["nan", "inf", "-1", "1e400", "", "x", "0", "1e9", "9" * 400, "é", '"', "<", "]", "\0", "\n"])
WORDS = [
    "x", "y", "z", "X [A]", "tomogram", "score", "TS_01", "1", "-2.5", "1e9", "nan", "", '"', "'", "#", "axis-0",
    "0x1f",
]  # fmt: skip
CELLS = st.sampled_from(WORDS) | st.text(max_size=4)
STAR_WORDS = [
    *["data_", "data_particles", "data_optics", "loop_", "_rlnTomoName #1", "_rlnOpticsGroup", "_rlnOriginX"],
    *["_rlnCoordinateX", "_rlnCoordinateY #3", "_rlnCoordinateZ", "_rlnTomoImportParticleFile"],
    *[f"_rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"],
    *["_rlnTomoParticlesFile a.star", "TS_01 1 2 3", "1 2 3", "1 nan 3", "a.star b.star", "# c", "", '"', "'x"],
]
BLOCK = ["data_particles", "loop_", *[f"_rlnCoordinate{axis}" for axis in "XYZ"]]
LINES = st.sampled_from(STAR_WORDS) | st.text(max_size=6)


def survives(path, *openers):
    for opener in openers:
        try:
            opener(path)
        except TomoPickerError as error:
            assert "\n" not in str(error), error


def as_picks(path):
    return read_picks([path], FRAMES)


@cache
def whole_volume(path):
    write_mrc(path, np.zeros((3, 4, 5), np.float32), 10.0)
    return path.read_bytes()


@cache
def written(path, entry):
    extra = pd.DataFrame({"rlnAngleRot": [10.0, 20], "rlnAngleTilt": [30.0, 40], "rlnAnglePsi": [50.0, 60]})
    picks = Picks(np.array([[5.0, 10, 15], [20, 25, 30]]), np.full(2, "TS_01", object), np.array([0.5, 1.5]), extra)
    write_picks(picks, FRAMES, path, entry.name)
    return path.read_bytes()


@pytest.mark.parametrize("entry", READ, ids=lambda entry: entry.name)
@RELAXED
@given(content=ANY)
def test_any_bytes(tmp_path, entry, content):
    path = tmp_path / f"a{entry.suffixes[0]}"
    path.write_bytes(content)
    survives(path, read_table, lambda file: read_table(file, entry.name), as_picks)


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
@RELAXED
@given(at=st.integers(0, 3000), content=ANY, cut=st.booleans())
def test_damaged_bytes(tmp_path, entry, at, content, cut):
    path = tmp_path / f"a{entry.suffixes[0]}"
    whole = bytearray(written(path, entry))
    at %= len(whole)
    whole[at : None if cut else at + len(content)] = content
    path.write_bytes(whole)
    survives(path, read_table, lambda file: read_table(file, entry.name), as_picks)


@pytest.mark.parametrize("entry", [entry for entry in WRITTEN if entry.suffixes[0] not in {".em", ".mod"}],
                         ids=lambda entry: entry.name)  # fmt: skip
@RELAXED
@given(data=st.data(), value=VALUES)
def test_another_word_in_place_of_one(tmp_path, entry, data, value):
    path = tmp_path / f"a{entry.suffixes[0]}"
    words = written(path, entry).decode().replace(",", " , ").replace('"', ' " ').split(" ")
    words[data.draw(st.integers(0, len(words) - 1))] = value
    path.write_text(" ".join(words), encoding="utf-8")
    survives(path, read_table, lambda file: read_table(file, entry.name), as_picks)


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
    survives(path, read_table, as_picks)


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
def test_impossible_counts_in_headers_allocate_nothing(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BOMBS[name])
    tracemalloc.start()
    before = time.process_time()
    try:
        read_table(path)
    except TomoPickerError as error:
        assert "\n" not in str(error)
    taken, (_, peak) = time.process_time() - before, tracemalloc.get_traced_memory()
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
    survives(path, volume_files)


@pytest.mark.parametrize("name", ["a.csv", "a.star", "a.mrc", "a.mrc.gz", "a"])
@RELAXED
@given(content=ANY)
def test_any_bytes_as_volume_and_picks(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    survives(path, read_table, open_tomogram, as_picks)


@LONGER
@given(rows=st.lists(st.lists(CELLS, max_size=6), max_size=5), delimiter=st.sampled_from([",", "\t", ";", "|", " "]))
def test_any_columns(tmp_path, rows, delimiter):
    path = tmp_path / "TS_01.csv"
    path.write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8", errors="replace")
    survives(path, read_table, as_picks)


@LONGER
@given(lines=st.lists(LINES, max_size=14), with_block=st.booleans())
def test_any_star(tmp_path, lines, with_block):
    path = tmp_path / "a.star"
    path.write_text("\n".join(BLOCK * with_block + lines), encoding="utf-8", errors="replace")
    survives(path, read_table, as_picks)


@LONGER
@given(at=st.integers(0, 255), value=st.binary(min_size=1, max_size=8), cut=st.integers(0, 60), packed=st.booleans())
def test_any_damage_to_a_header(tmp_path, at, value, cut, packed):
    path = tmp_path / ("a.mrc.gz" if packed else "a.mrc")
    content = bytearray(whole_volume(path))
    content[at : at + len(value)] = value
    path.write_bytes(content[: len(content) - cut] if cut else content)
    survives(path, open_tomogram, lambda file: open_tomogram(file, voxel_size=5.0).read())
