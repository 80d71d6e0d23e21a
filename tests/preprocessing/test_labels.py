"""Balls and label masks against literal distance tests and counts known from number theory."""

import numpy as np
import pytest

from tomopicker.training.labels import ball_offsets, label_mask


def distances(shape, position):
    """Of every voxel from a position (x, y, z)."""
    z, y, x = np.indices(shape)
    return np.sqrt((x - position[0]) ** 2 + (y - position[1]) ** 2 + (z - position[2]) ** 2)


def clicks(*positions):
    return np.array(positions, dtype=np.float64).reshape(-1, 3)


@pytest.mark.parametrize(
    ("radius", "count"), [(0.5, 1), (1.0, 7), (1.5, 19), (2.0, 33), (3.0, 123), (4.0, 257), (12.0, 7153)]
)
def test_ball_counts(radius, count):
    """Lattice points in a ball of whole radius: OEIS A000605."""
    assert len(ball_offsets(radius)) == count


@pytest.mark.parametrize("radius", [1.0, 2.3, 3.75])
def test_ball_is_every_near_offset_once(radius):
    near = {
        (z, y, x)
        for z in range(-5, 6)
        for y in range(-5, 6)
        for x in range(-5, 6)
        if z * z + y * y + x * x <= radius**2
    }
    offsets = [tuple(row) for row in ball_offsets(radius).tolist()]
    assert len(offsets) == len(set(offsets))
    assert set(offsets) == near


def test_positions_are_x_y_z():
    mask = label_mask((3, 6, 9), clicks((7, 4, 1)), 1.0)
    assert mask[1, 4, 7] == 1
    assert np.argwhere(mask == 1).mean(axis=0).tolist() == [1, 4, 7]


def test_published_mask_is_the_whole_ball():
    mask = label_mask((20, 22, 24), clicks((12, 11, 10)), 4.0)
    assert np.array_equal(mask == 1, distances(mask.shape, (12, 11, 10)) <= 4)
    assert np.array_equal(mask == 0, distances(mask.shape, (12, 11, 10)) > 4)


def test_shell_is_ignored():
    mask = label_mask((20, 22, 24), clicks((12, 11, 10)), 4.0, target_fraction=0.5)
    assert [(mask == value).sum() for value in (1, -1)] == [33, 257 - 33]
    assert np.array_equal(mask == 1, distances(mask.shape, (12, 11, 10)) <= 2)
    assert np.array_equal(mask == 0, distances(mask.shape, (12, 11, 10)) > 4)


def test_balls_are_cut_at_corners():
    """An octant of the ball of radius 2: 1 + 3 axial neighbours + 3 at √2 + 1 at √3 + 3 at 2."""
    shape = (8, 9, 10)
    for corner in np.ndindex(2, 2, 2):
        z, y, x = (side * (edge - 1) for side, edge in zip(corner, shape, strict=True))
        mask = label_mask(shape, clicks((x, y, z)), 2.0)
        assert (mask == 1).sum() == 11
        assert mask[z, y, x] == 1


def test_a_click_outside_does_not_come_back_on_the_other_side():
    mask = label_mask((8, 8, 8), clicks((-1, 4, 4), (4, 30, 4)), 2.0)
    assert np.array_equal(mask == 1, distances(mask.shape, (-1, 4, 4)) <= 2)


def test_one_clicks_shell_spares_anothers_ball():
    first, second = (9, 10, 10), (12, 10, 10)
    mask = label_mask((21, 21, 21), clicks(first, second), 4.0, target_fraction=0.5)
    nearest = np.minimum(distances(mask.shape, first), distances(mask.shape, second))
    assert np.array_equal(mask == 1, nearest <= 2)
    assert np.array_equal(mask == -1, (nearest > 2) & (nearest <= 4))


def test_the_target_is_at_least_a_voxel_and_its_neighbours():
    assert (label_mask((9, 9, 9), clicks((4, 4, 4)), 3.0, target_fraction=0.1) == 1).sum() == 7


def test_clicks_between_voxels_go_to_the_nearest():
    assert np.array_equal(
        label_mask((9, 9, 9), clicks((3.6, 4.4, 4.0)), 2.0), label_mask((9, 9, 9), clicks((4, 4, 4)), 2.0)
    )


def test_no_clicks_no_labels():
    assert not label_mask((5, 5, 5), clicks(), 2.0).any()


def test_doubtful_balls_are_ignored_unless_more_is_known():
    """A click beside, a negative inside: both stay what they are."""
    shape, doubt, click, rejected = (21, 21, 21), (9, 10, 10), (14, 10, 10), (7, 10, 10)
    mask = label_mask(shape, clicks(click), 4.0, 0.5, rejected=clicks(rejected), ambiguous=clicks(doubt))
    near = {name: distances(shape, each) for name, each in (("d", doubt), ("c", click), ("r", rejected))}
    assert np.array_equal(mask == 1, near["c"] <= 2)
    assert np.array_equal(mask == 2, (near["r"] <= 2) & (near["c"] > 4))
    assert np.array_equal(mask == -1, ((near["d"] <= 4) | (near["c"] <= 4)) & (mask != 1) & (mask != 2))
    assert (mask[near["d"] <= 4] != 0).all()
