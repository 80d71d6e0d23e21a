"""``tomopicker convert``: round trips of every format, folders, and one-line errors."""

import json

import numpy as np
import pytest

from tomopicker.io import FORMATS, read_table, write_mrc

WRITTEN = [entry for entry in FORMATS if entry.kind == "picks" and entry.writer]
POINTS = [("TS_01", 3.25, 4.5, 5.75, 0.5), ("TS_01", 8.0, 9.0, 2.0, 0.25), ("TS_02", 1.0, 2.0, 3.0, 1.0)]


@pytest.fixture
def tomograms(tmp_path):
    for name, shape in {"TS_01": (11, 20, 31), "TS_02": (12, 21, 30)}.items():
        (tmp_path / "tomograms").mkdir(exist_ok=True)
        write_mrc(tmp_path / "tomograms" / f"{name}_13.48Apx.mrc", np.zeros(shape, np.float32), 13.48)
    return tmp_path / "tomograms"


@pytest.fixture
def clicks(tmp_path):
    rows = [",".join(map(str, row)) for row in POINTS]
    (tmp_path / "clicks.csv").write_text("\n".join(["tomogram,x,y,z,score", *rows]) + "\n")
    return tmp_path / "clicks.csv"


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
def test_there_and_back_through_folders(cli, clicks, tomograms, tmp_path, entry):
    there, back = tmp_path / "there", tmp_path / "back.csv"
    flags = ["--tomograms", tomograms, "--binning", 4]
    result = cli("convert", clicks, there, "--to", entry.name, *flags)
    assert result.code == 0, result.err
    assert len(list(there.glob(f"TS_*{entry.suffixes[0]}"))) == 2
    result = cli("convert", there, back, "--from", entry.name, *flags)
    assert result.code == 0, result.err
    table = read_table(back)
    assert table.tomograms.tolist() == ["TS_01_13.48Apx"] * 2 + ["TS_02_13.48Apx"]
    np.testing.assert_allclose(table.coordinates, [row[1:4] for row in POINTS], atol=1e-3)


def test_a_folder_that_holds_a_tomogram_twice_is_refused(cli, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("TS_01.csv", "TS_01_more.csv"):
        (tmp_path / "in" / name).write_text("tomogram,x,y,z\nTS_01,1,2,3\n")
    result = cli("convert", tmp_path / "in", tmp_path / "out.csv")
    assert (result.code, len(result.errors)) == (2, 1)
    assert "TS_01.csv in the same folder has picks of 'TS_01' too" in result.errors[0]


def test_one_file_for_several_tomograms_is_refused_where_it_holds_one(cli, clicks, tomograms, tmp_path):
    result = cli("convert", clicks, tmp_path / "all.mod", "--tomograms", tomograms)
    assert result.code == 2
    assert "give a folder" in result.errors[0]


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        (["--to", "eman2"], "--shape"),
        (["--to", "eman2", "--shape", "31,20,11"], "--voxel-size"),
        (["--to", "cmm"], "--voxel-size"),
        (["--to", "relion4"], "--voxel-size"),
        (["--to", "word"], "choose from"),
        (["--to", "tloc"], "cannot be written"),
        (["--from", "word", "--to", "csv"], "choose from"),
        ([], "--to"),
        (["--to", "csv", "--shift", "1,2"], "--shift"),
        (["--to", "csv", "--binning", "0"], "--binning"),
    ],
)
def test_what_is_missing_is_named(cli, clicks, tmp_path, flags, missing):
    result = cli("convert", clicks, tmp_path / "out", *flags)
    assert (result.code, len(result.errors)) == (2, 1)
    assert missing in result.errors[0]


def test_formats_in_voxels_need_no_sizes(cli, tmp_path):
    (tmp_path / "TS_01.csv").write_text("1,2,3\n4.5,5.5,6.5\n")
    for suffix, expected in {".tbl": (2, 3, 4), ".em": (2, 3, 4), ".mod": (1.5, 2.5, 3), ".coords": (1, 2, 3)}.items():
        result = cli("convert", tmp_path / "TS_01.csv", tmp_path / f"out{suffix}")
        assert result.code == 0, result.err
        np.testing.assert_allclose(read_table(tmp_path / f"out{suffix}").coordinates[0], expected)


def test_unbinned_pixels_by_the_bin_factor(cli, clicks, tomograms, tmp_path):
    star = tmp_path / "out.star"
    flags = ["--tomograms", tomograms, "--binning", 4]
    assert cli("convert", clicks, star, "--to", "relion4", *flags).code == 0
    np.testing.assert_allclose(read_table(star).coordinates[0], (13, 18, 23), atol=1e-4)
    star.write_text("data_\nloop_\n_rlnTomoName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\nTS_01 13 18 23\n")
    assert cli("convert", star, tmp_path / "back.csv", *flags).code == 0
    np.testing.assert_allclose(read_table(tmp_path / "back.csv").coordinates[0], (3.25, 4.5, 5.75), atol=1e-3)


def test_a_shift_moves_every_position(cli, clicks, tomograms, tmp_path):
    flags = ["--tomograms", tomograms, "--shift", "-0.5,1,0"]
    assert cli("convert", clicks, tmp_path / "out.csv", *flags).code == 0
    np.testing.assert_allclose(read_table(tmp_path / "out.csv").coordinates[0], (2.75, 5.5, 5.75), atol=1e-3)


