"""Files that other tools wrote, in the shared collection beside the repository: read as expected, or refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.shared import SHARED
from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, Unit
from tomopicker.io import open_tomogram, read_frames, read_picks, read_table

pytestmark = pytest.mark.shared

TABLES = [
    # file, rows, unit, first position, pixel size, tomogram, score
    ("csv/cz-backend__points.csv", 3, Unit.VOXEL, (1, 2, 3), None, "", None),
    ("csv/cz-backend__points_with_header_pipe_delim.csv", 3, Unit.VOXEL, (1, 2, 3), None, "", None),
    ("csv/cz-backend__tardis.csv", 6, Unit.ANGSTROM, (4, 8, 12), None, "", None),
    ("csv/maurerv__TS_037_fas.csv", 22, Unit.VOXEL, (151, 881, 322), None, "", None),
    ("csv/cryocat__040_1_shape.csv", 216, Unit.VOXEL, (291.7053737, 117.26928, 64), None, "", None),
    ("napari_star/tomoslice__TS_01_points.star", 6, Unit.VOXEL, (68.381837, 144.723436, 63), None, "", None),
    ("napari_star/tomoslice__TS_01_spheres.star", 4, Unit.VOXEL, (105.609192, 183.947693, 63), None, "", None),
    ("napari_points_csv/generated__napari_points.csv", 3, Unit.VOXEL, (30.5, 20.25, 10), None, "", None),
    ("relion5/cylindra__picks_particles.star", 5, Unit.CENTRED_ANGSTROM, (-176.94, 765.48, 11.16), None, "TS_01", None),
    (
        "relion5_import_list/generated__r5_CCDC147C_001_particles.star",
        100,
        Unit.CENTRED_ANGSTROM,
        (1939, -2912, -644),
        None,
        "CCDC147C_001",
        0.20167,
    ),
    (
        "relion5_import_list/generated__r5_import_list.star",
        200,
        Unit.CENTRED_ANGSTROM,
        (1517.92, 415.52, -127.2),
        None,
        "SPEF1MT2_001_8.48Apx",
        0.582118,
    ),
    (
        "relion4/cryocat__relion_4.0.star",
        200,
        Unit.PIXEL,
        (1700 - 1.260416 / 1.971, 428 - 2.364176 / 1.971, 944 - 3.783296 / 1.971),
        1.971,
        "TS_017",
        None,
    ),
    ("relion4/cz-backend__relion_4_star.star", 6, Unit.PIXEL, (5.2, 10.4, 15.2), 1.0, "TS_001", None),
    ("relion30/cz-backend__relion_3_star.star", 6, Unit.PIXEL, (5.2, 10.4, 15.2), 1.7005, "tomo_1.tomostar", None),
    ("relion30/chlamy__ps2.star", 200, Unit.PIXEL, (3726.465173, 3862.465173, 1041.465173), np.nan, "tomo_0024", None),
    (
        "relion30/cryocat__relion_3.0.star",
        3,
        Unit.PIXEL,
        (1028.455, 733.955, 422.955),
        5.364,
        "*/01006_10.73Apx.mrc",
        None,
    ),
    (
        "relion31/cryocat__relion_3.1_optics2.star",
        3,
        Unit.PIXEL,
        (915.549 + 0.25289 / 2.446, 1480.63 + 2.69889 / 2.446, 938.008 - 7.24711 / 2.446),
        2.446,
        "*/0002_12.23Apx.mrc",
        None,
    ),
    ("relion31/pytom__example_starfile.star", 74, Unit.PIXEL, None, 10.96, "20211007_tomo10.mrc.tomostar", None),
    (
        "warp_m/dynamo2m__example.star",
        200,
        Unit.PIXEL,
        (1512.353, 1126.5, 973.5),
        5.0,
        "tomo_ts01.mrc_15.00Apx.mrc",
        None,
    ),
    ("warp_m/pytom__subtomo_format.star", 200, Unit.PIXEL, (806, 398, 208), 6.896, "tomo200528_100.mrc.tomostar", None),
    (
        "warp_m/tomodrgn__warptools_test_4-tomos_10-ptcls_box-32_angpix-12.star",
        40,
        Unit.PIXEL,
        (494.521, 564.065, 28.146),
        12.0,
        "Unt_083.tomostar",
        None,
    ),
    (
        "pytom_match_pick/builab-mtfit__CCDC147C_001_particles.star",
        200,
        Unit.PIXEL,
        (480, 272, 104),
        14.0,
        "CCDC147C_001",
        0.20167,
    ),
    ("imod_text/pycrest__SV4_003_cor.coordsC", 29, Unit.VOXEL, (123, 80, 289), None, "", None),
]


@pytest.mark.parametrize("expected", TABLES, ids=lambda row: row[0])
def test_tables(expected):
    name, rows, unit, first, pixel_size, tomogram, score = expected
    table = read_table(SHARED / name)
    assert len(table) == rows
    assert table.unit is unit
    if first is not None:
        np.testing.assert_allclose(table.coordinates[0], first, rtol=1e-6)
    if pixel_size is None:
        assert table.pixel_size is None
    else:
        assert table.pixel_size[0] == pytest.approx(pixel_size, nan_ok=True)
    assert Path(table.tomograms[0]).match(tomogram) if tomogram else table.tomograms[0] == ""
    assert table.scores[0] == pytest.approx(np.nan if score is None else score, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("relion5/relion__tilt_series.star", "not particles"),
        ("relion5/cylindra__job_tomo_tomograms.star", "not particles"),
        ("warp_m/tomodrgn__angpix-12_tomograms.star", "not particles"),
        ("relion5/cylindra__picks_optimisation_set.star", "Picks/job_picks/particles.star"),
        ("star_edge/starfile__empty_loop.star", "rlnCoordinateX"),
        ("star_edge/starfile__loop_double_quote.star", "no_quote_string"),
        ("star_edge/starfile__two_single_line_loop_blocks.star", "val1"),
        ("topaz_txt/topaz__particles.txt", "column for z"),
        ("em_motl/cryocat__col_missing.em", "19 x 11 x 1"),
        ("em_volume/pytom__angles_50_100.em", "3 x 100 x 1"),
        ("em_volume/pytom__human_ribo_21A.em", "32 x 32 x 32"),
        ("eman_box/boxmanager__2d_left.box", "without z"),
        ("eman_box/boxmanager__2d_corrupt_has_string.box", "without z"),
        ("eman_box/boxmanager__2d_empty.box", "empty"),
        ("cbox/boxmanager__empty.cbox", "empty"),
        ("tomotwin_tloc/boxmanager__valid.tloc", "pickle"),
        ("copick/copick__config_overlay_local.json", "column for x y z"),
    ],
)
def test_refused_tables(name, word):
    with pytest.raises(TomoPickerError) as caught:
        read_table(SHARED / name)
    assert str(SHARED / name) in str(caught.value)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_other_file_is_read_or_refused():
    for path in sorted(SHARED.rglob("*")):
        if path.is_file():
            for opener in (read_table, open_tomogram):
                try:
                    opener(path)
                except TomoPickerError as error:
                    assert "\n" not in str(error)


def test_relion5_tutorial_in_voxels():
    """Particle 1 and 2 of the HIV tutorial, before their origins: 540 x 540 x 270 voxels, binned 7.4 times."""
    folder = SHARED / "relion5"
    frames = read_frames(folder / "cryocat__R5_tutorial_run_tomograms.star")
    assert frames["TS_01"].shape == (270, 540, 540)
    assert frames["TS_01"].voxel_size == pytest.approx(10.0, abs=1e-3)
    table = read_table(folder / "cryocat__R5_tutorial_run_data.star")
    shift = table.coordinates[0] - np.array([1774.846956, -951.52983, 1127.416439])
    assert np.linalg.norm(shift) == pytest.approx(np.linalg.norm([0.028068, 1.040568, 0.365568]), rel=1e-4)
    unbinned = (table.coordinates[0] - shift + frames["TS_01"].centre[0]) / 1.35
    np.testing.assert_allclose(unbinned, [3314.701, 1295.163, 1835.123], atol=1e-3)


@pytest.fixture
def project(tmp_path):
    """The RELION 5 project that the files of cylindra's test belong to."""
    for source, target in {
        "picks_particles": "Picks/job_picks/particles.star",
        "picks_optimisation_set": "Picks/job_picks/optimisation_set.star",
        "job_tomo_tomograms": "Tomograms/job_tomo/tomograms.star",
        "run_it050_data": "Refine3D/job_refine/run_it050_data.star",
        "run_it050_optimisation_set": "Refine3D/job_refine/run_it050_optimisation_set.star",
    }.items():
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SHARED / f"relion5/cylindra__{source}.star", tmp_path / target)
    return tmp_path


