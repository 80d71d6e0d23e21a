"""STAR files: what a coordinate counts in each family, origins, scores, and project files."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, Unit
from tomopicker.io import read_frames, read_picks, read_table, write_picks, write_relion5_import_list
from tomopicker.io.frames import frames_of_tomograms

FRAME = Frame((50, 60, 70), 10.0)


def loop(name: str, columns: str, *rows: str) -> str:
    return (
        f"data_{name}\n\nloop_\n"
        + "\n".join(f"_{column}" for column in columns.split())
        + "\n"
        + "\n".join(rows)
        + "\n\n"
    )


@pytest.fixture
def star(tmp_path):
    def write(*blocks: str, name: str = "particles.star") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n# a comment\n" + "".join(blocks))
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(TomoPickerError) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CENTRED = "rlnTomoName rlnCenteredCoordinateXAngst rlnCenteredCoordinateYAngst rlnCenteredCoordinateZAngst"
PIXELS = "rlnCoordinateX rlnCoordinateY rlnCoordinateZ"


def test_relion5_counts_from_half_the_size(star):
    path = star(loop("particles", CENTRED, "TS_01 0 0 0", "TS_01 -100 50 20"))
    assert read_table(path).unit is Unit.CENTRED_ANGSTROM
    assert read_picks(path, {"TS_01": FRAME}).positions.tolist() == [[350, 300, 250], [250, 350, 270]]
    odd = Frame((51, 61, 71), 10.0)
    assert read_picks(path, {"TS_01": odd}).positions[0].tolist() == [355, 305, 255]


def test_names_that_look_like_numbers_stay_names(star):
    path = star(loop("particles", CENTRED, "0001 0 0 0", "0002 0 0 0"))
    assert read_table(path).tomograms.tolist() == ["0001", "0002"]


def test_relion5_origin_is_turned_by_the_subtomogram_angles(star):
    columns = f"{CENTRED} rlnOriginXAngst rlnOriginYAngst rlnOriginZAngst"
    angles = "rlnTomoSubtomogramRot rlnTomoSubtomogramTilt rlnTomoSubtomogramPsi"
    plain = star(loop("particles", columns, "TS_01 100 100 100 1 2 3"))
    assert read_table(plain).coordinates.tolist() == [[99, 98, 97]]
    assert "rlnOriginXAngst" not in read_table(plain).extra
    turned = star(loop("particles", f"{columns} {angles}", "TS_01 100 100 100 1 2 3 90 0 0"))
    # RELION's matrix of rot = 90 degrees takes (x, y, z) to (y, -x, z).
    np.testing.assert_allclose(read_table(turned).coordinates, [[98, 101, 97]], atol=1e-9)
    tilted = star(loop("particles", f"{columns} {angles}", "TS_01 100 100 100 1 2 3 0 90 0"))
    # That of tilt = 90 degrees takes (x, y, z) to (-z, y, x).
    np.testing.assert_allclose(read_table(tilted).coordinates, [[103, 98, 99]], atol=1e-9)


def test_relion4_counts_unbinned_pixels_of_each_optics_group(star):
    optics = loop("optics", "rlnOpticsGroup rlnTomoTiltSeriesPixelSize rlnImagePixelSize", "1 2.0 8.0", "2 2.5 8.0")
    particles = loop("particles", f"rlnTomoName {PIXELS} rlnOpticsGroup", "TS_01 100 50 20 1", "TS_01 100 50 20 2")
    table = read_table(star(optics, particles))
    assert table.pixel_size.tolist() == [2.0, 2.5]
    picks = read_picks(star(optics, particles), {"TS_01": FRAME})
    assert picks.positions.tolist() == [[200, 100, 40], [250, 125, 50]]


def test_relion4_origin_in_angstrom(star):
    optics = loop("optics", "rlnOpticsGroup rlnTomoTiltSeriesPixelSize", "1 2.0")
    columns = f"rlnTomoName {PIXELS} rlnOpticsGroup rlnOriginXAngst rlnOriginYAngst rlnOriginZAngst"
    table = read_table(star(optics, loop("particles", columns, "TS_01 100 50 20 1 1 2 3")))
    assert table.coordinates.tolist() == [[99.5, 49, 18.5]]


def test_relion30_origin_in_pixels_and_size_of_the_detector(star):
    columns = f"rlnMicrographName {PIXELS} rlnMagnification rlnDetectorPixelSize rlnOriginX rlnOriginY rlnOriginZ"
    table = read_table(star(loop("", columns, "TS_01.tomostar 4 8 12 20000 7.0 1 2 3")))
    assert table.coordinates.tolist() == [[3, 6, 9]]
    assert table.pixel_size.tolist() == [3.5]


def test_origin_in_angstrom_needs_a_pixel_size(star):
    columns = f"rlnTomoName {PIXELS} rlnOriginXAngst rlnOriginYAngst rlnOriginZAngst"
    assert "rlnPixelSize" in refusal(star(loop("", columns, "TS_01 4 8 12 1 2 3")))
    assert read_table(star(loop("", columns, "TS_01 4 8 12 0 0 0"))).coordinates.tolist() == [[4, 8, 12]]


def test_warptools_counts_the_pixels_it_exports(star):
    optics = loop("optics", "rlnOpticsGroup rlnTomoTiltSeriesPixelSize rlnImagePixelSize", "1 2.0 8.0")
    row = f"rlnTomoName {PIXELS} rlnOpticsGroup"
    assert read_table(star(optics, loop("particles", row, "TS_01.tomostar 1 2 3 1"))).pixel_size.tolist() == [8.0]
    assert read_table(star(optics, loop("particles", row, "TS_01 1 2 3 1"))).pixel_size.tolist() == [2.0]


def test_no_pixel_size_means_the_voxel_of_the_tomogram(star):
    path = star(loop("", f"rlnTomoName {PIXELS}", "TS_01 1 2 3"))
    assert np.isnan(read_table(path).pixel_size).all()
    assert read_picks(path, {"TS_01": FRAME}).positions.tolist() == [[10, 20, 30]]
    assert read_picks(path, {"TS_01": FRAME}, pixel_size=2.0).positions.tolist() == [[2, 4, 6]]
    far = star(loop("", f"rlnTomoName {PIXELS}", "TS_01 300 200 100"))
    with pytest.raises(TomoPickerError, match="--picks-pixel-size"):
        read_picks(far, {"TS_01": FRAME})


@pytest.mark.parametrize("label", ["rlnAutopickFigureOfMerit", "rlnLCCmax"])
def test_scores_and_other_columns(star, label):
    path = star(loop("particles", f"{CENTRED} {label} rlnClassNumber note", 'TS_01 0 0 0 0.5 3 "a b"'))
    table = read_table(path)
    assert table.scores.tolist() == [0.5]
    assert table.extra.to_dict("list") == {"rlnClassNumber": [3], "note": ["a b"]}


def test_coordinates_of_relion5_come_before_pixels(star):
    path = star(loop("particles", f"{CENTRED} {PIXELS}", "TS_01 0 0 0 9 9 9"))
    assert read_table(path).unit is Unit.CENTRED_ANGSTROM
    assert read_table(path).extra.shape[1] == 0


TOMOGRAMS = loop(
    "global",
    "rlnTomoName rlnTomoSizeX rlnTomoSizeY rlnTomoSizeZ rlnTomoTiltSeriesPixelSize rlnTomoTomogramBinning",
    "TS_01 281 243 205 2.5 4.0",
)


@pytest.mark.parametrize("style", ["loop", "pairs"])
def test_optimisation_set_gives_particles_and_sizes(star, style):
    star(TOMOGRAMS, name="Tomograms/job/tomograms.star")
    star(loop("particles", CENTRED, "TS_01 0 0 0"), name="Picks/job/particles.star")
    names = "Picks/job/particles.star", "Tomograms/job/tomograms.star"
    block = loop("", "rlnTomoParticlesFile rlnTomoTomogramsFile", " ".join(names))
    if style == "pairs":
        block = f"data_\n\n_rlnTomoParticlesFile {names[0]}\n_rlnTomoTomogramsFile {names[1]}\n"
    path = star(block, name="Picks/job/optimisation_set.star")
    table = read_table(path)
    assert table.frames["TS_01"] == Frame((51, 61, 70), 10.0, (281.0, 243.0, 205.0), 2.5)
    picks = read_picks(path, {"rec_TS_01": FRAME})
    assert picks.tomogram_names == ["rec_TS_01"]
    assert picks.positions.tolist() == [[351.25, 303.75, 256.25]]


def test_tomograms_next_to_particles_give_the_sizes(star):
    tomograms = star(TOMOGRAMS, name="tomograms.star")
    particles = star(loop("particles", CENTRED, "TS_01 0 0 0"))
    assert read_picks([particles, tomograms], {"TS_01": FRAME}).positions.tolist() == [[351.25, 303.75, 256.25]]
    assert read_frames(tomograms)["TS_01"].unbinned_pixel_size == 2.5
    assert "not particles" in refusal(tomograms)


def test_a_list_without_binning_is_a_warning(star):
    """Picks of binned tomograms would silently be off by the factor."""
    labels = "rlnTomoName rlnTomoSizeX rlnTomoSizeY rlnTomoSizeZ rlnTomoTiltSeriesPixelSize"
    stated = star(TOMOGRAMS, name="stated.star")
    silent = star(loop("global", labels, "TS_01 281 243 205 2.5"), name="silent.star")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frames_of_tomograms([stated])["TS_01"].voxel_size == 10.0
    with pytest.warns(UserWarning, match=r"silent\.star: states no rlnTomoTomogramBinning"):
        assert frames_of_tomograms([silent])["TS_01"].voxel_size == 2.5


def test_import_list_is_followed(star, tmp_path):
    for i in (1, 2):
        star(loop("particles", CENTRED, f"TS_0{i} {i} 0 0"), name=f"sub/TS_0{i}.star")
    rows = ["TS_01 TS_01.star", "TS_02 TS_02.star"]
    path = star(loop("", "rlnTomoName rlnTomoImportParticleFile", *rows), name="sub/list.star")
    table = read_table(path)
    assert table.tomograms.tolist() == ["TS_01", "TS_02"]
    assert table.coordinates[:, 0].tolist() == [1, 2]
    written = tmp_path / "elsewhere" / "list.star"
    write_relion5_import_list({f"TS_0{i}": tmp_path / "sub" / f"TS_0{i}.star" for i in (1, 2)}, written)
    np.testing.assert_array_equal(read_table(written).coordinates, table.coordinates)
    (tmp_path / "sub" / "TS_02.star").unlink()
    assert "TS_02.star" in refusal(path)


def test_import_list_that_names_itself_is_refused(star):
    assert "rlnCoordinateX" in refusal(star(loop("", "rlnTomoName rlnTomoImportParticleFile", "TS_01 particles.star")))


def test_refusals(star):
    assert "no picks" in refusal(star(loop("particles", CENTRED)))
    missing = refusal(star(loop("particles", "rlnCoordinateX rlnCoordinateY", "1 2")))
    assert "rlnCoordinateY" in missing
    assert "row 2" in refusal(star(loop("particles", CENTRED, "TS_01 0 0 0", "TS_01 0 x 0")))
    assert "row 1" in refusal(star(loop("particles", CENTRED, "TS_01 nan 0 0")))
    assert "row 1" in refusal(star(loop("particles", CENTRED, "TS_01 inf 0 0")))
    assert "STAR" in refusal(star("data_particles\n"))
    assert "STAR" in refusal(star("nothing here\n"))
    assert "STAR" in refusal(star(loop("particles", CENTRED, "TS_01 0 0 0", "TS_01 0 0 0 7 8")))


def test_a_repaired_file_is_read_again(star):
    refusal(star(loop("particles", CENTRED, "TS_01 0 0 0", "TS_01 0 0 0 7 8")))
    assert len(read_table(star(loop("particles", CENTRED, "TS_01 0 0 0")))) == 1


def test_star_content_under_another_suffix(star):
    assert len(read_table(star(loop("particles", CENTRED, "TS_01 0 0 0"), name="particles.txt"))) == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["TS_01 1 2 3", "TS_01 4 5", "TS_01 7 8 9"], "line 11 has 3 fields where its loop has 4 labels"),
        (["TS_01 1 2 3", "TS_01 4 5 6 7", "TS_01 7 8 9"], "line 11 has 5 fields"),
        (["TS_01 1 2 3", "TS_01 7"], "line 11 has 2 fields"),
        (["TS_01 1 2 3", "TS_01 'a 2 3 4"], "line 11 has a quotation mark that is not closed"),
    ],
)
def test_a_row_that_does_not_fit_its_labels_is_named(star, rows, said):
    path = star(loop("particles", f"rlnTomoName {PIXELS}", *rows))
    assert said in refusal(path)


def test_missing_newline_at_the_end_is_reported(star):
    path = star(loop("", CENTRED, "TS_01 0 0 0", "TS_01 10 20 30").rstrip("\n"))
    assert any("cut short" in note for note in read_table(path).notes)
    assert read_table(star(loop("", CENTRED, "TS_01 0 0 0"))).notes == ()


def test_one_block_per_tomogram(star):
    blocks = [loop(f"TS_0{i}", f"{PIXELS} rlnPixelSize", *[f"{i} 2 {j} 10" for j in range(i)]) for i in (1, 2, 3)]
    table = read_table(star(*blocks, name="all.star"))
    assert table.tomograms.tolist() == ["TS_01", "TS_02", "TS_02", "TS_03", "TS_03", "TS_03"]
    unnamed = [loop("", f"rlnMicrographName {PIXELS}", f"TS_0{i} 1 2 3") for i in (1, 2)]
    assert read_table(star(*unnamed)).tomograms.tolist() == ["TS_01", "TS_02"]
    bad = loop("TS_04", f"{PIXELS} rlnPixelSize", "1 2 x 10")
    assert "data_TS_04 row 1" in refusal(star(*blocks, bad))


def test_the_block_of_particles_is_chosen_by_name_and_others_are_reported(star):
    other = loop("old_picks", f"rlnTomoName {PIXELS}", "TS_01 9 9 9", "TS_01 8 8 8")
    table = read_table(star(other, loop("particles", CENTRED, "TS_01 1 2 3")))
    assert table.coordinates.tolist() == [[1, 2, 3]]
    assert table.notes == ("data_particles is read; not read: data_old_picks (2 rows)",)
    assert "count differently" in refusal(star(other, loop("picks", CENTRED, "TS_01 1 2 3")))


def test_a_second_loop_in_a_block_is_read(star):
    first = (
        "data_cryolo\n\nloop_\n_slice_index\n1\n2\n\nloop_\n_CoordinateX\n_CoordinateY\n_CoordinateZ\n_Width\n_Height\n"
    )
    path = star(first + "10 20 30 8 8\n40 50 60 8 8\n", name="boxes.cbox")
    assert read_table(path).coordinates.tolist() == [[14, 24, 30], [44, 54, 60]]
    columns = "CoordinateX CoordinateY CoordinateZ Width Height"
    named = star(loop("seeds", columns, "1 2 3 4 4"), loop("cryolo", columns, "10 20 30 8 8"), name="two.cbox")
    assert read_table(named).coordinates.tolist() == [[14, 24, 30]]
    assert "data_seeds (1 rows)" in read_table(named).notes[0]
    neither = star(loop("a", columns, "1 2 3 4 4"), loop("b", columns, "10 20 30 8 8"), name="three.cbox")
    assert "data_a" in refusal(neither)


def test_columns_of_one_name_must_agree(star):
    path = star(loop("", f"{CENTRED} rlnClassNumber rlnClassNumber", "TS_01 0 0 0 1 2"))
    assert "rlnClassNumber" in refusal(path)


def test_syntax_that_other_programs_write(star):
    text = "data_\r\n\r\nloop_ \r\n _rlnTomoName#1\r\n"
    text += "".join(f"_rlnCenteredCoordinate{axis}Angst #{i} \r\n" for i, axis in enumerate("XYZ", 2))
    path = star(text + "_note #5\r\nTS_01 1 2 3 'a b' # a remark\r\n\r\ndata_x.mrc 4 5 6 \"\"\r\n# end\r\n")
    table = read_table(path)
    assert table.coordinates.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert table.tomograms.tolist() == ["TS_01", "data_x.mrc"]
    assert table.extra["note"].tolist() == ["a b", ""]


def test_image_names_and_origins_are_dropped(star, tmp_path):
    columns = f"{CENTRED} rlnOriginXAngst rlnOriginYAngst rlnOriginZAngst rlnImageName rlnCtfImage rlnRandomSubset"
    columns += " rlnCtfMaxResolution"
    rows = "TS_01 0 0 0 1 2 3 a.mrcs b.mrc 2 7", "TS_01 50 0 0 1 2 3 a.mrcs b.mrc 1 7"
    path = star(loop("particles", columns, *rows))
    picks = read_picks(path, {"TS_01": FRAME})
    for name, format in (("a.star", "relion5"), ("b.star", "warp"), ("c.csv", "csv")):
        write_picks(picks, {"TS_01": FRAME}, tmp_path / name, format)
        text = (tmp_path / name).read_text()
        assert "rlnRandomSubset" in text
        assert not any(stale in text for stale in ("rlnImageName", "rlnCtf", "rlnOrigin"))
    text = tmp_path / "d.csv"
    text.write_text("x,y,z,rlnImageName\n1,2,3,a.mrcs\n")
    assert read_table(text).extra.shape[1] == 0


def test_particles_of_an_m_species(star):
    poses = " ".join(f"wrpCoordinate{axis}{i}" for i in (1, 2) for axis in "XYZ")
    angles = " ".join(f"wrpAngle{angle}{i}" for i in (1, 2) for angle in ("Rot", "Tilt", "Psi"))
    columns = f"{poses} {angles} wrpRandomSubset wrpSourceName"
    row = "101.5 200 300 103 203 303 10 20 30 11 21 31 2 TS_01.tomostar"
    for labels in (columns, columns.replace("X1", "X").replace("Y1", "Y").replace("Z1", "Z")):
        picks = read_picks(star(loop("", labels, row)), {"TS_01": FRAME})
        assert picks.positions.tolist() == [[101.5, 200, 300]]
        assert picks.tomogram_names == ["TS_01"]
        expected = {"rlnAngleRot": [10], "rlnAngleTilt": [20], "rlnAnglePsi": [30], "rlnRandomSubset": [2]}
        assert picks.extra.to_dict("list") == expected


def test_labels_of_the_first_pytom_match_pick(star):
    columns = (
        "ptmCoordinateX ptmCoordinateY ptmCoordinateZ ptmAngleRot ptmLCCmax ptmDetectorPixelSize ptmMicrographName"
    )
    table = read_table(star(loop("", columns, "1 2 3 45 0.5 13.5 0007")))
    assert (table.tomograms.tolist(), table.scores.tolist(), table.pixel_size.tolist()) == (["0007"], [0.5], [13.5])
    assert table.extra.to_dict("list") == {"rlnAngleRot": [45]}
