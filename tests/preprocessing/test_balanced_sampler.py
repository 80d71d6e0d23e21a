"""Half of a batch around clicks, half anywhere: what counts as unlabelled, borders, shares, determinism."""

import itertools

import numpy as np
import pytest

from tomopicker.training.samplers import BalancedPatchSampler

SIZE = 8


def batches(streams, count):
    return [streams.batch(step) for step in range(count)]


def test_unlabelled_only_in_the_uniform_half(numbered):
    streams = BalancedPatchSampler([numbered((24, 24, 24), [(12, 12, 12)])], SIZE, 6, 0, augmented=False)
    for batch in batches(streams, 10):
        assert batch.inputs.shape == (6, 1, SIZE, SIZE, SIZE)
        assert not batch.unlabelled[:3].any()
        assert batch.unlabelled[3:].any()


def test_positives_count_in_both_halves(numbered):
    item = numbered((12, 12, 12), [(6, 6, 6)])
    streams = BalancedPatchSampler([item], SIZE, 4, 0, augmented=False)
    positive = set(item.volume[item.labels == 1])
    for batch in batches(streams, 10):
        for voxels, flags in zip(batch.inputs[:, 0], batch.positive, strict=True):
            assert set(voxels[flags]) == positive & set(voxels.ravel())


def test_the_shell_counts_as_nothing(numbered):
    item = numbered((12, 12, 12), [(6, 6, 6)])
    shell = set(item.volume[item.labels == -1])
    assert shell
    for batch in batches(BalancedPatchSampler([item], SIZE, 4, 0, augmented=False), 10):
        assert not shell & set(batch.inputs[:, 0][batch.unlabelled | batch.positive])


EDGES = (20, 23, 26)  # x, y, z
BORDERS = [p for p in itertools.product(*((0, e // 2, e - 1) for e in EDGES)) if p != tuple(e // 2 for e in EDGES)] + [
    (-0.25, 11.0, 12.0),
    (19.4, 22.4, 25.4),
]


@pytest.mark.parametrize("click", BORDERS)
def test_a_click_at_any_border_is_in_its_patch(numbered, click):
    item = numbered(EDGES[::-1], [click])
    x, y, z = np.round(click).astype(int)
    for batch in batches(BalancedPatchSampler([item], SIZE, 2, 0, augmented=False), 8):
        assert item.volume[z, y, x] in batch.inputs[0]
        assert batch.positive[0].any()


@pytest.mark.parametrize("size", [8, 12, 24])
def test_the_whole_target_is_inside_and_its_place_varies(numbered, size):
    item = numbered((64, 64, 64), [(30, 31, 32)], radius=size / 4)
    target = set(item.volume[item.labels == 1])
    places = set()
    for batch in batches(BalancedPatchSampler([item], size, 2, 0, augmented=False), 20):
        assert target <= set(batch.inputs[0, 0].ravel())
        places.add(float(batch.inputs[0, 0, 0, 0, 0]))
    assert len(places) > 10


def test_every_click_comes_up_equally_often(numbered):
    clicks = [(10, 10, 10), (30, 10, 10), (10, 30, 10), (10, 10, 30), (30, 30, 30)]
    item = numbered((40, 40, 40), clicks)
    centres = [item.volume[z, y, x] for x, y, z in clicks]
    streams = BalancedPatchSampler([item], SIZE, 4, 0, augmented=False)
    seen = np.zeros(5)
    for batch in batches(streams, 50):
        seen += [sum(c in patch for patch in batch.inputs[:2]) for c in centres]
    assert seen.sum() == 100
    assert seen.min() >= 15


def test_the_uniform_half_follows_the_volumes_sizes(numbered):
    small = numbered((16, 16, 16), [(8, 8, 8)], first=1)
    large = numbered((48, 16, 16), first=100_000)
    streams = BalancedPatchSampler([small, large], SIZE, 8, 0, augmented=False)
    from_large = np.mean([batch.inputs[4:, 0, 0, 0, 0] >= 100_000 for batch in batches(streams, 100)])
    assert from_large == pytest.approx(0.75, abs=0.08)


def test_the_uniform_half_reaches_every_corner(numbered):
    item = numbered((10, 10, 10), [(5, 5, 5)])
    seen = set()
    for batch in batches(BalancedPatchSampler([item], SIZE, 8, 0, augmented=False), 40):
        seen |= set(batch.inputs[4:].ravel())
    assert seen == set(item.volume.ravel())


def test_a_volume_smaller_than_the_patch_is_padded(numbered):
    item = numbered((6, 20, 5), [(2, 9, 3)])
    for batch in batches(BalancedPatchSampler([item], SIZE, 4, 0, augmented=False), 10):
        assert not (batch.positive | batch.unlabelled)[batch.inputs[:, 0] == 0].any()
        assert batch.positive[:2].any(axis=(1, 2, 3)).all()
        assert ((batch.inputs[:, 0] != 0).sum(axis=(1, 2, 3)) == 6 * 8 * 5).all()


@pytest.mark.parametrize("augmented", [False, True])
def test_same_seed_and_step_same_batch(numbered, augmented):
    item = numbered((24, 24, 24), [(12, 12, 12), (5, 5, 5)])
    streams, again, other = (BalancedPatchSampler([item], SIZE, 4, seed, augmented=augmented) for seed in (3, 3, 4))
    again.batch(2)  # what was drawn before changes nothing
    for step in (0, 1, 77):
        first, second = streams.batch(step), again.batch(step)
        assert np.array_equal(first.inputs, second.inputs)
        assert np.array_equal(first.positive, second.positive)
        assert np.array_equal(first.unlabelled, second.unlabelled)
        assert not np.array_equal(first.inputs, other.batch(step).inputs)
    assert not np.array_equal(streams.batch(0).inputs, streams.batch(1).inputs)


def test_augmentation_leaves_the_volume_itself_alone(numbered):
    item = numbered((24, 24, 24), [(12, 12, 12)])
    before = item.volume.copy(), item.labels.copy()
    streams = BalancedPatchSampler([item], SIZE, 4, 0, augmented=True)
    changed = [
        not np.array_equal(
            streams.batch(s).inputs, BalancedPatchSampler([item], SIZE, 4, 0, augmented=False).batch(s).inputs
        )
        for s in range(3)
    ]
    assert all(changed)
    assert np.array_equal(item.volume, before[0])
    assert np.array_equal(item.labels, before[1])
