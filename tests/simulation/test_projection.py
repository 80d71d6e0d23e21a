import numpy as np
import pytest
from scipy import ndimage

from tomopicker.simulation import projection
from tomopicker.simulation.optics import tilt_angles
from tomopicker.simulation.projection import back_project, project, sirt, weighted_back_projection
from tomopicker.simulation.settings import ImagingSettings

TILTS = tilt_angles(ImagingSettings(13.48))


def _point(shape, at):
    density = np.zeros(shape, np.float32)
    density[at] = 1.0
    return density


def test_a_point_lands_where_geometry_says():
    shape, at = (24, 20, 41), (19, 5, 8)
    images = project(_point(shape, at), TILTS)
    columns = np.arange(images.shape[2])
    # Away from the mirrored ends each image holds the point once, at x cos + z sin from the centre.
    for image, tilt in zip(images, TILTS, strict=True):
        assert np.flatnonzero(image.sum(axis=1)).tolist() == [5]
        angle = np.deg2rad(tilt)
        expected = (8 - 20) * np.cos(angle) + (19 - 11.5) * np.sin(angle) + (images.shape[2] - 1) / 2
        near = np.abs(columns - expected) < 1.0
        assert image[5, near] @ columns[near] / image[5, near].sum() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("at", [(16, 12, 20), (5, 3, 30), (25, 20, 9)])
def test_projection_and_back_projection_keep_a_point_in_its_place(at):
    shape = (32, 24, 40)
    volume = weighted_back_projection(project(_point(shape, at), TILTS), TILTS, shape, 0.2)
    assert np.unravel_index(volume.argmax(), shape) == at
    z, y, x = at
    peak = np.clip(volume[z - 2 : z + 3, y - 1 : y + 2, x - 2 : x + 3], 0.0, None)
    offset = (np.indices(peak.shape).reshape(3, -1) @ peak.ravel()) / peak.sum() - [2, 1, 2]
    assert np.abs(offset).max() < 0.05


def test_dense_tilts_over_a_half_turn_give_the_density_back():
    z, _, x = np.indices((40, 4, 40)) - 19.5
    density = (np.exp(-((z - 3) ** 2 + (x + 4) ** 2) / 18.0) - np.exp(-((z + 5) ** 2 + (x - 2) ** 2) / 18.0)).astype(
        np.float32
    )
    # Beyond 80 degrees a mirrored slab has no end, so the half turn is made of two quarter turns.
    tilts = np.arange(-44.0, 46.0, 2.0)
    first = weighted_back_projection(project(density, tilts), tilts, (40, 4, 40), 0.9)
    turned = np.ascontiguousarray(density.transpose(2, 1, 0))
    second = weighted_back_projection(project(turned, tilts), tilts, (40, 4, 40), 0.9).transpose(2, 1, 0)
    volume = first + second
    slope, _ = np.polyfit(density.ravel(), volume.ravel(), 1)
    assert slope == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(density.ravel(), volume.ravel())[0, 1] > 0.97


