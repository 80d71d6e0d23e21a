import numpy as np
import pytest

from tomopicker.simulate import ImagingSettings
from tomopicker.simulate.dose import tilt_angles
from tomopicker.simulate.projection import project
from tomopicker.simulate.reconstruction import weighted_back_projection

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
