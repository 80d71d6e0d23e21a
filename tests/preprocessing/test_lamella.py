"""The lamella, found without being told: truth inside, most of the rest left out, and nothing where all is specimen."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from tests.simulation.reconstructed import image_tomogram
from tomopicker.preprocessing.lamella import constant_regions, find_lamella, max_subarray, otsu
from tomopicker.preprocessing.preprocess import preprocess
from tomopicker.simulation.molecules import builtin_names
from tomopicker.simulation.presets import resolve_preset
from tomopicker.simulation.scene import build_scene
from tomopicker.tomogram import Tomogram

VOXEL = 26.0


def slab(shape, low, high):
    """What lies between two surfaces z(y, x), each a number or an array of (y, x)."""
    z = np.arange(shape[0])[:, None, None]
    return np.broadcast_to((z >= low) & (z <= high), shape)


def specimen(inside, seed=0, strength=1.0):
    """Structure of 50 to 100 Å inside, white noise everywhere."""
    rng = np.random.default_rng(seed)
    structure = ndimage.gaussian_filter(rng.standard_normal(inside.shape), 1.2)
    volume = strength * structure / max(structure.std(), 1e-9) * inside + rng.standard_normal(inside.shape)
    return volume.astype(np.float32)


def plane(shape, slope_y, slope_x):
    y, x = np.meshgrid(*(np.arange(edge) - edge / 2 for edge in shape[1:]), indexing="ij")
    return slope_y * y + slope_x * x


SHAPE = (80, 110, 120)
TILTED = plane(SHAPE, 0.12, -0.15)
BENT = (plane(SHAPE, 0.1, 0.1) ** 2) / 6


@pytest.mark.parametrize(
    ("low", "high"),
    [(26, 53), (5, 30), (0, 30), (55, 79), (26 + TILTED, 50 + TILTED), (22 + BENT, 48 + BENT), (20 + TILTED, 55)],
    ids=["third", "off the middle", "at the bottom", "at the top", "tilted", "bent", "wedge"],
)
@pytest.mark.parametrize("strength", [0.7, 3.0])
def test_specimen_is_kept_and_the_outside_left_out(low, high, strength):
    inside = slab(SHAPE, low, high)
    found = find_lamella(specimen(inside, strength=strength), VOXEL)
    assert found.mask is not None
    assert found.mask[inside].mean() > 0.98
    assert (~found.mask)[~inside].mean() > 0.8
    assert found.fraction == pytest.approx(found.mask.mean())


def test_scale_and_offset_do_not_matter():
    volume = specimen(slab(SHAPE, 26, 53))
    first, second = find_lamella(volume, VOXEL), find_lamella(-7 * volume + 300, VOXEL)
    assert np.array_equal(first.mask, second.mask)


@pytest.mark.parametrize("fill", [True, False], ids=["all specimen", "all noise"])
def test_without_contrast_the_whole_volume_is_kept(fill):
    found = find_lamella(specimen(np.full(SHAPE, fill)), VOXEL)
    assert found.mask is None
    assert found.fraction == 1


def test_unlike_halves_of_a_full_tomogram_are_both_kept():
    """An organelle beside cytosol differs in x, not along z."""
    volume = specimen(np.full(SHAPE, True), strength=3.0)
    volume[:, :, 60:] = specimen(np.full((80, 110, 60), True), strength=0.5)
    assert find_lamella(volume, VOXEL).mask is None


@pytest.mark.parametrize("count", [1, 5, 15, 60, 300])
def test_single_particles_in_ice_are_no_slab(count):
    """Balls of 260 Å anywhere: whatever is left out, no particle is."""
    rng = np.random.default_rng(count)
    centres = rng.uniform(6, np.array(SHAPE) - 6, (count, 3))
    z, y, x = np.round(centres).astype(int).T
    volume = rng.standard_normal(SHAPE)
    points = np.zeros(SHAPE)
    points[z, y, x] = 1
    volume -= 3 * ndimage.binary_dilation(points, iterations=5)
    found = find_lamella(volume.astype(np.float32), VOXEL)
    assert found.mask is None or found.mask[z, y, x].all()


def test_something_beyond_the_lamella_keeps_the_whole_volume():
    """An ice crystal or a gold bead above a lamella is no reason to take its columns for thicker, or to cut."""
    volume = specimen(slab(SHAPE, 26, 45))
    volume[60:72, 40:90, 40:90] *= 8
    found = find_lamella(volume, VOXEL)
    assert found.mask is None or found.mask[26:46].mean() > 0.98


def test_a_hole_does_not_move_the_surfaces():
    inside = slab(SHAPE, 26, 53).copy()
    inside[:, 20:60, 30:70] = False
    found = find_lamella(specimen(inside), VOXEL)
    assert found.mask is not None
    assert found.mask[inside].mean() > 0.98
    assert (~found.mask)[~slab(SHAPE, 26, 53)].mean() > 0.8


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 8, 8), (9, 5, 40), (24, 24, 24)])
def test_any_shape_is_taken(shape):
    found = find_lamella(specimen(np.full(shape, True)), VOXEL)
    assert found.mask is None or found.mask.shape == shape


def test_edges_without_data_are_left_out():
    volume = specimen(np.full(SHAPE, True))
    volume[:, :, :30] = 0.25
    found = find_lamella(volume, VOXEL)
    assert found.mask is not None
    assert not found.mask[:, :, :27].any()
    assert found.mask[:, :, 33:].all()


def test_edges_without_data_next_to_a_lamella():
    inside = slab(SHAPE, 26, 53)
    volume = specimen(inside)
    volume[:, :30] = volume.mean()
    found = find_lamella(volume, VOXEL)
    assert found.mask is not None
    assert not found.mask[:, :27].any()
    assert found.mask[26:54, 33:].all()


def test_a_flat_voxel_or_two_are_data():
    volume = specimen(np.full((30, 30, 30), True))
    volume[9:12, 9:12, 9:12] = 0
    assert constant_regions(volume) is None


def test_otsu_is_half_way_between_the_classes():
    assert otsu(np.array([0.0, 0.2, 9.8, 10.0])) == pytest.approx(5)
    assert otsu(np.array([1.0, 1.0, 1.0, 4.0])) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("excess", "run"),
    [([-1, 2, 3, -1], (1, 2)), ([-1, 2, -1, 3, -4, 1], (1, 3)), ([5], (0, 0)), ([-1, -2], None), ([1, -3, 2], (2, 2))],
)
def test_best_run(excess, run):
    assert max_subarray(np.array(excess, dtype=np.float64)) == run


def test_truth_of_a_simulated_tomogram_lies_inside():
    """A tilted lamella of a third of the tomogram, imaged and back-projected."""
    shape, voxel, slope = (96, 128, 128), 13.48, 0.1
    settings = resolve_preset("vpp", shape, voxel, 3, molecule_names=builtin_names(), n_targets=12, target="ribosome")
    scene = build_scene(replace(settings.scene, thickness_angstrom=96 / 3 * voxel, n_targets=12), 3)
    shift = slope * (np.arange(128) - 64)
    density = np.stack([np.roll(scene.density[:, y], round(by), axis=0) for y, by in enumerate(shift)], axis=1)
    positions = scene.targets.positions.copy()
    positions[:, 2] += slope * (positions[:, 1] - 64)
    volume = image_tomogram(np.ascontiguousarray(density), settings.imaging, 3)
    working = preprocess(Tomogram("a", volume, voxel), 2 * voxel, 4.0, "auto")
    assert working.mask is not None
    z, y, x = np.round(working.from_angstrom(positions * voxel)[:, ::-1]).astype(int).T
    assert len(z) >= 8
    assert working.mask[z, y, x].mean() >= 0.98
    empty = ~ndimage.binary_dilation(density > 0, iterations=4)[1::2, 1::2, 1::2]
    assert (~working.mask)[empty].mean() >= 0.8
    assert working.data[working.mask].std() == pytest.approx(1, abs=1e-3)