def _blob(shape, seed=0, radius=9.0):
    """Smooth noise in a ball in the middle: nothing of its mirrored copies lands near the middle of an image."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    grid = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    return (noise * np.exp(-((np.sqrt((grid**2).sum(axis=0)) / radius) ** 8))).astype(np.float32)


@pytest.mark.parametrize("tilt", [-48.0, 0.0, 30.0, 60.0])
def test_a_slab_is_as_thick_as_its_path_is_long(tilt):
    density = np.zeros((40, 6, 30), np.float32)
    density[12:24] = 0.5
    image = project(density, np.array([tilt]))[0]
    # Mirrored on and on, the slab has no end: every column sees it whole.
    np.testing.assert_allclose(image, 0.5 * 12 / np.cos(np.deg2rad(tilt)), rtol=0.03)
    assert image.mean() == pytest.approx(0.5 * 12 / np.cos(np.deg2rad(tilt)), rel=2e-3)


@pytest.mark.parametrize("tilt", [0.0, 27.0, -50.0])
def test_a_projection_is_a_central_slice_of_the_volumes_transform_and_keeps_its_power(tilt):
    """By literal sums of exponentials over all voxels, at the frequencies (k cos, k sin) of the slice."""
    shape = (40, 8, 48)
    density = _blob(shape)
    image = project(density, np.array([tilt]))[0]
    width, angle = image.shape[1], np.deg2rad(tilt)
    columns = np.arange(width) - (width - 1) / 2
    image = image * (np.abs(columns) < 13)  # beyond, the mirrored copies begin
    frequency = np.linspace(-0.2, 0.2, 41)
    found = image @ np.exp(-2j * np.pi * columns[:, None] * frequency)
    z, x = np.arange(shape[0]) - (shape[0] - 1) / 2, np.arange(shape[2]) - (shape[2] - 1) / 2
    waves_z = np.exp(-2j * np.pi * z[:, None] * frequency * np.sin(angle))
    waves_x = np.exp(-2j * np.pi * x[:, None] * frequency * np.cos(angle))
    expected = np.einsum("zyx,zk,xk->yk", density.astype(np.float64), waves_z, waves_x)
    # Sharing between two columns blurs a little: by sinc squared at most.
    blur = np.sinc(frequency) ** 2
    assert np.abs(found - expected).max() < (1 - blur.min() + 0.02) * np.abs(expected).max()
    # Parseval: the image's sum of squares is its transform's mean power, here against that of the slice.
    finer = np.linspace(-0.5, 0.5, 400, endpoint=False)
    power = (
        np.abs(
            np.einsum(
                "zyx,zk,xk->yk",
                density.astype(np.float64),
                np.exp(-2j * np.pi * z[:, None] * finer * np.sin(angle)),
                np.exp(-2j * np.pi * x[:, None] * finer * np.cos(angle)),
            )
        )
        ** 2
    )
    assert (image**2).sum() == pytest.approx(power.mean(axis=1).sum(), rel=0.06)


def test_back_projection_is_the_adjoint_of_projection():
    shape = (40, 5, 64)
    density, tilts = _blob(shape), np.array([-40.0, -10.0, 25.0, 40.0])
    images = project(density, tilts)
    other = np.random.default_rng(1).normal(size=images.shape).astype(np.float32)
    other *= np.abs(np.arange(images.shape[2]) - (images.shape[2] - 1) / 2) < 12
    there = float((images.astype(np.float64) * other).sum())
    back = float((density.astype(np.float64) * back_project(other, tilts, shape)).sum())
    assert there == pytest.approx(back, rel=1e-5)


def test_slabs_of_y_change_nothing_but_the_memory(monkeypatch):
    density = np.random.default_rng(0).normal(size=(20, 17, 24)).astype(np.float32)
    images = project(density, TILTS)
    volume = back_project(images, TILTS, density.shape)
    monkeypatch.setattr(projection, "_SLAB_BYTES", 4 * 20 * 24 * 3)
    assert len(list(projection._slabs_of_y(17, 20 * 24))) == 6
    np.testing.assert_allclose(project(density, TILTS), images, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(back_project(images, TILTS, density.shape), volume, rtol=1e-5, atol=1e-3)


def test_sirt_comes_closer_round_by_round_and_its_filter_resembles_it():
    shape = (48, 6, 72)
    density = _blob(shape, radius=16.0)
    images = project(density, TILTS)
    inner = (slice(8, -8), slice(None), slice(12, -12))
    left = []
    for rounds in (1, 5, 20):
        volume = sirt(images, TILTS, shape, rounds)
        left.append(float(np.linalg.norm(images - project(volume, TILTS))))
        like = weighted_back_projection(images, TILTS, shape, 0.99, rounds)
        if rounds > 1:
            assert np.corrcoef(volume[inner].ravel(), like[inner].ravel())[0, 1] > 0.95
            assert like[inner].std() == pytest.approx(volume[inner].std(), rel=0.2)
    assert left[0] > 1.2 * left[1] > 1.2 * left[2]
    assert np.corrcoef(volume[inner].ravel(), density[inner].ravel())[0, 1] > 0.75
