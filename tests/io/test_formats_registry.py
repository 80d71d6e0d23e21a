"""The registry: rows that can be kept, light imports, and a round trip through every format that is written."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tomopicker import io
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame
from tomopicker.io import FORMATS, read_picks, read_table, write_picks
from tomopicker.io.registry import import_function
from tomopicker.picks import Picks

RELAXED = settings(
    max_examples=settings.default.max_examples // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_functions_of_the_registry_exist():
    for entry in FORMATS:
        for name in (entry.reader, entry.writer):
            assert name is None or callable(import_function(name))
        assert callable(entry.recognise)


def test_names_are_unique_and_suffixes_have_dots():
    assert len({entry.name for entry in FORMATS}) == len(FORMATS)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for entry in FORMATS for suffix in entry.suffixes)


def test_exports_exist():
    for name in io.__all__:
        assert getattr(io, name) is not None


def loaded_after(code: str) -> set[str]:
    command = f"import sys; {code}; print(' '.join(sys.modules))"
    return set(
        subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"numpy", "pandas", "starfile", "mrcfile", "torch"}
    assert not loaded_after("import tomopicker.io") & heavy
    assert not loaded_after("import tomopicker.io.registry") & heavy


def test_no_format_loads_torch_and_reading_text_no_starfile():
    modules = sorted({name.rpartition(".")[0] for entry in FORMATS for name in (entry.reader, entry.writer) if name})
    code = "from tomopicker.io import *; " + "; ".join(f"import tomopicker.io.{name}" for name in modules)
    assert not loaded_after(code) & {"torch", "starfile"}


WRITTEN = [entry for entry in FORMATS if entry.kind == "picks" and entry.writer]
KEEPING = [entry for entry in WRITTEN if entry.name in {"relion5", "relion4", "relion3", "warp", "csv"}]
"""Formats that have room for columns of any name."""
NAN = {"relion5", "relion4", "relion3", "warp", "csv", "napari", "cbox", "pytom", "copick", "topaz"}
"""Formats that can say that a score is not known; the others write 0."""
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,11}", fullmatch=True)
sizes = st.integers(2, 4000)


@st.composite
def scenes(draw):
    """Draw picks in one to three tomograms of any size, some of them binned from a tilt series."""
    frames, parts = {}, []
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique_by=str.lower)):
        shape = draw(st.tuples(sizes, sizes, sizes))
        voxel_size = draw(st.floats(0.3, 60))
        frames[name] = Frame(shape, voxel_size)
        if draw(st.booleans()):
            binning = draw(st.floats(1, 12))
            unbinned = tuple(float(round(n * binning)) + draw(st.integers(0, 3)) for n in shape[::-1])
            frames[name] = Frame(shape, voxel_size, unbinned, voxel_size / binning)
        unit = st.floats(0, 1)
        fractions = np.array(draw(st.lists(st.tuples(unit, unit, unit), min_size=1, max_size=4)))
        positions = fractions * (np.array(shape[::-1]) - 1) * voxel_size
        scores = [draw(st.floats(-1e3, 1e3) | st.just(np.nan)) for _ in positions]
        parts.append(Picks.of(name, positions, np.array(scores)))
    return Picks.concatenate(parts), frames


def fitting(picks, frames, entry):
    """Leave one tomogram where a file holds no more."""
    first = picks.tomogram_names[0]
    return (picks.in_tomogram(first), {first: frames[first]}) if entry.single else (picks, frames)


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
@settings(
    max_examples=settings.default.max_examples // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(scene=scenes())
def test_round_trip(tmp_path, entry, scene):
    picks, frames = fitting(*scene, entry)
    path = tmp_path / f"picks{entry.suffixes[0]}"
    path.unlink(missing_ok=True)
    write_picks(picks, frames, path, entry.name)
    try:
        back = read_picks(path, frames, format=entry.name)
    except TomoPickerError as error:
        # Refused on purpose: a unit that is inferred must not pile all positions of a tomogram up in one place.
        assert "count something else" in str(error)
        voxels = picks.positions / np.array([[frames[name].voxel_size] for name in picks.tomograms])
        assert min(np.ptp(voxels[picks.tomograms == name], axis=0).max() for name in picks.tomogram_names) < 3.01
        return
    assert back.tomograms.tolist() == picks.tomograms.tolist()
    voxel = np.array([frames[name].voxel_size for name in picks.tomograms])
    assert np.abs(back.positions - picks.positions).max(axis=1) / voxel == pytest.approx(0, abs=1e-3)
    expected = picks.scores if entry.name in NAN else np.nan_to_num(picks.scores)
    if entry.score != "none":
        np.testing.assert_allclose(back.scores, expected, rtol=1e-6, atol=1e-30, equal_nan=True)


@pytest.mark.parametrize("entry", KEEPING, ids=lambda entry: entry.name)
def test_other_columns_survive(tmp_path, entry):
    extra = pd.DataFrame(
        {
            "rlnClassNumber": [1, 2],
            "rlnAngleRot": [0.25, -1e-7],
            "note": ["a", "b c"],
            "rlnTomoParticleName": ["1", "2"],
        }
    )
    picks = Picks(
        np.array([[10.0, 20, 30], [40, 50, 60]]), np.array(["A", "A"], object), np.array([0.5, np.nan]), extra
    )
    frames = {"A": Frame((20, 21, 22), 7.5)}
    path = tmp_path / f"picks{entry.suffixes[0]}"
    write_picks(picks, frames, path, entry.name)
    back = read_picks(path, frames, keep_classes=True).extra
    assert back["rlnClassNumber"].tolist() == [1, 2]
    assert back["rlnAngleRot"].tolist() == [0.25, -1e-7]
    assert back["note"].tolist() == (["a", "b c"] if entry.name == "csv" else ["a", "b_c"])
    assert [str(value) for value in back["rlnTomoParticleName"]] == ["1", "2"]
    again = tmp_path / f"again{entry.suffixes[0]}"
    write_picks(read_picks(path, frames, keep_classes=True), frames, again, entry.name)
    assert again.read_text().splitlines()[1:] == path.read_text().splitlines()[1:]


@pytest.mark.parametrize("source", WRITTEN, ids=lambda entry: entry.name)
@pytest.mark.parametrize("target", WRITTEN, ids=lambda entry: entry.name)
def test_conversion_between_formats(tmp_path, source, target):
    frames = {
        "A": Frame((20, 21, 23), 8.0, (92.0, 84.0, 80.0), 2.0),
        "B": Frame((30, 31, 32), 9.0, (64.0, 62.0, 60.0), 4.5),
    }
    picks = Picks.concatenate(
        [Picks.of("A", np.array([[10.0, 20, 30]]), np.ones(1)), Picks.of("B", np.array([[40.0, 50, 60]]), np.zeros(1))]
    )
    first, second = tmp_path / f"a{source.suffixes[0]}", tmp_path / f"b{target.suffixes[0]}"
    picks, frames = fitting(picks, frames, source if source.single else target)
    write_picks(picks, frames, first, source.name)
    write_picks(read_picks(first, frames, format=source.name), frames, second, target.name)
    back = read_picks(second, frames, format=target.name)
    np.testing.assert_allclose(back.positions, picks.positions, atol=1e-2)
    if source.score != "none" and target.score != "none":
        np.testing.assert_allclose(back.scores, picks.scores)


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
def test_no_picks_make_a_header_without_rows(tmp_path, entry):
    path = tmp_path / f"none{entry.suffixes[0]}"
    write_picks(Picks.concatenate([]), {"A": Frame((4, 5, 6), 10.0)}, path, entry.name)
    with pytest.raises(TomoPickerError, match=r"no picks|empty|20 x 0 x 1"):
        read_table(path, entry.name)


def test_written_relion5_files(tmp_path):
    frames = {"TS_01": Frame((51, 60, 71), 10.0)}
    write_picks(
        Picks.of("TS_01", np.array([[0.0, 10.0, 20.0]]), np.array([0.75])), frames, tmp_path / "p.star", "relion5"
    )
    lines = tmp_path.joinpath("p.star").read_text().splitlines()
    assert "data_particles" in lines
    assert "TS_01\t-355\t-290\t-235\t0.75" in lines


def test_written_warp_files(tmp_path):
    frames = {"TS_01": Frame((51, 60, 71), 10.0)}
    write_picks(Picks.of("TS_01", np.array([[0.0, 10.0, 20.0]])), frames, tmp_path / "p.star", "warp")
    text = tmp_path.joinpath("p.star").read_text()
    assert "TS_01.tomostar\t0\t1\t2\t10000\t10\t10" in text
    assert "Centered" not in text


def test_format_follows_the_suffix(tmp_path):
    frames, picks = {"A": Frame((4, 5, 6), 10.0)}, Picks.of("A", np.zeros((1, 3)))
    write_picks(picks, frames, tmp_path / "a.star")
    assert "rlnCenteredCoordinateXAngst" in (tmp_path / "a.star").read_text()
    write_picks(picks, frames, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "tomogram,x,y,z,score\nA,0.0000,0.0000,0.0000,\n"
    with pytest.raises(UsageError, match="--to"):
        write_picks(picks, frames, tmp_path / "a.xyz")
    with pytest.raises(UsageError, match="relion5"):
        write_picks(picks, frames, tmp_path / "a.csv", "word")
    with pytest.raises(TomoPickerError, match="'A'"):
        write_picks(picks, {}, tmp_path / "b.csv")
    write_picks(Picks.of("a b", np.zeros((1, 3))), {"a b": frames["A"]}, tmp_path / "b.star")
    assert read_table(tmp_path / "b.star").tomograms.tolist() == ["a_b"]
    assert read_picks(tmp_path / "b.star", {"a b": frames["A"]}).tomogram_names == ["a b"]
    alike = Picks.concatenate([Picks.of(name, np.zeros((1, 3))) for name in ("a b", "a_b")])
    with pytest.raises(TomoPickerError, match="rename"):
        write_picks(alike, {"a b": frames["A"], "a_b": frames["A"]}, tmp_path / "c.star")
    assert not (tmp_path / "c.star").exists()
    with pytest.raises(TomoPickerError, match="rename"):
        write_picks(Picks.of("#1", np.zeros((1, 3))), {"#1": frames["A"]}, tmp_path / "b.csv")


def test_text_with_newlines_and_quotes_stays_in_its_row(tmp_path):
    extra = pd.DataFrame({"note": ['say "hi",\nthen go', "it's # 2"]})
    picks = Picks(np.zeros((2, 3)), np.array(["A", "A"], object), np.full(2, np.nan), extra)
    for entry in KEEPING:
        path = tmp_path / f"{entry.name}{entry.suffixes[0]}"
        write_picks(picks, {"A": Frame((4, 5, 6), 10.0)}, path, entry.name)
        back = read_picks(path, {"A": Frame((4, 5, 6), 10.0)})
        assert len(back) == 2
        expected = ['say "hi", then go', "it's # 2"] if entry.name == "csv" else ["say__hi_,_then_go", "it_s___2"]
        assert back.extra["note"].tolist() == expected


@pytest.mark.parametrize(
    ("name", "format", "called"),
    [
        ("rec_TS_01", "relion5", "TS_01"),
        ("rec_TS_01", "relion4", "TS_01"),
        ("TS_01_8.48Apx", "relion5", "TS_01_8.48Apx"),
        ("TS_01_8.48Apx", "warp", "TS_01.tomostar"),
        ("TS_01.tomostar", "warp", "TS_01.tomostar"),
        ("TS_01_8.48Apx", "relion3", "TS_01_8.48Apx"),
    ],
)
def test_tomograms_have_the_names_of_the_program(tmp_path, name, format, called):
    frames = {name: Frame((4, 5, 6), 10.0)}
    write_picks(Picks.of(name, np.zeros((1, 3))), frames, tmp_path / "a.star", format)
    assert read_table(tmp_path / "a.star").tomograms.tolist() == [called]
    assert read_picks(tmp_path / "a.star", frames).tomogram_names == [name]


@pytest.mark.parametrize("suffix", [".tbl", ".em"])
@pytest.mark.parametrize(("names", "numbers"), [(("A_D000", "A_D001"), (1, 2)), (("TS_7", "TS_3"), (7, 3))])
def test_tomograms_are_numbered_from_1(tmp_path, suffix, names, numbers):
    """By the number that a name ends in, unless one is 0, which means none to other programs."""
    frames = {name: Frame((40, 64, 64), 10.0) for name in names}
    picks = Picks.concatenate([Picks.of(name, np.array([[10.0, 20, 30]])) for name in names])
    write_picks(picks, frames, tmp_path / f"p{suffix}")
    listed = (tmp_path / "p.doc").read_text().split("\n")
    assert listed == [*(f"{number} {name}" for number, name in zip(numbers, names, strict=True)), ""]
    assert read_picks(tmp_path / f"p{suffix}", frames).tomogram_names == list(names)
