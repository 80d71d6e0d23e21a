"""The centre of the mean: found to a fraction of a voxel, with an error that can be believed."""

import numpy as np
import pytest

from tests.diagnostics.conftest import DIAMETER, VOXEL_SIZE
from tomopicker.diagnostics.centring import N_GROUPS, MeanBoxes, average, box_edge, find_offset
from tomopicker.picks import Picks
from tomopicker.preprocessing.subtomograms import subtomograms
from tomopicker.tomogram import Tomogram

RADIUS = 6.0


def blobs(centre, n, seed=0, noise=3.0):
    """Sums of n lopsided blobs in noise, each turned another way about a centre (x, y, z) off the box's middle."""
    rng = np.random.default_rng(seed)
    edge = box_edge(RADIUS)
    grid = np.stack(np.meshgrid(*[np.arange(edge) - edge // 2] * 3, indexing="ij"))[::-1]  # x, y, z
    sums, counts = np.zeros((N_GROUPS, edge, edge, edge), np.float32), np.zeros(N_GROUPS, np.int64)
    for i in range(n):
        side = rng.normal(size=3)
        side *= 2 / np.linalg.norm(side)
        box = rng.normal(0, noise, (edge,) * 3)
        # Heavier on one side, and centred on the whole's centre of mass.
        for weight, where in ((2, side / 2), (1, -side)):
            away = grid - (np.asarray(centre) + where)[:, None, None, None]
            box -= weight * np.exp(-np.square(away).sum(axis=0) / (2 * 2.5**2))
        sums[i % N_GROUPS] += box.astype(np.float32)
        counts[i % N_GROUPS] += 1
    return MeanBoxes(sums, counts, 1.0)


@pytest.mark.parametrize("centre", [(0.0, 0.0, 0.0), (0.5, -0.5, 0.25), (-1.0, 0.0, 2.0)])
def test_an_offset_is_found_on_each_axis(centre):
    offset = find_offset(blobs(centre, 48, noise=0.5), 2 * RADIUS)
    assert offset is not None
    assert np.abs(offset.angstrom - centre).max() < 0.12


def test_the_error_is_the_scatter_of_repetitions():
    found = [find_offset(blobs((0, 0, 0), 24, seed), 2 * RADIUS) for seed in range(12)]
    scatter = np.stack([offset.angstrom for offset in found]).std(axis=0, ddof=1)
    stated = np.stack([offset.error for offset in found]).mean(axis=0)
    assert np.all(stated / scatter > 0.5)
    assert np.all(stated / scatter < 2.0)


def test_few_picks_warn_of_nothing():
    assert find_offset(blobs((0, 0, 0), 11), 2 * RADIUS) is None


def test_particles_many_voxels_wide_are_binned_and_stay_centred(case):
    fine = average([case.tomogram], case.picks(case.voxels), DIAMETER)
    assert fine.voxel_size == VOXEL_SIZE
    coarse = average([case.tomogram], case.picks(case.voxels), 2 * DIAMETER)
    assert coarse.voxel_size == 2 * VOXEL_SIZE
    offset = find_offset(coarse, DIAMETER)
    assert offset is not None
    assert np.abs(offset.angstrom).max() < 0.4 * VOXEL_SIZE


def test_groups_add_up_to_the_mean_of_standardised_boxes():
    rng = np.random.default_rng(0)
    tomogram = Tomogram("noise", rng.normal(size=(40, 40, 40)).astype(np.float32), VOXEL_SIZE)
    picks = Picks.of("noise", rng.uniform(12, 28, (26, 3)) * VOXEL_SIZE)
    boxes = average([tomogram], picks, 3 * VOXEL_SIZE)
    cuts = [cut for _, cut in subtomograms(tomogram, picks.positions, box_edge(1.5))]
    expected = np.mean([(cut - cut.mean()) / cut.std() for cut in cuts], axis=0)
    assert sorted(boxes.counts) == [1] * (N_GROUPS - 2) + [2] * 2
    np.testing.assert_allclose(boxes.mean, expected, atol=1e-5)
