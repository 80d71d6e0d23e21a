"""Tiles: cores cover each voxel once, start where pooling does, and are the paper's blocks without a halo."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tomopicker.inference.tiles import tiles
from tomopicker.preprocessing.crops import read_padded

edges = st.tuples(*[st.integers(1, 70)] * 3)


@given(shape=edges, pieces=st.integers(1, 6), halo=st.integers(0, 4), level=st.integers(0, 3))
def test_cores_cover_each_voxel_once(shape, pieces, halo, level):
    divisor = 2**level
    core, halo = 8 * pieces, halo * divisor
    counts = np.zeros(shape, dtype=int)
    for region, target in tiles(shape, core, halo, divisor):
        counts[target] += 1
        for r, t in zip(region, target, strict=True):
            assert t.start % divisor == 0
            assert 0 < t.stop - t.start <= core
            assert (t.stop - t.start) % divisor == 0
            assert (r.start, r.stop) == (t.start - halo, t.stop + halo)
    assert (counts == 1).all()


@given(shape=edges)
def test_without_a_halo_they_are_the_papers_blocks(shape):
    """Non-overlapping subvolumes of the training size, from the first voxel on (section 3.4)."""
    cores = {tuple((s.start, s.stop) for s in target) for _, target in tiles(shape, 24, 0, 8)}
    axes = [[(start, start + 24) for start in range(0, edge, 24)] for edge in shape]
    assert cores == set(itertools.product(*axes))


def test_with_a_halo_cores_are_even():
    """100 voxels in cores of at most 96: two of 52, not 96 and 4."""
    starts = sorted({target[0].start for _, target in tiles((100, 8, 8), 96, 8, 4)})
    assert starts == [0, 52]


VOLUME = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


def test_inside_nothing_is_padded():
    region = (slice(0, 2), slice(1, 3), slice(2, 4))
    assert np.array_equal(read_padded(VOLUME, region), VOLUME[region])


def test_outside_it_is_the_mean():
    piece = read_padded(VOLUME, (slice(0, 1), slice(0, 1), slice(-2, 5)))
    assert piece[0, 0].tolist() == [0, 0, 0, 1, 2, 3, 0]


def test_a_region_next_to_the_volume_is_all_fill():
    for far in (slice(6, 9), slice(-5, -2)):
        piece = read_padded(VOLUME, (slice(0, 1), slice(0, 1), far), fill=7)
        assert piece.tolist() == [[[7, 7, 7]]]


def test_more_halo_than_volume():
    piece = read_padded(VOLUME[:1, :1, :2], (slice(-3, 4), slice(0, 1), slice(0, 2)))
    assert piece.shape == (7, 1, 2)
    assert piece[3, 0].tolist() == VOLUME[0, 0, :2].tolist()
    assert np.count_nonzero(piece) == np.count_nonzero(VOLUME[0, 0, :2])
