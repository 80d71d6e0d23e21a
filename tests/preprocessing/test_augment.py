"""Augmentation: labels move with the volume, and the missing wedge stays about z."""

import numpy as np

from tomopicker.training.augmentation import augment

EDGE = 24


def draws(volume, labels, count=24):
    return [augment(volume, labels, np.random.default_rng(seed)) for seed in range(count)]


def test_the_missing_wedge_stays_about_z(wedge_noise, power_in_wedge):
    """As it was, or with the tilt axis along x instead of y; noise (0.3 sd at most) fills at most 0.1 of it."""
    volume = wedge_noise(EDGE)
    assert power_in_wedge(volume) < 1e-6
    for axes in [(0, 1), (0, 2)]:  # A quarter turn about x or y is neither.
        tilted = np.ascontiguousarray(np.rot90(volume, axes=axes))
        assert min(power_in_wedge(tilted), power_in_wedge(turned_about_z(tilted))) > 0.3
    for changed, _ in draws(volume, np.zeros(volume.shape, np.int8)):
        assert min(power_in_wedge(changed), power_in_wedge(turned_about_z(changed))) < 0.15


def turned_about_z(volume):
    return np.ascontiguousarray(np.rot90(volume, axes=(1, 2)))


def test_labels_move_with_the_volume():
    labels = np.zeros((EDGE, EDGE, EDGE), np.int8)
    labels[3:9, 2:13, 5:11] = 1
    labels[15:20, 3:7, 12:22] = -1
    volume = 20 * labels.astype(np.float32)
    for changed, moved in draws(volume, labels):
        assert moved.dtype == np.int8
        assert changed.dtype == np.float32
        assert np.array_equal(np.bincount(moved.ravel() + 1), np.bincount(labels.ravel() + 1))
        assert np.array_equal(changed > 10, moved == 1)
        assert np.array_equal(changed < -10, moved == -1)


def test_each_axis_is_turned_over_in_some_draws_and_not_in_others():
    labels = np.zeros((EDGE, EDGE, EDGE), np.int8)
    labels[3, 4, 5] = 1
    places = {tuple(np.argwhere(moved == 1)[0].tolist()) for _, moved in draws(labels.astype(np.float32), labels, 60)}
    for axis, (here, there) in enumerate([(3, EDGE - 4), (4, EDGE - 5), (5, EDGE - 6)]):
        assert {here, there} <= {place[axis] for place in places}


def test_gain_offset_and_noise_are_mild(wedge_noise):
    volume = wedge_noise(EDGE)
    labels = np.zeros(volume.shape, np.int8)
    changed = [v for v, _ in draws(volume, labels, 40)]
    assert len({float(v.mean()) for v in changed}) == 40
    assert all(abs(v.mean()) < 0.5 for v in changed)
    assert all(0.6 < v.std() < 1.5 for v in changed)


def test_the_generator_decides_everything(wedge_noise):
    volume, labels = wedge_noise(EDGE), np.zeros((EDGE, EDGE, EDGE), np.int8)
    first, second = (augment(volume, labels, np.random.default_rng(5))[0] for _ in range(2))
    assert np.array_equal(first, second)
