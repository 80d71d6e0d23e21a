"""Positions in files that other tools wrote, as the manifest of the shared collection states them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile

from tests.shared import SHARED
from tomopicker.geometry import Frame, Unit
from tomopicker.io import read_picks, read_table, write_picks
from tomopicker.io.angles import ANGLES, orientations

pytestmark = pytest.mark.shared
CORNER, ONE, ZERO = (0.5, 0.5, 0.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)

FILES = {
    # file: rows, what it calls the first voxel, its tomogram, the first two positions as the file counts
    "dynamo_tbl/cryocat__crop.tbl": (200, ONE, "1", (781.71, 254.24, 219.0), (781.37, 260.48, 219.0)),
    "dynamo_tbl/dynamotable__t_double.tbl": (
        200,
        ONE,
        "1",
        (143.7978, 111.187, 165.1843),
        (165.1663, 98.6668, 121.82336),
    ),
    "dynamo_tbl/dynamo2m__example.tbl": (
        200,
        ONE,
        "1",
        (507.3349, 376.1725, 322.3319),
        (536.6156, 370.5493, 319.70611),
    ),
    "em_motl/cryocat__au_1.em": (64, ONE, "160", (229.83, 200.893, 178.37), (221.981, 184.921, 182.918)),
    "em_motl/cryocat__tric.em": (139, ONE, "51", (1703.055, 734.281, 719.976), (1208.055, 1600.055, 717.976)),
    "em_motl/cryocat__motl_c10x10.em": (26, ONE, None, (5, 5, 0), (10, 5, 0)),
    "motl_csv/generated__motl_au_1.csv": (64, ONE, "160", (229.83, 200.893, 178.37), (221.981, 184.921, 182.918)),
    "stopgap_star/cryocat__class6_er_mr1_1_sg.star": (
        200,
        ONE,
        "24",
        (824.2121, 754.6012, 678.4676),
        (693.4859, 689.5758, 316.9962),
    ),
    "imod_mod/cz-backend__points.mod": (3, CORNER, "", (1, 2, 3), (2, 2, 2)),
    "imod_mod/imodmodel__two_contour_example.mod": (25, CORNER, "", (64.333, 64.667, 80), (47, 77.333, 80)),
    "imod_mod/imodmodel__multiple_objects_example.mod": (
        6,
        CORNER,
        "",
        (367, 661.833, 134),
        (415.667, 667.833, 134),
    ),
    "imod_mod/cryocat__correct111.mod": (161, CORNER, "", (128.5, 699, -76), (158.5, 700.5, -76)),
    "imod_mod/cryocat__empty111.mod": (162, CORNER, "", (118, 694.5, 124), (128.5, 699, 124)),
    "imod_text/pycrest__SV4_003_cor.coords": (117, ZERO, "", (108, 80, 299), (109, 80, 298)),
    "imod_text/pycrest__SV4_003_cor.coordsC": (29, ZERO, "", (123, 80, 289), (123, 80, 288)),
    "deepetpicker_coords/generated__tomo0.coords": (3, ZERO, "", (180, 480, 118), (87, 503, 281)),
    "cbox/boxmanager__3d_particle.cbox": (3, ZERO, "", (24.757, 40.221, 50), (78.406, 51.998, 50)),
    "cbox/boxmanager__2d_particles.cbox": (3, ZERO, "", (24.188, 40.460, 0), (79.066, 51.627, 0)),
    "pytom_xml/pytom__pickpos_format.xml": (10, ZERO, "tomo1.tomostar", (0, 0, 0), (0, 0, 0)),
    "pytom_txt/pytom__coords_tomogram_000_WBP.txt": (
        2,
        ZERO,
        "/data/gijsvds/PyTomTutorial/04_Particle_Picking/Tomograms/tomogram_000_WBP.mrc",
        (68, 60, 232),
        (108, 73, 232),
    ),
    "deepfinder_xml/deepfinder__object_list_tomo0.xml": (None, ZERO, "0", (46, 261, 144), (67, 312, 102)),
    "shrec_txt/deepfinder__particle_locations_model_9.txt": (None, ZERO, "", (180, 480, 118), (87, 503, 281)),
    "chimerax_cmm/tom_cryoet__SV5_001_dff000006a_filt.cmm": (
        2,
        ZERO,
        "",
        (134.4, 132.3, 131.04),
        (132.32, 170.04, 135.89),
    ),
    "chimerax_cmm/tom_cryoet__SV4_003_dff000013_filt.cmm": (1, ZERO, "", (151.11, 174.04, 179.94), None),
    "csv/cz-backend__points.csv": (3, ZERO, "", (1, 2, 3), (2, 2, 2)),
    "csv/cz-backend__points_with_header_pipe_delim.csv": (3, ZERO, "", (1, 2, 3), (2, 2, 2)),
    "csv/cz-backend__tardis.csv": (6, ZERO, "", (4, 8, 12), (4, 4, 4)),
    "csv/maurerv__TS_037_fas.csv": (22, ZERO, "", (151, 881, 322), (556, 638, 328)),
    "napari_points_csv/generated__napari_points.csv": (3, ZERO, "", (30.5, 20.25, 10), (5, 6, 7)),
    "napari_star/tomoslice__TS_01_points.star": (6, ZERO, "", (68.382, 144.723, 63), (91.878, 334.768, 63)),
    "relion5/cylindra__picks_particles.star": (5, ZERO, "TS_01", (-176.94, 765.48, 11.16), (51.55, 9.70, 11.16)),
    "relion5_import_list/generated__r5_CCDC147C_001_particles.star": (
        100,
        ZERO,
        None,
        (1939, -2912, -644),
        (1883, -2856, -658),
    ),
    "relion5_import_list/generated__r5_SPEF1MT2_001_particles.star": (
        100,
        ZERO,
        None,
        (1517.92, 415.52, -127.2),
        (1526.4, 500.32, -127.2),
    ),
    "pytom_match_pick/builab-mtfit__CCDC147C_001_particles.star": (200, ZERO, None, (480, 272, 104), (476, 276, 103)),
    "pytom_match_pick/builab-mtfit__CCDC147C_001_particles_processed.star": (
        200,
        ZERO,
        None,
        (17, 681.985998, 71.771194),
        (22, 677.590055, 71.891312),
    ),
    "relion30/cz-backend__relion_3_star.star": (6, ZERO, None, (5.2, 10.4, 15.2), (0.8, 1.6, 2.8)),
    "relion4/cz-backend__relion_4_star.star": (6, ZERO, None, (5.2, 10.4, 15.2), (0.8, 1.6, 2.8)),
    "warp_m/dynamo2m__example.star": (200, ZERO, None, (1512.353, 1126.5, 973.5), (1534.5, 1105.5, 972.344)),
    "warp_m/pytom__subtomo_format.star": (200, ZERO, None, (806, 398, 208), (102, 342, 220)),
    "warp_m/tomodrgn__warptools_test_4-tomos_10-ptcls_box-32_angpix-12.star": (
        40,
        ZERO,
        "Unt_083.tomostar",
        (494.521, 564.065, 28.146),
        (406.280, 690.323, 30.826),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_positions_of_the_manifest(name):
    rows, index_origin, tomogram, *positions = FILES[name]
    table = read_table(SHARED / name)
    assert rows is None or len(table) == rows
    assert table.index_origin == index_origin
    if tomogram is not None and not name.startswith("dynamo"):
        assert table.tomograms[0] == tomogram
    for i, expected in enumerate(positions):
        if expected is not None:
            np.testing.assert_allclose(table.coordinates[i], expected, atol=6e-4)


KEPT = {
    "dynamo_tbl/cryocat__crop.tbl": "dynamo",
    "dynamo_tbl/dynamotable__t_double.tbl": "dynamo",
    "dynamo_tbl/dynamo2m__example.tbl": "dynamo",
    "em_motl/cryocat__au_1.em": "motl",
    "em_motl/cryocat__tric.em": "motl",
    "motl_csv/generated__motl_au_1.csv": "motl-csv",
    "stopgap_star/cryocat__class6_er_mr1_1_sg.star": "stopgap",
    "cbox/boxmanager__3d_particle.cbox": "cbox",
    "pytom_xml/pytom__pickpos_format.xml": "pytom",
    "deepfinder_xml/deepfinder__object_list_tomo0.xml": "deepfinder",
    "chimerax_cmm/tom_cryoet__SV5_001_dff000006a_filt.cmm": "cmm",
    "imod_mod/imodmodel__multiple_objects_example.mod": "imod",
    "deepetpicker_coords/generated__tomo0.coords": "deepetpicker",
}


@pytest.mark.parametrize("name", KEPT)
def test_round_trip_of_shared_files(tmp_path, name):
    table = read_table(SHARED / name)
    frames = {tomogram or "only": Frame((9999, 9999, 9999), 7.5) for tomogram in table.tomograms}
    picks = read_picks(SHARED / name, frames)
    copy = tmp_path / Path(name).name
    write_picks(picks, frames, copy, KEPT[name])
    back = read_picks(copy, frames)
    np.testing.assert_allclose(back.positions, picks.positions, atol=7.5e-3)
    np.testing.assert_allclose(back.scores, picks.scores, rtol=1e-6)
    columns = [column for column in picks.extra if column not in ANGLES]
    assert set(back.extra) >= set(columns)
    for column in columns:
        before, after = (pd.Series(values[column]).astype(str) for values in (picks.extra, back.extra))
        numbers = [pd.to_numeric(values, errors="coerce").to_numpy(float) for values in (before, after)]
        if np.isfinite(numbers[0]).all():
            np.testing.assert_allclose(numbers[1], numbers[0], rtol=1e-5, atol=1e-6, err_msg=column)
        else:
            assert after.tolist() == before.tolist()
    if set(ANGLES) <= set(picks.extra):
        turned = orientations(picks.extra).inv() * orientations(back.extra)
        np.testing.assert_allclose(turned.magnitude(), 0, atol=1e-4)


def test_every_shared_folder_of_positions_is_tested():
    known = {name.partition("/")[0] for name in FILES}
    elsewhere = {"relion31", "star_edge", "dynamo_catalogue", "eman2_json", "eman_box", "tomotwin_tloc", "topaz_txt"}
    not_positions = {"mrc", "mrc_generated", "hdf", "em_volume", "omezarr"}
    by_others = {"copick", "amira"}
    folders = {path.name for path in SHARED.iterdir() if path.is_dir()}
    assert folders <= known | elsewhere | not_positions | by_others


def test_origins_of_refined_particles_are_subtracted():
    table = read_table(SHARED / "relion5/cylindra__run_it050_data.star")
    stated = starfile.read(SHARED / "relion5/cylindra__run_it050_data.star", always_dict=True)["particles"]
    centred = stated[[f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]].to_numpy()
    np.testing.assert_allclose(centred[0], (-176.94, 765.48005, 11.16))
    origins = stated[[f"rlnOrigin{axis}Angst" for axis in "XYZ"]].to_numpy()
    np.testing.assert_allclose(table.coordinates, centred - origins, atol=1e-6)


def test_eman2_boxes_in_voxels():
    path = SHARED / "eman2_json/generated__eman_info_new_centered.json"
    assert read_table(path).unit is Unit.CENTER_VOXEL_ANGSTROM
    picks = read_picks(path, {"any": Frame((100, 200, 200), 13.6)})
    np.testing.assert_allclose(picks.positions[:2] / 13.6, [[85, 108, 46], [125, 99, 52]])
    assert picks.scores.tolist() == [0, 0, 1.25]
    assert picks.extra["method"].tolist() == ["manual", "manual", "tm"]


def test_dynamo_names_tomograms_by_the_list_next_to_it(tmp_path):
    for source, target in {
        "dynamo_tbl/dynamotable__t_double.tbl": "t.tbl",
        "dynamo_catalogue/dynamotable__tmap_complex.doc": "tmap.doc",
    }.items():
        (tmp_path / target).write_bytes((SHARED / source).read_bytes())
    table = read_table(tmp_path / "t.tbl")
    assert table.tomograms[0] == "tomo_ts01.mrc_15.00Apx.mrc"
    frames = {f"ts{number:02d}": Frame((2000, 2000, 2000), 15.0) for number in range(1, 9)}
    with pytest.raises(Exception, match="no tomogram is named"):
        read_picks(tmp_path / "t.tbl", frames)


def test_number_matches_its_tomogram():
    frames = {"TS_160": Frame((400, 1000, 1000), 10.0), "TS_16": Frame((400, 1000, 1000), 10.0)}
    picks = read_picks(SHARED / "em_motl/cryocat__au_1.em", frames)
    assert picks.tomogram_names == ["TS_160"]
    np.testing.assert_allclose(picks.positions[0], [2288.3, 1998.93, 1773.7], atol=0.01)
    assert {"rlnAngleRot", "rlnClassNumber", "motl_4"} <= set(picks.extra)
