"""Orientations: the published matrices of each tool, and nothing turned on the way from one to another."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io import read_picks, write_picks
from tomopicker.io.angles import (
    ANGLES,
    DYNAMO,
    RELION,
    SUBTOMOGRAM_ANGLES,
    TOM,
    orientations,
    relion_columns,
)
from tomopicker.io.registry import FORMATS
from tomopicker.picks import Picks

TURNING = [entry for entry in FORMATS if entry.kind == "picks" and entry.writer and entry.angles not in
           {"none", "kept as they are"}]  # fmt: skip


def some_angles(n=30):
    return np.random.default_rng(4).uniform((-180, 1, -180), (180, 179, 180), (n, 3))


def about(axis, degrees):
    """The matrix that turns vectors about x or z, counter-clockwise for who looks against the axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array({"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]]}[axis])


def test_relion_matrix():
    """Elements of Euler_angles2matrix: the last row is the view of the reference's z axis, and so on."""
    for rot, tilt, psi in some_angles():
        matrix = RELION.rotations(np.array([[rot, tilt, psi]])).as_matrix()[0]
        (cr, ct, cp), (sr, st, sp) = np.cos(np.radians([rot, tilt, psi])), np.sin(np.radians([rot, tilt, psi]))
        np.testing.assert_allclose(matrix[2], [st * cr, st * sr, ct], atol=1e-12)
        np.testing.assert_allclose(matrix[:, 2], [-cp * st, sp * st, ct], atol=1e-12)
        assert matrix[0, 0] == pytest.approx(cp * ct * cr - sp * sr)
        assert matrix[0, 1] == pytest.approx(cp * ct * sr + sp * cr)


@pytest.mark.parametrize(
    ("angles", "place"),
    [
        ((30, 0, 0), (15, -3, -9)),
        ((0, 40, 0), (17, 5, 2)),
        ((20, 50, 75), (4, -16, 6)),
        ((-130, 110, 35), (15, -1, -9)),
    ],
)
def test_relion_itself(angles, place):
    """Where relion_project 3.1.3 --3d_rot moved a dot of the reference at (14, 5, -9) voxels from the centre."""
    moved = RELION.rotations(np.array([angles], dtype=np.float64)).apply([[14.0, 5.0, -9.0]])[0]
    assert np.abs(moved - place).max() < 0.75


def test_dynamo_matrix_takes_the_particle_to_the_reference():
    for tdrot, tilt, narot in some_angles():
        matrix = about("z", narot) @ about("x", tilt) @ about("z", tdrot)
        ours = DYNAMO.rotations(np.array([[tdrot, tilt, narot]])).as_matrix()[0]
        np.testing.assert_allclose(ours, matrix.T, atol=1e-12)


def test_tom_matrix_takes_the_reference_to_the_particle():
    for phi, theta, psi in some_angles():
        matrix = about("z", psi) @ about("x", theta) @ about("z", phi)
        np.testing.assert_allclose(TOM.rotations(np.array([[phi, theta, psi]])).as_matrix()[0], matrix, atol=1e-12)


def test_dynamo_and_tom_are_inverse():
    """Dynamo makes a table of a motive list by tdrot = -psi, tilt = -theta, narot = -phi."""
    phi, theta, psi = some_angles().T
    tom, dynamo = TOM.rotations(np.stack([phi, theta, psi], 1)), DYNAMO.rotations(-np.stack([psi, theta, phi], 1))
    np.testing.assert_allclose((tom.inv() * dynamo).magnitude(), 0, atol=1e-7)


@pytest.mark.parametrize("convention", [RELION, DYNAMO, TOM])
@pytest.mark.parametrize("tilt", [None, 0.0, 180.0])
def test_angles_round_trip(convention, tilt):
    angles = some_angles()
    if tilt is not None:
        angles[:, 1] = tilt
    rotations = RELION.rotations(angles)
    np.testing.assert_allclose(
        (rotations.inv() * convention.rotations(convention.angles(rotations))).magnitude(), 0, atol=1e-6
    )


def test_subtomogram_angles_are_composed():
    outer, inner = some_angles(5), some_angles(5)[::-1]
    names = [f"rlnTomoSubtomogram{name}" for name in ("Rot", "Tilt", "Psi")]
    both = pd.DataFrame({**dict(zip(names, outer.T, strict=True)), **dict(zip(ANGLES, inner.T, strict=True))})
    expected = RELION.rotations(outer).as_matrix() @ RELION.rotations(inner).as_matrix()
    np.testing.assert_allclose(orientations(both).as_matrix(), expected, atol=1e-12)
    np.testing.assert_allclose(orientations(both[names]).as_matrix(), RELION.rotations(outer).as_matrix(), atol=1e-12)
    assert orientations(pd.DataFrame({"a": [1]})) is None
    assert orientations(both.assign(rlnAngleRot=np.nan)[list(ANGLES)]) is None


@pytest.mark.parametrize("format", ["imod", "eman2", "deepetpicker", "deepfinder", "coords"])
def test_classes_survive_without_angles(tmp_path, format):
    entry = next(entry for entry in FORMATS if entry.name == format)
    labels = [1, 2, 4]
    picks = Picks(
        np.full((3, 3), 50.0), np.full(3, "TS_01", object), np.ones(3), pd.DataFrame({"rlnClassNumber": labels})
    )
    frames = {"TS_01": Frame((20, 21, 22), 7.5)}
    path = tmp_path / f"TS_01{entry.suffixes[0]}"
    write_picks(picks, frames, path, format)
    back = read_picks(path, frames).extra
    if format == "coords":
        assert "rlnClassNumber" not in back
    else:
        assert [int(value) for value in back["rlnClassNumber"]] == labels


@pytest.mark.parametrize("source", TURNING, ids=lambda entry: entry.name)
@pytest.mark.parametrize("target", TURNING, ids=lambda entry: entry.name)
def test_angles_and_classes_survive_conversion(tmp_path, source, target):
    n, rotations = 6, RELION.rotations(some_angles(6))
    extra = pd.DataFrame({**relion_columns(rotations), "rlnClassNumber": [1, 2, 3, 1, 2, 3]})
    picks = Picks(np.full((n, 3), 50.0), np.full(n, "TS_01", object), np.ones(n), extra)
    frames = {"TS_01": Frame((20, 21, 22), 7.5)}
    first, second = tmp_path / f"a{source.suffixes[0]}", tmp_path / f"b{target.suffixes[0]}"
    write_picks(picks, frames, first, source.name)
    write_picks(read_picks(first, frames, format=source.name), frames, second, target.name)
    back = read_picks(second, frames, format=target.name).extra
    np.testing.assert_allclose((rotations.inv() * orientations(back)).magnitude(), 0, atol=1e-4)
    if "copick" not in {source.name, target.name}:  # One object a file: it has no classes.
        assert [int(value) for value in back["rlnClassNumber"]] == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("target", ["relion3", "warp"])
@pytest.mark.parametrize("with_particle", [True, False])
def test_subtomogram_angles_are_composed_where_there_is_one_triple(tmp_path, target, with_particle):
    n = 5
    subtomogram, particle = some_angles(n), some_angles(2 * n)[n:]
    extra = dict(zip(SUBTOMOGRAM_ANGLES, subtomogram.T, strict=True))
    if with_particle:
        extra |= dict(zip(ANGLES, particle.T, strict=True))
    places = np.arange(3 * n, dtype=float).reshape(n, 3) * 10
    picks = Picks(places, np.full(n, "TS_01", object), np.full(n, np.nan), pd.DataFrame(extra))
    frames = {"TS_01": Frame((60, 60, 60), 10.0)}
    write_picks(picks, frames, tmp_path / "picks.star", target)
    back = read_picks(tmp_path / "picks.star", frames)
    assert not set(SUBTOMOGRAM_ANGLES) & set(back.extra.columns)
    outer, inner = RELION.rotations(subtomogram), RELION.rotations(particle)
    whole = outer * inner if with_particle else outer
    found = RELION.rotations(back.extra[[*ANGLES]].to_numpy())
    np.testing.assert_allclose(found.as_matrix(), whole.as_matrix(), atol=1e-7)
    # RELION 5 has both, and keeps both.
    write_picks(picks, frames, tmp_path / "five.star", "relion5")
    kept = read_picks(tmp_path / "five.star", frames).extra
    np.testing.assert_allclose(kept[[*SUBTOMOGRAM_ANGLES]].to_numpy(), subtomogram)
    bad = pd.DataFrame(extra).assign(rlnTomoSubtomogramTilt="x")
    with pytest.raises(TomoPickerError, match="rlnTomoSubtomogramTilt"):
        write_picks(replace(picks, extra=bad), frames, tmp_path / "bad.star", target)
