import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.simulation.reconstructed import image_tomogram
from tomopicker.errors import TomoPickerError
from tomopicker.simulation.molecules import builtin_molecule
from tomopicker.simulation.scene import build_scene
from tomopicker.simulation.settings import ImagingSettings, SceneSettings, one_line_errors

VOXEL = 13.48
BARE = SceneSettings(
    shape=(64, 112, 128),
    voxel_size_angstrom=VOXEL,
    thickness_angstrom=560.0,
    n_targets=6,
    touching_fraction=0.0,
    crowd_fraction=0.0,
    n_membranes=0,
    n_lumps=0,
    border_voxels=20.0,
)


def _offsets(volume, positions, radius):
    """Centre of mass of the dark core around each position less the position, as (x, y, z) in voxels."""
    grid = np.indices(volume.shape).astype(np.float64)
    result = []
    for x, y, z in positions:
        distance = np.sqrt((grid[0] - z) ** 2 + (grid[1] - y) ** 2 + (grid[2] - x) ** 2)
        near = distance < radius
        weights = np.clip(-volume[near] - 0.15 * np.max(-volume[near], initial=0.0), 0.0, None) + 1e-12
        result.append([(weights @ grid[axis][near]) / weights.sum() - c for axis, c in ((2, x), (1, y), (0, z))])
    return np.array(result)


@pytest.mark.parametrize(("target", "radius"), [("chaperonin", 7.0), ("proteasome_20s", 7.0), ("ribosome", 13.0)])
def test_truth_lies_on_the_centres_of_mass_of_the_reconstructed_particles(target, radius):
    scene = build_scene(replace(BARE, target=target), seed=3)
    assert len(scene.targets.positions) == 6
    settings = ImagingSettings(
        VOXEL,
        tilt_range_degrees=78.0,
        defocus_um=0.0,
        defocus_jitter_um=0.0,
        phase_shift_degrees=90.0,
        dose_per_square_angstrom=None,
        alignment_error_voxels=0.0,
    )
    volume = image_tomogram(scene.density, settings, seed=0)
    offsets = _offsets(volume, scene.targets.positions, radius)
    assert np.abs(offsets.mean(axis=0)).max() < 0.25
    if target != "ribosome":  # the threshold moves the centre of an uneven molecule, not that of a symmetric one
        assert np.abs(offsets).max() < 0.25
    # Each mirrored volume, and one shifted by half a voxel, fails the same check.
    for axis in range(3):
        assert np.abs(_offsets(np.flip(volume, axis), scene.targets.positions, radius)).max() > 1.0
        moved = scene.targets.positions + 0.5 * np.eye(3)[axis]
        assert np.abs(_offsets(volume, moved, radius).mean(axis=0)).max() > 0.25


def test_the_scene_itself_holds_the_targets_at_their_truth():
    scene = build_scene(BARE, seed=3)
    assert np.abs(_offsets(-scene.density, scene.targets.positions, radius=13.0)).max() < 0.2


def test_orientations_turn_the_molecule_into_what_lies_in_the_scene():
    scene = build_scene(BARE, seed=3)
    molecule = builtin_molecule("ribosome", VOXEL)
    half = molecule.density.shape[0] // 2
    own = np.argwhere(molecule.density > 0.3 * molecule.density.max())
    weights = molecule.density[tuple(own.T)]
    centred = (own - half)[:, ::-1]
    moments = np.einsum("n,ni,nj->ij", weights, centred, centred) / weights.sum()
    for position, rotation in zip(scene.targets.positions, scene.targets.orientations, strict=True):
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        grid = np.argwhere(scene.density > 0.3 * molecule.density.max())
        around = grid[:, ::-1] - position
        near = np.linalg.norm(around, axis=1) < 14.0
        there = scene.density[tuple(grid[near].T)]
        found = np.einsum("n,ni,nj->ij", there, around[near], around[near]) / there.sum()
        expected = rotation @ moments @ rotation.T
        np.testing.assert_allclose(found, expected, atol=0.12 * np.trace(moments) / 3.0)


def test_nothing_overlaps_and_all_lies_in_the_lamella():
    settings = SceneSettings(
        shape=(64, 160, 160),
        voxel_size_angstrom=VOXEL,
        thickness_angstrom=600.0,
        n_targets=25,
        distractors=(("proteasome_20s", 15), ("chaperonin", 10), ("proteasome_26s", 3)),
        touching_fraction=0.3,
    )
    scene = build_scene(settings, seed=5)
    assert len(scene.targets.positions) > 10
    assert set(scene.targets.classes) == {"ribosome"}
    names = [settings.target, *(name for name, _ in settings.distractors)]
    radii = {name: builtin_molecule(name, VOXEL).radius_angstrom / VOXEL for name in names}
    placed = []
    for molecules in (scene.targets, scene.distractors):
        assert len(molecules.classes) == len(molecules.positions) == len(molecules.orientations)
        placed += [(p, radii[name]) for p, name in zip(molecules.positions, molecules.classes, strict=True)]
    for (one, r), (two, s) in itertools.combinations(placed, 2):
        assert np.linalg.norm(one - two) >= 0.85 * (r + s) - 1e-6
    half = 300.0 / VOXEL
    assert np.all(np.abs(scene.targets.positions[:, 2] - 31.5) <= half)
    assert scene.density[:6].max() < 1e-4
    assert scene.density[-6:].max() < 1e-4
    assert 0.04 < scene.density[24:40].mean() < 0.4


def test_scenes_are_decided_by_their_seed():
    first, again, other = (build_scene(BARE, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.density, again.density)
    np.testing.assert_array_equal(first.targets.positions, again.targets.positions)
    assert not np.array_equal(first.targets.positions, other.targets.positions)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"shape": (4, 64, 64)}, "shape"),
        ({"voxel_size_angstrom": 0.0}, "voxel_size"),
        ({"thickness_angstrom": 1e5}, "at most 431.36, the volume's z"),
        ({"n_targets": -1}, "n_targets -1"),
        ({"distractors": (("p97", -1),)}, "distractors"),
        ({"crowd_fraction": 2.0}, "crowd"),
        ({"target": "virus"}, "virus"),
    ],
)
def test_scenes_that_make_no_sense_are_one_line(change, word):
    base = {"shape": (32, 64, 64), "voxel_size_angstrom": VOXEL, "thickness_angstrom": 300.0}
    with pytest.raises(TomoPickerError, match=word) as caught, one_line_errors("scene"):
        build_scene(SceneSettings(**(base | change)), seed=0)
    assert "\n" not in str(caught.value)
