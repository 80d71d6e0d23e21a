"""Free rotations: the measured wedge amplitude shows a volume's missing wedge, and rotated patches have it in place."""

import numpy as np
import pytest

from tomopicker.training.augmentation import random_rotate_with_wedge, wedge_amplitude
from tomopicker.training.labels import LabelledVolume, label_mask
from tomopicker.training.samplers import BalancedPatchSampler

SIZE = 16


@pytest.fixture(scope="module")
def unit():
    return np.ones((SIZE, SIZE, SIZE), np.float32)


def test_transmission_shows_the_wedge(wedge_noise):
    passed = wedge_amplitude(wedge_noise(48), SIZE)
    assert passed.shape == (SIZE, SIZE, SIZE)
    assert passed.min() >= 0
    assert passed.max() <= 1
    assert passed[5, 0, 0] < 0.4  # along z: no tilt reaches it
    assert passed[5, 5, 1] < 0.4  # still in the plane of x and z but for y
    assert passed[0, 5, 0] > 0.7
    assert passed[0, 0, 5] > 0.7
    assert passed[2, 3, 5] > 0.7


def test_without_a_wedge_nearly_everything_passes():
    white = np.random.default_rng(0).standard_normal((48, 48, 48)).astype(np.float32)
    assert wedge_amplitude(white, SIZE).mean() > 0.9


def test_a_turned_patch_has_its_wedge_in_place(wedge_noise, power_in_wedge, unit):
    volume = wedge_noise(48)
    labels = np.zeros(volume.shape, np.int8)
    passed = wedge_amplitude(volume, SIZE)

    def mean_power(filtered):
        corner = np.array([16, 16, 16])
        cubes = [
            random_rotate_with_wedge(volume, labels, corner, filtered, np.random.default_rng(seed))[0]
            for seed in range(12)
        ]
        return np.mean([power_in_wedge(cube) for cube in cubes])

    assert mean_power(passed) < 0.3 * mean_power(unit)


def test_labels_turn_with_the_volume(unit):
    """Two balls of different size in a line: wherever they come to lie, dark voxels and labels agree."""
    labels = label_mask((40, 40, 40), np.array([[20.0, 20.0, 16.0]]), 4.0)
    volume = labels.astype(np.float32)
    for seed in range(8):
        cube, cut = random_rotate_with_wedge(volume, labels, np.array([12, 12, 12]), unit, np.random.default_rng(seed))
        assert cut.dtype == np.int8
        centres = [np.argwhere(mask).mean(axis=0) for mask in (cube > 0.5, cut == 1)]
        assert np.allclose(*centres, atol=0.3)
        middle = (SIZE - 1) / 2
        # A turn about the cube's centre keeps the ball as far from it as it was: at (16, 20, 20) - 12 - 7.5.
        assert np.linalg.norm(centres[1] - middle) == pytest.approx(np.linalg.norm([-3.5, 0.5, 0.5]), abs=0.3)
        assert (cut == 1).sum() == pytest.approx(257, rel=0.12)


def test_what_lies_outside_is_ignored(unit):
    """A cube in the corner of the volume, turned, has corners of its own outside."""
    labels = np.zeros((SIZE, SIZE, SIZE), np.int8)
    cuts = [
        random_rotate_with_wedge(
            labels.astype(np.float32), labels, np.zeros(3, int), unit, np.random.default_rng(seed)
        )[1]
        for seed in range(8)
    ]
    assert all((cut == -1).any() for cut in cuts)
    assert all((cut[6:10, 6:10, 6:10] == 0).all() for cut in cuts)


@pytest.mark.parametrize("turned_share", [0.0, 1.0])
def test_two_streams_turn_both_halves(turned_share, wedge_noise):
    volume = wedge_noise(40)
    clicks = np.array([[20.0, 20.0, 20.0]])
    item = LabelledVolume(volume, label_mask(volume.shape, clicks, 3.0), clicks)
    streams = BalancedPatchSampler([item], SIZE, 4, 0, augmented=True, rotation_prob=turned_share)
    plain = BalancedPatchSampler([item], SIZE, 4, 0, augmented=True)
    batches = [streams.batch(step) for step in range(6)]
    assert all(batch.positive[:2].any(axis=(1, 2, 3)).all() for batch in batches)
    assert not any(batch.unlabelled[:2].any() for batch in batches)
    same = [np.array_equal(batch.inputs, plain.batch(step).inputs) for step, batch in enumerate(batches)]
    assert all(same) if turned_share == 0 else not any(same)
    again = BalancedPatchSampler([item], SIZE, 4, 0, augmented=True, rotation_prob=turned_share)
    assert np.array_equal(again.batch(3).inputs, batches[3].inputs)