def test_relion5_project(project):
    path = project / "Picks/job_picks/optimisation_set.star"
    table = read_table(path)
    assert table.frames["TS_01"] == Frame((44, 136, 84), 10.52, (84.0, 136.0, 44.0), 10.52)
    voxels = (table.coordinates[:2] + table.frames["TS_01"].centre) / 10.52
    np.testing.assert_allclose(voxels, [[25.18, 140.76, 23.06], [46.90, 68.92, 23.06]], atol=0.01)
    frames = {name: table.frames[name] for name in ("TS_01", "TS_02")}
    with pytest.raises(TomoPickerError, match=r"2 of 5 positions lie outside 'TS_01' .* row 1 .*; row 3 "):
        read_picks(path, frames)
    with pytest.warns(UserWarning, match="3 picks left out"):
        picks = read_picks(path, {"TS_02": frames["TS_02"]}, ignore_unknown=True)
    centre = np.array([441.84, 715.36, 231.44])
    np.testing.assert_allclose(picks.positions[0] - centre, [-58.030014, 386.650021, 9.08])
    assert len(read_table(project / "Refine3D/job_refine/run_it050_optimisation_set.star")) == 5


def test_expert_picks_fit_their_tomogram():
    path = SHARED / "csv/maurerv__TS_037_fas.csv"
    frames = {name: Frame((500, 928, 960), 13.48) for name in ("TS_037", "TS_036", "TS_03")}
    picks = read_picks(path, frames)
    assert picks.tomogram_names == ["TS_037"]
    np.testing.assert_allclose(picks.positions[0], np.array([151, 881, 322]) * 13.48)


