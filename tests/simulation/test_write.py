"""What lies in the files is what was simulated: positions on centres of mass, orientations, classes, settings."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile
from scipy import ndimage
from scipy.spatial import cKDTree

from tests.simulation.reconstructed import image_tomogram
from tests.simulation.test_scene import BARE, VOXEL, _offsets
from tomopicker.cli.app import run
from tomopicker.io import open_tomogram, read_picks, write_mrc
from tomopicker.io.angles import ANGLES, orientations
from tomopicker.simulation.molecules import Molecule
from tomopicker.simulation.scene import build_scene
from tomopicker.simulation.settings import ImagingSettings, SimulationSettings
from tomopicker.simulation.tomogram import SimulatedTomogram, read_layout, write_simulated

CLEAN = ImagingSettings(
    VOXEL, tilt_range_degrees=78.0, defocus_um=0.0, defocus_jitter_um=0.0, phase_shift_degrees=90.0,
    dose_per_square_angstrom=None, alignment_error_voxels=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Symmetric molecules without noise, among others, in a volume whose edges all differ."""
    folder = tmp_path_factory.mktemp("written")
    settings = replace(BARE, target="chaperonin", distractors=(("proteasome_20s", 3),))
    scene = build_scene(settings, seed=3)
    made = SimulatedTomogram(
        image_tomogram(scene.density, CLEAN, seed=0), scene.targets, scene.distractors,
        SimulationSettings("vpp", 3, settings, CLEAN),
    )  # fmt: skip
    write_simulated(folder, "TS_0001", made)
    return folder, made


@pytest.mark.parametrize("suffix", ["csv", "star"])
@pytest.mark.parametrize("mirrored", [None, 0, 1, 2])
def test_truth_read_from_files_lies_on_the_particles(written, tmp_path, suffix, mirrored):
    """In all three axes, to a quarter of a voxel; and in volumes mirrored along each, where the positions are too."""
    folder, _ = written
    tomogram = open_tomogram(folder / "TS_0001.mrc")
    positions = read_picks(folder / "truth" / f"TS_0001.{suffix}", [tomogram]).positions / VOXEL
    volume = tomogram.read()
    if mirrored is not None:
        write_mrc(tmp_path / "TS_0001.mrc", np.ascontiguousarray(np.flip(volume, mirrored)), VOXEL)
        volume = open_tomogram(tmp_path / "TS_0001.mrc").read()
        positions[:, 2 - mirrored] = volume.shape[mirrored] - 1 - positions[:, 2 - mirrored]
    assert len(positions) == 6
    assert np.abs(_offsets(volume, positions, 7.0)).max() < 0.25
    # Half a voxel off fails; a mirror with the wrong last index would be off by a whole one.
    assert np.abs(_offsets(volume, positions + np.array([0.5, 0, 0]), 7.0)).max() > 0.25


