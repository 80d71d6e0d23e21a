"""Negatives as known background, and masks: what is sampled where, and what counts."""

import numpy as np
import pytest

from tomopicker.preprocessing.crops import bounding_box, random_crops, sample_crop_corner
from tomopicker.training.labels import LabelledVolume, label_mask
from tomopicker.training.samplers import BalancedPatchSampler, GridPatchSampler

SIZE, SHAPE = 8, (24, 24, 24)


def labelled(clicks=((6, 6, 6),), rejected=((17, 17, 17),), mask=None, radius=3.0, fraction=0.5):
    clicks, rejected = (np.array(rows, dtype=np.float64).reshape(-1, 3) for rows in (clicks, rejected))
    volume = np.arange(1, 1 + np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    labels = label_mask(SHAPE, clicks, radius, fraction, rejected=rejected, inside=mask)
    return LabelledVolume(volume, labels, clicks, rejected, mask)


def streams(item, batch=16, **options):
    return BalancedPatchSampler([item], SIZE, batch, 0, augmented=False, **options)


def test_rejected_picks_are_balls_of_background():
    """Radius 1.5: 19 voxels, as the click's; no shell around them."""
    labels = labelled().labels
    assert (labels == 1).sum() == (labels == 2).sum() == 19
    assert labels[17, 17, 17] == 2
    assert labels[17, 17, 19] == 0
    assert labels[6, 6, 8] == -1


def test_where_a_rejected_pick_and_a_click_meet_the_click_counts():
    labels = labelled(rejected=((9, 6, 6),)).labels
    assert (labels == 1).sum() == 19
    assert labels[6, 6, 9] == -1
    assert labels[6, 6, 10] == 2


def test_they_have_a_share_of_the_uniform_half():
    """Of 16 patches 8 are around the click and 2 around the negative; no unlabelled voxel counts in these."""
    item = labelled()
    centre = item.volume[17, 17, 17]
    for step in range(20):
        batch = streams(item, negative_fraction=0.25).batch(step)
        assert all(centre in patch for patch in batch.inputs[8:10])
        assert batch.negative[8:10].any(axis=(1, 2, 3)).all()
        assert not batch.unlabelled[:10].any()
        assert batch.unlabelled[10:].any(axis=(1, 2, 3)).all()
        assert not (batch.negative & (batch.unlabelled | batch.positive)).any()
        assert set(batch.inputs[:, 0][batch.negative]) <= set(item.volume[item.labels == 2])


def test_each_of_them_comes_up_equally_often():
    places = ((17, 17, 17), (17, 6, 17), (6, 17, 17))
    item = labelled(rejected=places)
    centres = [item.volume[z, y, x] for x, y, z in places]
    seen = np.zeros(3)
    sampler = streams(item, negative_fraction=0.25)
    for step in range(30):
        seen += [sum(centre in patch for patch in sampler.batch(step).inputs[8:10]) for centre in centres]
    assert seen.sum() == 60
    assert seen.min() >= 15


@pytest.mark.parametrize(("share", "batch", "patches"), [(0.25, 4, 1), (1.0, 16, 7), (0.0, 16, 0), (0.5, 2, 0)])
def test_at_least_one_and_one_is_left_to_the_uniform_half(share, batch, patches):
    assert streams(labelled(), batch, negative_fraction=share).around_rejected == patches


def test_without_rejected_picks_nothing_changes():
    first, second = (streams(labelled(rejected=()), negative_fraction=share).batch(3) for share in (0.0, 0.5))
    assert np.array_equal(first.inputs, second.inputs)
    assert not first.negative.any()


def test_blocks_hold_them_where_they_are():
    item = labelled()
    blocks = GridPatchSampler([item], SIZE, 4, 0)
    batches = [blocks.batch(step) for step in range(blocks.batches_per_epoch)]
    found = np.concatenate([batch.inputs[:, 0][batch.negative] for batch in batches])
    assert sorted(found) == sorted(item.volume[item.labels == 2])


UPPER = np.zeros(SHAPE, dtype=bool)
UPPER[18:] = True


def test_outside_the_mask_nothing_counts_but_clicks():
    item = labelled(rejected=((6, 17, 3),), mask=UPPER)
    assert set(np.unique(item.labels[:18])) == {-1, 1, 2}
    assert (item.labels[18:] == 0).all()
    sampler = streams(item)
    for step in range(20):
        batch = sampler.batch(step)
        assert set(batch.inputs[:, 0][batch.unlabelled]) <= set(item.volume[UPPER])


def test_the_uniform_half_lies_in_the_mask():
    """A quarter of the volume, at its upper end: a patch anywhere would hold none of it two times out of three."""
    sampler = streams(labelled(mask=UPPER))
    for step in range(20):
        assert sampler.batch(step).unlabelled[8:].any(axis=(1, 2, 3)).all()


def test_each_voxel_of_a_mask_is_drawn_alike():
    """Away from the borders, as often as any other: three quarters of the draws miss and are made again."""
    mask = np.zeros((40, 20, 20), dtype=bool)
    mask[16:26] = True
    seen = np.zeros(40)
    rng = np.random.default_rng(0)
    for _ in range(4000):
        start = sample_crop_corner(mask, SIZE, rng)[0]
        seen[start : start + SIZE] += 1
    inside = seen[16:26]
    assert inside.min() / inside.max() > 0.6
    assert seen[:9].sum() == seen[33:].sum() == 0


def test_volumes_count_by_what_their_masks_hold(numbered):
    small, large = numbered((24, 24, 24), [(8, 8, 8)]), numbered((48, 24, 24), first=100_000)
    mask = np.zeros(large.volume.shape, dtype=bool)
    mask[:8] = True
    sampler = BalancedPatchSampler(
        [small, LabelledVolume(large.volume, large.labels, large.positions, mask=mask)], 8, 8, 0
    )
    assert sampler.volume_weights.tolist() == [0.75, 0.25]


def test_random_cubes_lie_in_a_mask():
    volume = np.arange(24**3, dtype=np.float32).reshape(SHAPE)
    for cube in random_crops(volume, SIZE, 50, mask=UPPER):
        assert (cube >= 18 * 24 * 24).any()


def test_nowhere_to_cut_takes_any_place():
    assert (sample_crop_corner(np.zeros(SHAPE, dtype=bool), SIZE, np.random.default_rng(0)) <= 16).all()


def test_box_of():
    mask = np.zeros((10, 20, 30), dtype=bool)
    assert bounding_box(mask) == (slice(0, 0),) * 3
    mask[4, 7:10, 29] = True
    assert bounding_box(mask) == (slice(4, 5), slice(7, 10), slice(29, 30))
    assert bounding_box(mask, margin=5) == (slice(0, 10), slice(2, 15), slice(24, 30))
    assert bounding_box(mask, multiple=4) == (slice(4, 5), slice(4, 10), slice(28, 30))