def test_an_eman2_file_keeps_its_alignment(cli, clicks, tomograms, tmp_path):
    info = tmp_path / "info" / "TS_01_info.json"
    info.parent.mkdir()
    info.write_text(json.dumps({"tlt_params": [[1, 2]], "apix_unbin": 3.37, "class_list": {"0": {"name": "ribo"}}}))
    flags = ["--to", "eman2", "--tomograms", tomograms]
    assert cli("convert", clicks, info.parent, *flags).code == 2
    assert cli("convert", clicks, info.parent, *flags, "--overwrite").code == 0
    written = json.loads(info.read_text())
    assert written["tlt_params"] == [[1, 2]]
    assert written["class_list"]["0"] == {"name": "ribo"}
    np.testing.assert_allclose(written["boxes_3d"][0][:3], [(3.25 - 15) * 4, (4.5 - 10) * 4, (5.75 - 5) * 4], atol=1e-3)


def test_somebody_elses_document_is_left_alone(cli, tmp_path):
    (tmp_path / "TS_01.csv").write_text("1,2,3\n")
    (tmp_path / "out.doc").write_text("Dear reviewer")
    result = cli("convert", tmp_path / "TS_01.csv", tmp_path / "out.tbl")
    assert (result.code, len(result.errors)) == (1, 1)
    assert (tmp_path / "out.doc").read_text() == "Dear reviewer"


def test_the_table_of_formats(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    lines = cli("formats").out.splitlines()
    for entry in FORMATS:
        assert any(line.split()[:1] == [entry.name] for line in lines)
    assert not any(line.startswith(" mrc ") for line in cli("formats", "picks").out.splitlines())


def test_relion5_gets_a_list_in_a_folder_and_a_set_next_to_a_file(cli, clicks, tomograms, tmp_path):
    flags = ["--to", "relion5", "--tomograms", tomograms]
    assert cli("convert", clicks, tmp_path / "import", *flags).code == 0
    assert len(read_table(tmp_path / "import" / "relion5_import.star")) == 3
    names = "rlnTomoName rlnTomoTiltSeriesPixelSize rlnTomoSizeX rlnTomoSizeY rlnTomoSizeZ rlnTomoTomogramBinning"
    rows = ["TS_01 3.37 124 80 44 4", "TS_02 3.37 120 84 48 4"]
    project = tmp_path / "tomograms.star"
    project.write_text("\n".join(["data_global", "loop_", *(f"_{name}" for name in names.split()), *rows]) + "\n")
    flags = ["--tomograms", project]
    assert cli("convert", clicks, tmp_path / "p.star", *flags).code == 0
    both = tmp_path / "p_optimisation_set.star"
    assert cli("convert", both, tmp_path / "back.csv").code == 0
    np.testing.assert_allclose(read_table(tmp_path / "back.csv").coordinates, [row[1:4] for row in POINTS], atol=1e-3)
    (tmp_path / "p.star").unlink()
    assert cli("convert", clicks, tmp_path / "p.star", *flags).code == 2


def test_the_files_of_relion5s_list_have_the_same_columns(cli, tomograms, tmp_path):
    """Its importer accepts only these; the score of TS_02 is unknown."""
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("tomogram,x,y,z,score\nTS_01,3,4,5,0.5\nTS_02,1,2,3,\n")
    assert cli("convert", mixed, tmp_path / "relion", "--to", "relion5", "--tomograms", tomograms).code == 0
    columns = [
        [line.split()[0] for line in file.read_text().splitlines() if line.startswith("_rln")]
        for file in sorted((tmp_path / "relion").glob("TS_*.star"))
    ]
    assert len(columns) == 2 and columns[0] == columns[1]


def test_picks_of_tomograms_that_are_not_given_are_left_out(cli, clicks, tomograms, tmp_path):
    result = cli("convert", clicks, tmp_path / "one.csv", "--tomograms", tomograms / "TS_02_13.48Apx.mrc")
    assert result.code == 0, result.err
    assert "2 picks left out, of tomograms that were not given: TS_01" in result.err
    assert len(read_table(tmp_path / "one.csv")) == 1
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("TS_01", "TS_02"):
        (folder / f"{name}.csv").write_text(f"tomogram,x,y,z\n{name},1,2,3\n")
    result = cli("convert", folder, tmp_path / "two.csv", "--tomograms", tomograms / "TS_02_13.48Apx.mrc")
    assert result.code == 0, result.err
    assert "TS_01.csv: left out" in result.err
    result = cli(
        "convert", folder / "TS_01.csv", tmp_path / "none.csv", "--tomograms", tomograms / "TS_02_13.48Apx.mrc"
    )
    assert result.code == 1
    assert "no picks of the tomograms given" in result.errors[0]


def test_what_was_inferred_is_printed(cli, tomograms, tmp_path):
    (tmp_path / "TS_01.csv").write_text("3,4,5\n8,9,2\n20,4,5\n")
    result = cli("convert", tmp_path / "TS_01.csv", tmp_path / "out.star", "--tomograms", tomograms)
    assert result.code == 0, result.err
    assert "Note: " in result.out
    assert "taken as x, y, z in voxels" in result.out
    assert result.err == ""