def euler_angles2matrix(rot, tilt, psi):
    """RELION's (src/euler.cpp), element by element: it takes the reference to the particle."""
    (ca, cb, cg), (sa, sb, sg) = np.cos(np.deg2rad([rot, tilt, psi])), np.sin(np.deg2rad([rot, tilt, psi]))
    return np.array(
        [
            [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
            [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
            [sb * ca, sb * sa, cb],
        ]
    )


@pytest.mark.parametrize("place", ["truth", "molecules"])
@pytest.mark.parametrize("suffix", ["csv", "star"])
def test_orientations_are_relions(written, place, suffix):
    """By RELION's own matrix, and by the reader of picks, they take each molecule to how it lies in the tomogram."""
    folder, made = written
    expected = made.targets.orientations
    if place == "molecules":
        expected = np.concatenate([expected, made.distractors.orientations])
    tomogram = open_tomogram(folder / "TS_0001.mrc")
    picks = read_picks(folder / place / f"TS_0001.{suffix}", [tomogram], keep_classes=True)
    matrices = [euler_angles2matrix(*angles) for angles in picks.extra[list(ANGLES)].to_numpy(np.float64)]
    np.testing.assert_allclose(matrices, expected, atol=1e-4)
    np.testing.assert_allclose(orientations(picks.extra).as_matrix(), expected, atol=1e-4)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A body with two arms of different weight, pasted where and how a scene wants it, and the truth's angles."""
    folder, n = tmp_path_factory.mktemp("uneven"), 29
    density = np.zeros((n, n, n), dtype=np.float32)
    for (x, y, z), weight in (((0, 0, 0), 1.0), ((9, 0, 2), 1.0), ((0, 7, -5), 1.5)):
        density[n // 2 + z, n // 2 + y, n // 2 + x] = weight
    density = ndimage.gaussian_filter(density, 1.5)
    density /= density.max()
    scene = build_scene(replace(BARE, target="arms", n_targets=4), 5, {"arms": Molecule("arms", density, VOXEL)})
    truth = SimulatedTomogram(
        scene.density, scene.targets, scene.distractors,
        SimulationSettings("vpp", 5, replace(BARE, target="arms"), CLEAN),
    )  # fmt: skip
    write_simulated(folder, "TS_1", truth)
    angles = starfile.read(folder / "truth" / "TS_1.star")[list(ANGLES)].to_numpy()
    boxes = []
    for x, y, z in scene.targets.positions:
        grid = np.mgrid[-14:15, -14:15, -14:15].astype(np.float64) + np.array([z, y, x])[:, None, None, None]
        boxes.append(ndimage.map_coordinates(scene.density, grid, order=3))
    return density, angles, boxes


def likeness(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def test_the_reference_turned_by_the_truths_angles_is_what_lies_in_the_scene(uneven):
    density, angles, boxes = uneven
    inverted = []
    for triple, box in zip(angles, boxes, strict=True):
        matrix = euler_angles2matrix(*triple)[::-1, ::-1]  # Of (z, y, x).
        middle = np.full(3, density.shape[0] // 2)
        turned, back = (ndimage.affine_transform(density, m, middle - m @ middle) for m in (matrix.T, matrix))
        assert likeness(turned, box) > 0.98
        inverted.append(likeness(back, box))
    assert np.mean(inverted) < 0.8


@pytest.mark.skipif(not shutil.which("relion_project"), reason="RELION is not installed")
def test_relion_turns_the_reference_likewise(uneven, tmp_path):
    density, angles, boxes = uneven
    # RELION wants an even size, 32; its centre is at 16, where that of 29 is at 14.
    write_mrc(tmp_path / "reference.mrc", np.pad(density, ((2, 1),) * 3), VOXEL)
    for (rot, tilt, psi), box in zip(angles, boxes, strict=True):
        options = f"--angpix {VOXEL} --3d_rot --rot {rot} --tilt {tilt} --psi {psi} --o turned.mrc"
        command = ["relion_project", "--i", "reference.mrc", *options.split()]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        turned = open_tomogram(tmp_path / "turned.mrc").read()[2:31, 2:31, 2:31]
        assert likeness(turned, box) > 0.95


def test_molecules_are_all_there_with_their_class(written):
    folder, made = written
    table = pd.read_csv(folder / "molecules" / "TS_0001.csv")
    assert table["class"].tolist() == ["chaperonin"] * 6 + list(made.distractors.classes)
    expected = np.concatenate([made.targets.positions, made.distractors.positions])
    np.testing.assert_allclose(table[["x", "y", "z"]], expected, atol=1e-3)
    settings = json.loads((folder / "settings" / "TS_0001.json").read_text())
    assert settings["imaging"]["tilt_range_degrees"] == 78.0
    assert settings["scene"]["target"] == "chaperonin"


SMALL = ["--shape", "72,64,40", "--particles", "3", "--preset", "easy"]


def simulate(capsys, *arguments):
    code = run(["simulate", "--output", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_makes_what_it_says_and_skips_what_is_there(capsys, tmp_path):
    code, out, err = simulate(capsys, tmp_path / "a", "--count", 2, *SMALL)
    assert (code, err) == (0, "")
    assert "3 × ribosome among" in out
    files = {str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*") if path.is_file()}
    names = ("TS_0001", "TS_0002")
    lists = {
        f"{place}/{name}.{suffix}" for place in ("truth", "molecules") for name in names for suffix in ("csv", "star")
    }
    assert files == lists | {f"{name}.mrc" for name in names} | {f"settings/{name}.json" for name in names}
    tomogram = open_tomogram(tmp_path / "a" / "TS_0001.mrc")
    assert (tomogram.shape, tomogram.voxel_size) == ((40, 64, 72), pytest.approx(13.48))
    before = (tmp_path / "a" / "TS_0001.mrc").read_bytes()
    code, out, _ = simulate(capsys, tmp_path / "a", "--count", 2, *SMALL)
    assert code == 0
    assert out.count("exists already") == 2
    simulate(capsys, tmp_path / "b", "--seed", 0, *SMALL)
    np.testing.assert_array_equal(open_tomogram(tmp_path / "b" / "TS_0001.mrc").read(), tomogram.read())
    simulate(capsys, tmp_path / "a", "--seed", 7, "--overwrite", *SMALL)
    assert (tmp_path / "a" / "TS_0001.mrc").read_bytes() != before


def test_a_layout_is_kept_with_its_close_pairs(capsys, tmp_path):
    layout = np.array([[20, 30, 14], [32, 30, 16], [50.5, 40, 20], [500, 3, 3]])
    np.savetxt(tmp_path / "layout.csv", layout, delimiter=",")
    code, out, err = simulate(
        capsys, tmp_path / "a", "--shape", "72,64,40", "--preset", "vpp", "--positions", tmp_path / "layout.csv"
    )
    assert (code, err) == (0, "")
    assert "3 of 4 positions lie inside" in out
    truth = pd.read_csv(tmp_path / "a" / "truth" / "TS_0001.csv")[["x", "y", "z"]].to_numpy()
    np.testing.assert_allclose(truth, layout[:3], atol=1e-3)
    others = pd.read_csv(tmp_path / "a" / "molecules" / "TS_0001.csv").query("`class` != 'ribosome'")[["x", "y", "z"]]
    distances = np.linalg.norm(others.to_numpy()[:, None] - layout[None, :3], axis=2)
    assert distances.min(initial=99) > 9
    volume = open_tomogram(tmp_path / "a" / "TS_0001.mrc").read()
    dark = [volume[z - 3 : z + 4, y - 3 : y + 4, x - 3 : x + 4].mean() for x, y, z in layout[:3].round().astype(int)]
    assert max(dark) < volume.mean() - 0.3 * volume.std()


@pytest.mark.parametrize(("offset", "corner"), [("40,30,5", (40, 30, 5)), ("centre", (56, 44, 6))])
def test_a_piece_of_a_larger_layout_is_taken_where_it_is_asked_for(capsys, tmp_path, offset, corner):
    # The outermost are at 10 and 174, 6 and 146, 4 and 48: the middle is (92, 76, 26), the volume's (35.5, 31.5, 19.5).
    layout = np.array([[10, 6, 4], [174, 146, 48], [90, 70, 25], [98.5, 74, 26], [72, 60, 30], [5 + 40, 0 + 30, 0 + 5]])
    np.savetxt(tmp_path / "layout.csv", layout, delimiter=",")
    code, out, err = simulate(
        capsys, tmp_path / "a", "--shape", "72,64,40", "--preset", "easy", "--positions", tmp_path / "layout.csv",
        "--positions-offset", offset,
    )  # fmt: skip
    assert (code, err) == (0, "")
    moved = layout - np.array(corner)
    inside = moved[((moved >= 0) & (moved <= np.array([71, 63, 39]))).all(axis=1)]
    assert 3 <= len(inside) < len(layout)
    assert f"{len(inside)} of 6 positions lie inside" in out
    truth = pd.read_csv(tmp_path / "a" / "truth" / "TS_0001.csv")[["x", "y", "z"]].to_numpy()
    np.testing.assert_allclose(truth, inside, atol=1e-3)


LAYOUT = Path(__file__).parents[3] / "shared" / "data" / "layouts" / "TS_037_cyto_ribosomes.csv"


@pytest.mark.skipif(not LAYOUT.exists(), reason=f"{LAYOUT} is not there")
def test_a_piece_of_a_real_layout_keeps_its_close_pairs():
    lines: list[str] = []
    layout = read_layout(LAYOUT, (300, 200, 200), "300,300,100", lines.append)
    assert lines[0].endswith(f"{len(layout)} of 1646 positions lie inside; the others are left out.")
    assert 20 < len(layout) < 400
    assert cKDTree(layout).query(layout, k=2)[0][:, 1].min() < 15


def test_any_setting_can_be_changed_by_name(capsys, tmp_path):
    code, _, err = simulate(
        capsys, tmp_path / "a", *SMALL, "--set", "scene.n_gold_beads=2", "--set", "imaging.defocus_gradient=no",
        "--thickness", 420, "--lamella-tilt", 5, "--tilt-range", 40, "--tilt-step", 4, "--tilt-scheme", "bidirectional",
        "--defocus", 1.5, "--dose", 0, "--reconstruction", "sirt", "--set", "imaging.sirt_iterations=2",
    )  # fmt: skip
    assert (code, err) == (0, "")
    settings = json.loads((tmp_path / "a" / "settings" / "TS_0001.json").read_text())
    scene, imaging = settings["scene"], settings["imaging"]
    assert (scene["n_gold_beads"], scene["thickness_angstrom"], scene["lamella_tilt_degrees"]) == (2, 420.0, 5.0)
    assert (imaging["tilt_range_degrees"], imaging["tilt_step_degrees"]) == (40.0, 4.0)
    assert (imaging["tilt_scheme"], imaging["reconstruction"]) == ("bidirectional", "sirt")
    assert (imaging["defocus_um"], imaging["dose_per_square_angstrom"]) == (1.5, None)
    assert (imaging["defocus_gradient"], imaging["sirt_iterations"]) == (False, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--positions-offset", "1,2,3"], "give that as well"),
        (
            ["--positions", "layout.csv", "--positions-offset", "middle"],
            "X,Y,Z, such as 200,150,100 (voxels)",
        ),
        (["--positions", "layout.csv", "--positions-offset", "900,0,0"], "no position lies in"),
        (["--set", "scene.n_gold_beads"], "give NAME=VALUE"),
        (["--set", "scene.gold=2"], "scene.gold: no such setting"),
        (["--set", "scene.shape=2"], "is set by --shape"),
        (["--set", "scene.n_gold_beads=many"], "scene.n_gold_beads many"),
        (["--set", "imaging.defocus_um=3", "--defocus", "2"], "is given twice"),
        (["--set", "imaging.gain_error=9"], "imaging.gain_error 9: input should be less than or equal to 0.5"),
        (["--lamella-tilt", "80"], "'--lamella-tilt': 80 should be less than or equal to 45"),
        (["--thickness", "9000"], "thickness_angstrom 9000: must be at most 1509.76"),
        (["--shape", "72,64"], "three whole numbers"),
        (["--shape", "72,64,4"], "at least 16"),
        (["--target", "virus"], "virus: no such molecule"),
        (["--maps", "nowhere"], "no density maps"),
        (["--positions", "layout.csv", "--particles", "3"], "give one of them"),
        (["--voxel-size", "0"], "'--voxel-size': 0 should be greater than or equal to 1"),
    ],
)
def test_wrong_usage_is_one_line(capsys, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layout.csv").write_text("10,10,10\n20,20,12\n")
    code, _, err = simulate(capsys, "out", *arguments)
    assert code in {1, 2}
    assert said in err
    assert len(err.splitlines()) == 1