def test_unbinned_picks_need_their_pixel_size():
    path = SHARED / "relion30/chlamy__ps2.star"
    frames = {name: Frame((500, 1100, 1100), 7.84) for name in set(read_table(path).tomograms)}
    with pytest.raises(TomoPickerError, match="--picks-pixel-size"):
        read_picks(path, frames)
    np.testing.assert_allclose(
        read_picks(path, frames, pixel_size=1.96).positions[0], [7303.87, 7570.43, 2041.27], atol=0.01
    )


VOLUMES = {
    "mrc/cylindra__beta-tubulin.mrc": ((20, 20, 20), 5.144, "float32"),
    "mrc/cz-backend__TS_run1.rec": ((10, 8, 6), 13.48, "int8"),
    "mrc/mrcfile__EMD-3197.map": ((20, 20, 20), 11.4, "float32"),
    "mrc/mrcfile__emd_3197.map.gz": ((20, 20, 20), 11.4, "float32"),
    "mrc/pytme__em_map.map": ((20, 14, 19), 5.28, "float32"),
    "mrc/tardis__rec3D.rec": ((78, 64, 32), 23.2, "uint8"),
    "mrc/tomotwin__5MRC.mrc": ((20, 26, 26), 1.0, "float32"),
    "mrc/visfd__test_blob_detect.rec": ((27, 32, 22), 19.3154, "int8"),
    "mrc/cz-backend__signed_ints.mrc": ((4, 4, 4), 14.08, "int8"),
    "mrc/cz-backend__unsigned_ints.mrc": ((4, 4, 4), 14.08, "uint8"),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(name):
    shape, voxel_size, dtype = VOLUMES[name]
    tomogram = open_tomogram(SHARED / name)
    assert tomogram.shape == shape
    assert tomogram.voxel_size == pytest.approx(voxel_size, rel=1e-5)
    assert tomogram.data.dtype == dtype


def test_sign_of_bytes_of_the_portal():
    signed = open_tomogram(SHARED / "mrc/cz-backend__signed_ints.mrc").read()[0, :, 0]
    unsigned = open_tomogram(SHARED / "mrc/cz-backend__unsigned_ints.mrc").read()[0, :, 0]
    assert signed.tolist() == [-128, 0, -1, 127]
    assert (unsigned - 128).tolist() == [0, -128, 127, -1]


@pytest.mark.parametrize("path", sorted(SHARED.glob("mrc_generated/*")), ids=lambda path: path.name)
def test_generated_volumes(path):
    refused = ("bad_gz", "bad_huge", "bad_mode", "bad_nsymbt", "bad_text", "bad_truncated", "mode101", "ispg401")
    if any(word in path.name for word in refused):
        with pytest.raises(TomoPickerError, match=path.name):
            open_tomogram(path)
        return
    tomogram = open_tomogram(path)
    values = np.arange(120, dtype=np.float32).reshape(6, 5, 4)
    scale = {"int8": (1, -60), "int16": (100, -6000), "uint16": (500, 0)}.get(
        tomogram.data.dtype.newbyteorder("=").name, (1, 0)
    )
    np.testing.assert_array_equal(tomogram.read(), values * scale[0] + scale[1])
    assert tomogram.voxel_size == (1.0 if "vox_one" in path.name else 13.48)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("emclarity__BH_multi_calcBinShift.mrc", "not an MRC"),
        ("mrcfile__emd_3197.png.gz", "known format"),
        ("pytom-match-pick__header_only.mrc", "1024"),
        ("rosettasciio__20241021_00405_movie.mrc", "--voxel-size"),
        ("rosettasciio__HAADFscan.mrc.gz", "2D"),
        ("visfd__test_1d_example.rec", "2D"),
    ],
)
def test_refused_volumes(name, word):
    with pytest.raises(TomoPickerError, match=word):
        open_tomogram(SHARED / "mrc" / name)
