"""What surrounds the molecules, each by its geometry or mass: lamella, membranes, crowd, filaments, gold, ice."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.simulation.reconstructed import image_tomogram
from tests.simulation.test_scene import BARE, VOXEL
from tomopicker.simulation.inclusions import (
    ACTIN,
    GOLD_DENSITY,
    MICROTUBULE,
    add_filament,
    add_gold_bead,
    add_ice,
    draw_background,
)
from tomopicker.simulation.lamella import ICE_DENSITY, Lamella
from tomopicker.simulation.membranes import Membranes, Surface, draw_sheets, membrane_density
from tomopicker.simulation.molecules import builtin_molecule
from tomopicker.simulation.placement import SpherePacking, add_molecules, random_rotations
from tomopicker.simulation.scene import build_scene

EMPTY = replace(BARE, n_targets=0, border_voxels=6.0)


def whole(shape):
    return tuple(slice(0, n) for n in shape)


def test_a_tilted_lamella_lies_along_its_plane_and_its_molecules_in_it():
    settings = replace(
        BARE, shape=(96, 100, 128), thickness_angstrom=400.0, crowd_fraction=0.3, lamella_tilt_degrees=15.0,
        lamella_pitch_degrees=-6.0, n_targets=12, target="proteasome_20s",
    )  # fmt: skip
    scene = build_scene(settings, seed=1)
    assert len(scene.targets.positions) == 12
    rise_x, rise_y = np.tan(np.deg2rad(15.0)), np.tan(np.deg2rad(-6.0))
    x, y, z = scene.targets.positions.T
    middle = 47.5 + rise_x * (x - 63.5) + rise_y * (y - 49.5)
    assert np.abs(z - middle).max() < 400.0 / VOXEL / 2
    assert np.ptp(z) > 10
    heights = np.arange(96)[:, None]
    for column in (10, 64, 118):
        profile = scene.density[:, 40:60, column]
        found = (profile * heights).sum() / profile.sum()
        assert found == pytest.approx(47.5 + rise_x * (column - 63.5), abs=2.5)
        # A tilted slab is thicker along z.
        assert (profile.mean(axis=1) > 0.03).sum() == pytest.approx(400.0 / VOXEL, abs=4)


def test_curtains_add_and_take_ice_at_the_faces_only_and_streak_along_y():
    plain, milled = (
        build_scene(replace(EMPTY, curtaining_angstrom=depth, crowd_fraction=0.1), 5).density for depth in (0.0, 60.0)
    )
    middle = slice(32 - 10, 32 + 10)
    assert plain.max() <= 1.0
    assert milled[middle].max() <= 1.0
    assert 0.9 * ICE_DENSITY < milled[:16].max() <= ICE_DENSITY + 1.0
    assert milled.min() < -0.9 * ICE_DENSITY
    outside = milled[:11].sum(axis=0) + milled[-11:].sum(axis=0)
    assert outside.mean(axis=0).std() > 2 * outside.mean(axis=1).std()  # the furrows run near y


def test_metal_coats_one_face():
    coated = build_scene(replace(EMPTY, coating_density=3.0), 0).density
    height = (np.arange(64) * coated.sum(axis=(1, 2))).sum() / coated.sum()
    assert height == pytest.approx(31.5 + 560.0 / VOXEL / 2, abs=0.2)
    assert coated[:40].max() < 1e-6


def test_a_vesicle_is_a_sphere_with_two_leaflets():
    shape, centre = (60, 64, 68), np.array([[30.0, 34.0, 28.0]])
    membranes = Membranes(shape, 8.0, (Surface(centre[0, ::-1] * 8.0, np.full(3, 150.0)),))
    z, y, x = np.indices(shape)
    away = np.sqrt((x - 30) ** 2 + (y - 34) ** 2 + (z - 28) ** 2) * 8.0
    distance = membranes.distance(whole(shape))
    near = np.abs(away - 150.0) < 60
    np.testing.assert_allclose(distance[near], np.abs(away - 150.0)[near], atol=1e-2)
    assert membranes.distance_at(np.array([30.0, 34.0 + 10.0, 28.0])) == pytest.approx(70.0, abs=0.1)
    # Two peaks, 38 Å apart, and less than nothing between them.
    line = np.abs(np.arange(-80.0, 81.0, 1.0))[:, None, None].astype(np.float32)
    density, room = (volume[:, 0, 0] for volume in membrane_density(line, 1.0))
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] > density[2:])) + 1 - 80
    np.testing.assert_array_equal(np.abs(peaks), [19, 19])
    assert density[80] < 0 < density[61]
    assert room[80] == 0.0
    assert room[0] == 1.0


def test_two_membranes_of_a_pair_are_a_lumen_apart():
    surface = Surface(np.array([200.0, 0.0, 0.0]), np.array([1e5, 1e5, 300.0]), lumen_angstrom=120.0)
    membranes = Membranes((40, 8, 80), 10.0, (surface,))
    along_x = membranes.distance(whole((40, 8, 80)))[20, 0]
    assert set(np.flatnonzero(along_x < 0.5)) == {24, 36}


def test_sheets_do_not_cross_and_slabs_are_parts_of_the_whole():
    shape = (48, 160, 160)
    sheets = draw_sheets(shape, VOXEL, 4, 0.5, np.random.default_rng(2))
    assert 2 <= len(sheets) <= 4
    membranes = Membranes(shape, VOXEL, sheets)
    middle = (slice(24, 25), slice(0, 160), slice(0, 160))
    for number, one in enumerate(sheets):
        others = Membranes(shape, VOXEL, sheets[:number] + sheets[number + 1 :]).distance(middle)
        assert np.maximum(Membranes(shape, VOXEL, (one,)).distance(middle), others).min() > 100
    region = (slice(10, 17), slice(30, 90), slice(0, 160))
    np.testing.assert_allclose(
        membranes.distance(whole(shape))[region], membranes.distance(region), rtol=1e-5, atol=1e-3
    )


def test_the_crowd_has_its_fraction_and_slabs_are_parts_of_the_whole():
    shape = (40, 50, 60)
    crowd = draw_background(shape, VOXEL, 0.12, np.random.default_rng(0))
    density = crowd.density(slice(0, 40))
    assert density.mean() == pytest.approx(0.12, rel=0.1)
    parts = np.concatenate([crowd.density(slice(a, b)) for a, b in ((0, 3), (3, 21), (21, 40))])
    np.testing.assert_allclose(parts, density, atol=1e-6)


@pytest.mark.parametrize(("filament", "dalton_per_angstrom"), [(ACTIN, 4.2e4 / 27.5), (MICROTUBULE, 13 * 5.5e4 / 40)])
def test_filaments_have_their_mass_and_shape(filament, dalton_per_angstrom):
    canvas = np.zeros((64, 64, 120), np.float32)
    path = np.array([[10.0, 32.0, 31.0], [60.0, 32.0, 31.0], [110.0, 32.0, 31.0]])
    add_filament(canvas, path, filament, 8.0, np.random.default_rng(0))
    mass = float(canvas.sum()) * 8.0**3 * 0.81
    assert mass == pytest.approx(dalton_per_angstrom * 800.0, rel=0.04)
    section = canvas[:, :, 40:80].mean(axis=2)
    z, y = np.indices(section.shape)
    radius = np.hypot(z - 31.0, y - 32.0) * 8.0
    assert (section * radius).sum() / section.sum() < filament.radius_angstrom
    hollow = section[radius < 30].mean() < 0.2 * section.max()
    assert hollow == (filament is MICROTUBULE)


def test_filaments_lie_in_the_lamella_and_molecules_keep_away():
    settings = replace(EMPTY, n_microtubules=2, n_actin_filaments=2, shape=(64, 128, 128))
    filaments = build_scene(settings, seed=2).density
    assert filaments[:8].max() == filaments[-8:].max() == 0.0
    assert filaments.sum() > 0
    full = build_scene(replace(settings, n_targets=25), seed=2)
    assert len(full.targets.positions) > 8
    thick = np.argwhere(filaments > 0.3)[:, ::-1]
    nearest, _ = cKDTree(thick).query(full.targets.positions)
    assert nearest.min() > 0.7 * builtin_molecule("ribosome", VOXEL).radius_angstrom / VOXEL


def test_gold_has_the_mass_of_its_ball_and_is_darkest():
    for radius in (1.0, 5.3):
        canvas = np.zeros((24, 24, 24), np.float32)
        add_gold_bead(canvas, (11.3, 12.0, 12.4), radius)
        assert canvas.sum() == pytest.approx(GOLD_DENSITY * 4 / 3 * np.pi * radius**3, rel=1e-3)
        centre = (np.indices(canvas.shape).reshape(3, -1) @ canvas.ravel()) / canvas.sum()
        np.testing.assert_allclose(centre, [11.3, 12.0, 12.4], atol=0.05)
    scene = build_scene(replace(BARE, n_gold_beads=2, n_targets=3), seed=0)
    assert scene.density.max() > 5.0


def test_ice_settles_outside_the_lamella_only():
    lamella = Lamella(20.0, 8.0, 0.0, 0.0, (40, 40, 40))
    canvas = np.zeros((40, 40, 40), np.float32)
    add_ice(canvas, (29.0, 20.0, 20.0), 8.0, lamella, np.random.default_rng(0))
    assert canvas[13:28].max() < 1e-6
    assert canvas[30:].max() == pytest.approx(ICE_DENSITY, rel=0.02)
    assert build_scene(replace(EMPTY, n_ice_lumps=2), seed=0).density.max() == pytest.approx(ICE_DENSITY, rel=0.5)


def test_strings_of_targets_touch_one_after_the_other():
    base = replace(BARE, shape=(64, 200, 200), n_targets=15, target="proteasome_20s")
    apart = build_scene(base, seed=4).targets.positions
    strings = build_scene(replace(base, clustered_fraction=1.0, cluster_size=5), seed=4).targets.positions
    radius = builtin_molecule("proteasome_20s", VOXEL).radius_angstrom / VOXEL
    assert len(strings) == 15
    steps = np.linalg.norm(np.diff(strings, axis=0), axis=1)
    assert np.all(steps[np.arange(14) % 5 != 4] <= 2 * radius + 1e-6)
    assert cKDTree(strings).query(strings, k=2)[0][:, 1].mean() < cKDTree(apart).query(apart, k=2)[0][:, 1].mean()


def test_a_close_pair_of_a_layout_interlocks():
    """Twelve voxels apart where the molecule is over twenty wide: turned so that hardly anything overlaps."""
    layout = np.array([[50.0, 56.0, 32.0], [50.0, 68.0, 32.0], [95.0, 56.0, 30.0]])
    target = builtin_molecule("ribosome", VOXEL)

    def overlap(turns):
        alone = np.zeros((2, *BARE.shape), np.float32)
        for canvas, place, turn in zip(alone, layout, turns, strict=False):
            add_molecules(canvas, target, place[None], turn[None])
        return float(alone.prod(axis=0).sum())

    chosen, by_chance = [], []
    for seed in range(4):
        scene = build_scene(replace(BARE, n_targets=3), seed, layout=layout)
        np.testing.assert_array_equal(scene.targets.positions, layout)
        chosen.append(overlap(scene.targets.orientations))
        by_chance.append(overlap(random_rotations(2, np.random.default_rng(seed))))
    assert np.mean(chosen) < 0.7 * np.mean(by_chance)


def test_a_sphere_is_clear_where_no_other_is_near():
    rng = np.random.default_rng(0)
    packing = SpherePacking(Lamella(20.0, 8.0, 0.0, 0.0, (40, 40, 40)), 0.0, lambda centre, radius: True, rng)
    centres, radii = rng.uniform(-20, 120, size=(300, 3)), rng.uniform(1, 15, size=300)
    for centre, radius in zip(centres, radii, strict=True):
        packing.occupy(centre[None], radius)
    answers = []
    for place in rng.uniform(-20, 120, size=(200, 3)):
        free = bool(np.all(np.linalg.norm(centres - place, axis=1) >= 0.85 * (radii + 4.0)))
        assert packing.is_clear(place, 4.0) is free
        answers.append(free)
    assert 10 < sum(answers) < 190


def test_surroundings_do_not_move_the_truth():
    """A tilted lamella, reconstructed by SIRT or with the weights of the presets: still on the particles."""
    from tests.simulation.test_scene import _offsets
    from tests.simulation.test_write import CLEAN

    settings = replace(BARE, target="chaperonin", lamella_tilt_degrees=8.0)
    scene = build_scene(settings, seed=6)
    for imaging in (
        replace(CLEAN, reconstruction="sirt", sirt_iterations=12, tilt_range_degrees=60.0),
        replace(CLEAN, sirt_like_iterations=20, binning_fall_off=0.86, ramp_fall_off=0.99, tilt_weighting=1.8),
    ):
        offsets = _offsets(image_tomogram(scene.density, imaging, 0), scene.targets.positions, 7.0)
        assert np.abs(offsets).max() < 0.25
        assert np.abs(offsets.mean(axis=0)).max() < 0.25
