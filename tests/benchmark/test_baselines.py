"""Normalised cross-correlation, orientations and the wedge, each against a computation of another kind."""

import mrcfile
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomopicker.benchmark.protocol import Optics, Template
from tomopicker.benchmark.scorers import (
    ball_mask,
    difference_of_gaussians,
    match_ball,
    match_template,
    normalised_correlation,
    oriented,
    spread_rotations,
    transfer,
)
from tomopicker.simulation.molecules import builtin_molecule
from tomopicker.simulation.optics import electron_wavelength_angstrom

VOXEL = 26.96


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def pearson(volume, template, mask, centre):
    """Correlate one neighbourhood by the textbook's formula, zeros beyond the volume."""
    half = mask.shape[0] // 2
    around = np.pad(volume, half)[tuple(slice(c, c + 2 * half + 1) for c in centre)]
    return np.corrcoef(around[mask], template[mask])[0, 1]


@pytest.mark.parametrize("centre", [(7, 9, 8), (0, 0, 0), (12, 3, 16)])
def test_it_is_pearsons_coefficient_in_the_mask(centre):
    volume, mask = noise((13, 18, 17)), ball_mask(3.2)
    templates = [noise(mask.shape, seed) for seed in (1, 2, 3)]
    found = normalised_correlation(volume, templates, mask)
    assert found[centre] == pytest.approx(max(pearson(volume, each, mask, centre) for each in templates), abs=1e-4)


def test_scale_and_grey_level_do_not_matter():
    mask = ball_mask(3)
    template = noise(mask.shape, 1)
    volume = noise((20, 20, 20))
    volume[5:12, 6:13, 7:14][mask] = 5 - 0.2 * template[mask]
    found = normalised_correlation(volume, [-template], mask)
    assert np.unravel_index(found.argmax(), found.shape) == (8, 9, 10)
    assert found.max() == pytest.approx(1, abs=1e-4)


def test_a_flat_neighbourhood_is_like_nothing():
    mask = ball_mask(2)
    volume = np.zeros((16, 16, 16), dtype=np.float32)
    volume[:3] = noise((3, 16, 16))
    found = normalised_correlation(volume, [noise(mask.shape)], mask)
    assert np.all(found[8:] == 0)
    assert np.isfinite(found).all()


def angles_to_nearest(rotations, seed=0):
    probes = Rotation.random(5000, random_state=seed).as_quat()
    set_ = Rotation.from_matrix(rotations).as_quat()
    return np.rad2deg(2 * np.arccos(np.clip(np.abs(probes @ set_.T).max(axis=1), 0, 1)))


def test_orientations_are_rotations_and_leave_no_gap():
    spread = spread_rotations(400)
    np.testing.assert_allclose(spread @ spread.transpose(0, 2, 1), np.broadcast_to(np.eye(3), spread.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(spread), 1)
    angles = angles_to_nearest(spread)
    assert angles.max() < 31
    assert np.median(angles) < 17.5
    drawn = angles_to_nearest(Rotation.random(400, random_state=1).as_matrix())
    assert drawn.max() > 1.2 * angles.max()


def test_the_wedge_is_empty_and_nothing_else_is():
    box, optics = 32, Optics(tilt_range=60)
    passed = transfer(box, VOXEL, optics)
    k_z, k_x = np.fft.fftfreq(box)[:, None], np.fft.rfftfreq(box)[None, :]
    inside = np.abs(k_z) > np.tan(np.deg2rad(60)) * k_x + 1e-9
    for k_y in (0, 5, 20):
        assert np.all(passed[:, k_y][inside] == 0)
        assert np.all(passed[:, k_y][~inside] == -1)
    assert np.all(transfer(box, VOXEL, Optics(tilt_range=90))[:, 3, 1:] == -1)


def test_the_contrast_transfer_has_its_zero_where_it_should():
    voxel, defocus = 5.0, 4.0
    passed = transfer(128, voxel, Optics(tilt_range=90, defocus_um=defocus))
    frequency, line = np.fft.rfftfreq(128, voxel), passed[0, 0, 1:]
    zero = frequency[1:][np.flatnonzero(np.diff(np.sign(line)))[0]]
    # π λ Δf k² = π - asin(amplitude contrast); the spherical aberration is nothing at this frequency.
    wavelength = electron_wavelength_angstrom(300.0)
    expected = np.sqrt((np.pi - np.arcsin(0.07)) / (np.pi * wavelength * defocus * 1e4))
    assert abs(zero - expected) < 1.1 / (128 * voxel)
    assert line[0] < 0


@pytest.fixture(scope="module")
def ribosome(tmp_path_factory):
    """The built-in ribosome as a map of fine voxels."""
    path = tmp_path_factory.mktemp("map") / "ribosome.mrc"
    with mrcfile.new(path) as file:
        file.set_data(builtin_molecule("ribosome", 10.0).density)
        file.voxel_size = 10.0
    return path


def test_template_matching_finds_a_turned_copy_behind_the_wedge(ribosome):
    optics = Optics(tilt_range=60)
    molecule = builtin_molecule("ribosome", VOXEL)
    shown = next(iter(oriented(molecule, 13, 1, optics)))
    volume = 0.3 * float(shown.std()) * noise((24, 30, 28))
    volume[5:18, 9:22, 8:21] += shown
    volume -= volume.mean()
    found = match_template(volume, VOXEL, 150 / VOXEL, Template(map=ribosome, orientations=120), optics)
    place = np.unravel_index(found.argmax(), found.shape)
    assert np.abs(np.array(place) - (11, 15, 14)).max() <= 1
    assert found.max() > 0.8
    named = match_template(volume, VOXEL, 150 / VOXEL, Template(molecule="ribosome", orientations=120), optics)
    assert np.corrcoef(named.ravel(), found.ravel())[0, 1] > 0.99
    bright = match_template(-volume, VOXEL, 150 / VOXEL, Template(map=ribosome, orientations=120), optics)
    assert bright.max() < 0.75 * found.max()


def ball(radius, shape=(40, 40, 40), centre=(20, 18, 22)):
    z, y, x = np.indices(shape)
    inside = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2
    return -inside.astype(np.float32)


@pytest.mark.parametrize("score", [difference_of_gaussians, match_ball])
def test_a_baseline_finds_a_dark_ball_of_its_size(score):
    volume = ball(6) + 0.05 * noise((40, 40, 40))
    found = score(volume - volume.mean(), 6)
    assert np.abs(np.array(np.unravel_index(found.argmax(), found.shape)) - (20, 18, 22)).max() <= 1
    at_centre = {radius: score(volume - volume.mean(), radius)[20, 18, 22] for radius in (3, 6, 12)}
    assert max(at_centre, key=at_centre.get) == 6
    assert score(-(volume - volume.mean()), 6)[20, 18, 22] < 0
