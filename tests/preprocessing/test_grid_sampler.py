"""The paper's non-overlapping blocks: each voxel once an epoch, padding ignored, validation blocks hold a positive."""

import tracemalloc

import numpy as np
import pytest

from tomopicker.errors import UsageError
from tomopicker.training.samplers import GridPatchSampler


def epoch(blocks, number=0):
    first = number * blocks.batches_per_epoch
    batches = [blocks.batch(first + step) for step in range(blocks.batches_per_epoch)]
    return tuple(
        np.concatenate(part)
        for part in zip(*((b.inputs[:, 0], b.positive, b.unlabelled) for b in batches), strict=True)
    )


@pytest.mark.parametrize("shape", [(16, 16, 16), (20, 17, 9), (5, 30, 8)])
@pytest.mark.parametrize("batch", [1, 5, 100])
def test_every_voxel_once_an_epoch(numbered, shape, batch):
    blocks = GridPatchSampler([numbered(shape, [(4, 4, 4)])], 8, batch, 0)
    for number in (0, 1, 7):
        inputs, positive, unlabelled = epoch(blocks, number)
        assert inputs.shape[1:] == (8, 8, 8)
        voxels = inputs[inputs != 0]
        assert np.array_equal(np.sort(voxels), np.arange(1, np.prod(shape) + 1))
        assert not (positive | unlabelled)[inputs == 0].any()  # padding counts as nothing
        assert not (positive & unlabelled).any()


def test_labels_stay_with_their_voxels(numbered):
    item = numbered((20, 17, 9), [(4, 4, 4), (3, 12, 15)])
    inputs, positive, unlabelled = epoch(GridPatchSampler([item], 8, 3, 0))
    assert set(inputs[positive]) == set(item.volume[item.labels == 1])
    assert set(inputs[unlabelled]) == set(item.volume[item.labels == 0])
    assert (item.labels == -1).any()


def test_several_volumes(numbered):
    first, second = numbered((16, 8, 8), first=1), numbered((8, 8, 9), first=5_000)
    inputs, _, _ = epoch(GridPatchSampler([first, second], 8, 2, 0))
    assert set(inputs[inputs != 0]) == set(first.volume.ravel()) | set(second.volume.ravel())
    assert len(inputs) == 2 + 2


def test_the_order_is_new_each_epoch_and_the_same_for_the_same_seed(numbered):
    item = numbered((32, 32, 32))
    blocks, again, other = (GridPatchSampler([item], 8, 8, seed) for seed in (3, 3, 4))
    corners = [epoch(b, n)[0][:, 0, 0, 0].tolist() for b, n in ((blocks, 0), (blocks, 1), (other, 0))]
    assert corners[0] != corners[1]
    assert corners[0] != corners[2]
    again.batch(11)  # what was drawn before changes nothing
    for step in (0, 5, 13):
        assert np.array_equal(blocks.batch(step).inputs, again.batch(step).inputs)


def test_validation_keeps_only_blocks_with_a_positive_voxel(numbered):
    item = numbered((24, 24, 24), [(12, 12, 12), (4, 20, 20)], radius=4.0)
    inputs, positive, _ = epoch(GridPatchSampler([item], 8, 2, 0, only_positive=True))
    assert sorted(inputs[:, 0, 0, 0]) == [item.volume[8, 8, 8], item.volume[16, 16, 0]]
    assert positive.any(axis=(1, 2, 3)).all()


def test_a_shell_alone_does_not_keep_a_block(numbered):
    """The ball of 2 around x = 5 ends at 7, the shell of 4 reaches into the next block."""
    item = numbered((8, 8, 16), [(5, 4, 4)], radius=4.0)
    assert (item.labels[:, :, 8:] == -1).any()
    assert len(epoch(GridPatchSampler([item], 8, 2, 0, only_positive=True))[0]) == 1


def test_no_positive_at_all_is_refused(numbered):
    with pytest.raises(UsageError, match="holds a pick"):
        GridPatchSampler([numbered((16, 16, 16))], 8, 2, 0, only_positive=True)


def test_the_volume_is_not_copied(numbered):
    """Sizes that no block fits: only blocks are padded."""
    item = numbered((65, 65, 65), [(4, 4, 4)])
    tracemalloc.start()
    blocks = GridPatchSampler([item], 16, 2, 0)
    blocks.batch(3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < item.volume.nbytes / 4
