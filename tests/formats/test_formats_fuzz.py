"""Whatever bytes a file holds, reading it gives a result or one line for the user: never another error."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tomopicker.errors import TomoPickerError
from tomopicker.formats import open_tomogram, read_picks, read_table, write_mrc
from tomopicker.geometry import Frame

RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
WORDS = [
    "x",
    "y",
    "z",
    "X [A]",
    "tomogram",
    "score",
    "TS_01",
    "1",
    "-2.5",
    "1e9",
    "nan",
    "",
    '"',
    "'",
    "#",
    "axis-0",
    "0x1f",
]
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


def with_picks(path):
    return read_picks([path], {"TS_01": Frame((10, 11, 12), 5.0)})


@pytest.mark.parametrize("name", ["a.csv", "a.star", "a.mrc", "a.mrc.gz", "a"])
@settings(RELAXED, max_examples=60)
@given(content=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    survives(path, read_table, open_tomogram, with_picks)


@RELAXED
@given(rows=st.lists(st.lists(CELLS, max_size=6), max_size=5), delimiter=st.sampled_from([",", "\t", ";", "|", " "]))
def test_any_columns(tmp_path, rows, delimiter):
    path = tmp_path / "TS_01.csv"
    path.write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8", errors="replace")
    survives(path, read_table, with_picks)


@RELAXED
@given(lines=st.lists(LINES, max_size=14), with_block=st.booleans())
def test_any_star(tmp_path, lines, with_block):
    path = tmp_path / "a.star"
    path.write_text("\n".join(BLOCK * with_block + lines), encoding="utf-8", errors="replace")
    survives(path, read_table, with_picks)


@RELAXED
@given(at=st.integers(0, 255), value=st.binary(min_size=1, max_size=8), cut=st.integers(0, 60), packed=st.booleans())
def test_any_damage_to_a_header(tmp_path, at, value, cut, packed):
    path = tmp_path / ("a.mrc.gz" if packed else "a.mrc")
    write_mrc(path, np.zeros((3, 4, 5), np.float32), 10.0)
    content = bytearray(path.read_bytes())
    content[at : at + len(value)] = value
    path.write_bytes(content[: len(content) - cut] if cut else content)
    survives(path, open_tomogram, lambda file: open_tomogram(file, voxel_size=5.0).read())
