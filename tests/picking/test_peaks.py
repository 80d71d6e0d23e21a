import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from tomopicker.errors import TomoPickerError
from tomopicker.picking import greedy as blanking
from tomopicker.picking import local_maxima as maxima
from tomopicker.picking.greedy import greedy_peaks
from tomopicker.picking.local_maxima import local_peaks
from tomopicker.picking.peaks import MISSED, Peaks, click_scores, nearest_peaks

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
TIED = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, float("nan"), float("-inf"), float("inf")])


def literal_greedy(score, radius, max_particles, threshold):
    """Section 3.4 word for word."""
    score = np.where(np.isnan(score), -np.inf, score).astype(np.float32)
    grid = np.indices(score.shape)
    limit = np.float32(-np.inf if threshold is None else threshold)
    positions, scores = [], []
    while max_particles is None or len(positions) < max_particles:
        z, y, x = np.unravel_index(np.argmax(score), score.shape)
        if not score[z, y, x] > limit:
            break
        positions.append((x, y, z))
        scores.append(score[z, y, x])
        score[((grid - np.array([z, y, x])[:, None, None, None]) ** 2).sum(axis=0) <= radius**2] = -np.inf
    return np.array(positions, dtype=float).reshape(-1, 3), np.array(scores, dtype=np.float32)


def assert_like_the_loop(score, radius, max_particles, threshold):
    before = score.copy()
    peaks = greedy_peaks(score, radius, max_particles=max_particles, threshold=threshold)
    positions, scores = literal_greedy(score, radius, max_particles, threshold)
    np.testing.assert_array_equal(peaks.positions_voxels, positions)
    np.testing.assert_array_equal(peaks.scores, scores)
    np.testing.assert_array_equal(score, before)


@settings(max_examples=150, deadline=None)
@given(
    score=SHAPES.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=TIED.map(np.float32))),
    radius=st.sampled_from([0, 1, 1.5, 2, 3, 3.7, 4]),
    max_particles=st.one_of(st.none(), st.integers(0, 30)),
    threshold=st.sampled_from([float("-inf"), -1.0, 0.0, 0.3, 0.5, 2.0]),
    block=st.sampled_from([1, 2, 3, 16]),
)
def test_greedy_is_the_literal_loop(score, radius, max_particles, threshold, block):
    # Small blocks give small volumes the many blocks and ragged edges that 16³ gives large ones.
    usual, blanking.BLOCK = blanking.BLOCK, block
    try:
        assert_like_the_loop(score, radius, max_particles, threshold)
    finally:
        blanking.BLOCK = usual


@pytest.mark.parametrize("radius", [0, 3, 7.5, 40])
def test_greedy_is_the_literal_loop_over_many_real_blocks(radius):
    rng = np.random.default_rng(1)
    score = ndimage.gaussian_filter(rng.standard_normal((35, 50, 41)), 1.5).astype(np.float32)
    score = np.round(score, 2)  # ties
    assert_like_the_loop(score, radius, 60, None)
    assert_like_the_loop(score, max(radius, 3), None, 0.1)


def test_greedy_threshold_is_strict_and_compared_as_float32():
    score = np.zeros((1, 1, 3), dtype=np.float32)
    score[0, 0] = [0.1, np.nextafter(np.float32(0.1), np.float32(1)), 0.05]
    peaks = greedy_peaks(score, 0, threshold=0.1)
    np.testing.assert_array_equal(peaks.positions_voxels, [[1, 0, 0]])


def test_greedy_positions_are_xyz():
    score = np.zeros((4, 5, 6), dtype=np.float32)
    score[1, 2, 5] = 2
    peaks = greedy_peaks(score, 2, max_particles=1)
    np.testing.assert_array_equal(peaks.positions_voxels, [[5, 2, 1]])
    assert len(peaks) == 1


def test_greedy_of_an_array_that_cannot_be_written_or_is_a_view():
    score = np.random.default_rng(0).standard_normal((20, 30, 40)).astype(np.float32)
    reversed_view = score[::-1, ::2, 5:]
    reversed_view.flags.writeable = False
    assert_like_the_loop(reversed_view, 4, 20, None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"radius": 2},
        {"radius": -1, "max_particles": 3},
        {"radius": float("nan"), "max_particles": 3},
        {"radius": 2, "max_particles": -1},
        {"radius": 2, "threshold": float("nan")},
    ],
)
def test_greedy_refuses_what_makes_no_sense(arguments):
    with pytest.raises(TomoPickerError):
        greedy_peaks(np.zeros((3, 3, 3), dtype=np.float32), **arguments)


def blobs(shape, centres_xyz, sigma, heights=None):
    z, y, x = np.indices(shape)
    score = np.zeros(shape)
    for i, centre in enumerate(centres_xyz):
        square = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
        score += (1 if heights is None else heights[i]) * np.exp(-square / (2 * sigma**2))
    return score


def spread_centres(rng, shape):
    """Give one centre, off the grid, in each cell of 16 voxels."""
    cells = np.stack(np.meshgrid(*[np.arange(8, size - 8, 16) for size in shape[::-1]], indexing="ij"), -1)
    cells = cells.reshape(-1, 3)
    return cells + rng.uniform(-2, 2, cells.shape)


def distances(found, truth):
    return np.linalg.norm(found[:, None] - truth[None], axis=-1)


@pytest.mark.parametrize("sigma", [1.5, 2.5, 3.5])
def test_local_peaks_find_blobs_to_a_fraction_of_a_voxel(sigma):
    rng = np.random.default_rng(3)
    shape = (33, 49, 65)
    truth = spread_centres(rng, shape)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), 0.7)
    score = (blobs(shape, truth, sigma) + 0.05 * noise / noise.std()).astype(np.float32)
    peaks = local_peaks(score, min_distance=8, threshold=0.2)
    assert len(peaks) == len(truth)
    errors = distances(peaks.positions_voxels, truth).min(axis=0)
    assert np.sqrt((errors**2).mean()) < 0.25
    # What rounding to voxels would give at best.
    assert np.linalg.norm(truth - np.rint(truth), axis=1).mean() > 0.4
    assert (np.diff(peaks.scores) <= 0).all()


def test_the_fit_averages_noise_that_smoothing_leaves():
    rng = np.random.default_rng(3)
    shape = (33, 49, 65)
    truth = spread_centres(rng, shape)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), 0.7)
    score = (blobs(shape, truth, 2.5) + 0.05 * noise / noise.std()).astype(np.float32)
    peaks = local_peaks(score, min_distance=8, threshold=0.5, smoothing=0)
    errors = distances(peaks.positions_voxels, truth).min(axis=0)
    # A parabola through three voxels an axis is off by 0.45.
    assert np.sqrt((errors**2).mean()) < 0.3


def test_local_peaks_at_the_border_stay_inside():
    truth = np.array([[0.0, 0.0, 0.0], [29.0, 12.3, 19.0], [15.2, 24.0, 10.4], [0.4, 12.2, 10.1], [29.0, 0.0, 19.0]])
    shape = (20, 25, 30)
    peaks = local_peaks(blobs(shape, truth, 2.0).astype(np.float32), min_distance=6, threshold=0.3)
    assert len(peaks) == len(truth)
    assert (peaks.positions_voxels >= 0).all()
    assert (peaks.positions_voxels <= np.array(shape[::-1]) - 1).all()
    assert distances(peaks.positions_voxels, truth).min(axis=0).max() < 0.5
    # Along a face the place is still finer than a voxel.
    assert distances(peaks.positions_voxels, truth).min(axis=0)[2] < 0.05


def test_local_peaks_do_not_leave_the_volume_with_a_rising_border():
    # Scores that grow towards the last plane put the top of the fit outside.
    shape = (12, 13, 14)
    score = (blobs(shape, [[13.9, 6, 6]], 2.0)).astype(np.float32)
    peaks = local_peaks(score, min_distance=4, threshold=0.1, smoothing=0)
    assert len(peaks) == 1
    assert peaks.positions_voxels[0, 0] == 13
    np.testing.assert_allclose(peaks.positions_voxels[0, 1:], [6, 6], atol=0.01)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    min_distance=st.sampled_from([0, 1.5, 3, 5.5]),
    smoothing=st.sampled_from([0, 0.8, 1.5]),
)
def test_local_peaks_are_the_greedy_choice_among_their_candidates(seed, min_distance, smoothing):
    rng = np.random.default_rng(seed)
    score = rng.standard_normal((12, 14, 16)).astype(np.float32)
    everything = local_peaks(score, min_distance=0, threshold=float("-inf"), smoothing=smoothing)
    peaks = local_peaks(score, min_distance=min_distance, threshold=float("-inf"), smoothing=smoothing)
    kept = []
    for i, position in enumerate(everything.positions_voxels):
        if all(np.linalg.norm(position - everything.positions_voxels[j]) >= min_distance for j in kept):
            kept.append(i)
    np.testing.assert_array_equal(peaks.positions_voxels, everything.positions_voxels[kept])
    np.testing.assert_array_equal(peaks.scores, everything.scores[kept])
    capped = local_peaks(score, min_distance=min_distance, threshold=-9, smoothing=smoothing, max_particles=3)
    np.testing.assert_array_equal(capped.positions_voxels, peaks.positions_voxels[:3])


def test_peaks_at_just_the_minimum_distance_both_stay():
    score = np.zeros((1, 9, 12), dtype=np.float32)
    score[0, 4, [3, 7]] = 1, 2
    np.testing.assert_array_equal(
        local_peaks(score, min_distance=4, threshold=0.5, smoothing=0).positions_voxels, [[7, 4, 0], [3, 4, 0]]
    )
    assert len(local_peaks(score, min_distance=4.01, threshold=0.5, smoothing=0)) == 1


def test_local_peaks_are_the_local_maxima():
    score = np.random.default_rng(5).standard_normal((9, 10, 11)).astype(np.float32)
    smooth = ndimage.gaussian_filter(score, 1.0, mode="nearest")
    peaks = local_peaks(score, min_distance=0, threshold=0.05, smoothing=1.0)
    padded = np.pad(smooth, 1, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3)).max(axis=(3, 4, 5))
    expected = np.sort(smooth[(smooth == windows) & (smooth > 0.05)])[::-1]
    np.testing.assert_allclose(peaks.scores, expected, rtol=1e-5)


def test_local_peaks_respect_threshold_strictly():
    score = blobs((15, 15, 30), [[7, 7, 7], [22, 7, 7]], 2.0, [1.0, 0.5]).astype(np.float32)
    lower = local_peaks(score, min_distance=4, threshold=0, smoothing=0).scores[1]
    assert len(local_peaks(score, min_distance=4, threshold=lower, smoothing=0)) == 1
    assert len(local_peaks(score, min_distance=4, threshold=np.nextafter(lower, np.float32(0)), smoothing=0)) == 2


@pytest.mark.parametrize("slab_voxels", [1, 500, 900])
@pytest.mark.parametrize("smoothing", [0, 1.0, 1.5])
def test_local_peaks_do_not_depend_on_the_slabs(monkeypatch, slab_voxels, smoothing):
    rng = np.random.default_rng(7)
    score = rng.standard_normal((30, 12, 13)).astype(np.float32)
    score[14:17, 3:6, 3:6] = np.nan
    score[9:13, 6:9, 6:9] = 3.0  # a plateau across slabs
    mask = rng.random(score.shape) < 0.7
    whole = local_peaks(score, min_distance=2, threshold=-1, smoothing=smoothing, mask=mask)
    monkeypatch.setattr(maxima, "SLAB_VOXELS", slab_voxels)
    slabs = local_peaks(score, min_distance=2, threshold=-1, smoothing=smoothing, mask=mask)
    assert len(whole) > 20
    np.testing.assert_allclose(whole.positions_voxels, slabs.positions_voxels, atol=1e-9)
    np.testing.assert_array_equal(whole.scores, slabs.scores)


def test_local_peaks_respect_the_mask():
    rng = np.random.default_rng(11)
    score = rng.standard_normal((20, 21, 22)).astype(np.float32)
    mask = rng.random(score.shape) < 0.5
    free = local_peaks(score, min_distance=2, threshold=-9, smoothing=1)
    masked = local_peaks(score, min_distance=2, threshold=-9, smoothing=1, mask=mask)
    x, y, z = np.rint(free.positions_voxels).astype(int).T
    assert not mask[z, y, x].all()
    x, y, z = np.rint(masked.positions_voxels).astype(int).T
    assert len(masked) > 20
    assert mask[z, y, x].all()
    assert len(local_peaks(score, min_distance=2, threshold=-9, mask=np.zeros(score.shape, dtype=bool))) == 0


def test_a_plateau_is_one_peak_at_its_middle():
    score = np.zeros((11, 12, 13), dtype=np.float32)
    score[3:6, 4:7, 5:8] = 1  # a saturated ball
    score[8, 9, 2:4] = 0.8  # between two voxels
    peaks = local_peaks(score, min_distance=0, threshold=0.5, smoothing=0)
    np.testing.assert_allclose(peaks.positions_voxels, [[6, 5, 4], [2.5, 9, 8]])


def test_a_flat_volume_has_no_peak():
    for value in (0.0, 1.0, np.nan):
        score = np.full((8, 9, 10), value, dtype=np.float32)
        assert len(local_peaks(score, min_distance=2, threshold=-1)) == 0


def test_local_peaks_ignore_what_is_not_finite():
    truth = np.array([[6.0, 7.0, 8.0]])
    score = blobs((16, 16, 20), truth, 2.0).astype(np.float32)
    score[:, :, 15:] = np.nan
    score[0, 0, 14] = np.inf
    before = score.copy()
    peaks = local_peaks(score, min_distance=4, threshold=0.1)
    np.testing.assert_allclose(peaks.positions_voxels, truth, atol=0.05)
    np.testing.assert_array_equal(score, before)


def test_thin_volumes_are_picked_too():
    score = blobs((1, 20, 20), [[6.0, 7.0, 0.0]], 2.0).astype(np.float32)
    peaks = local_peaks(score, min_distance=4, threshold=0.1)
    np.testing.assert_allclose(peaks.positions_voxels, [[6, 7, 0]], atol=1e-4)


def test_local_peaks_refuse_what_makes_no_sense():
    score = np.zeros((4, 4, 4), dtype=np.float32)
    for wrong in ({"min_distance": -1}, {"smoothing": -1}, {"threshold": float("nan")}, {"max_particles": -2}):
        with pytest.raises(TomoPickerError):
            local_peaks(score, **({"min_distance": 2, "threshold": 0} | wrong))
    # Without the tests' type checks, as a user meets it.
    with pytest.raises(TomoPickerError, match="mask"):
        inspect.unwrap(local_peaks)(score, min_distance=2, threshold=0, mask=np.ones((2, 4, 4), dtype=bool))


def test_click_takes_the_nearest_peak_within_the_tolerance() -> None:
    peaks = Peaks(np.array([[10.0, 10.0, 10.0], [14.0, 10.0, 10.0]]), np.array([3.0, 2.0], dtype=np.float32))
    clicks = np.array([[13.0, 10.0, 10.0], [10.0, 10.5, 10.0], [30.0, 10.0, 10.0]])
    assert click_scores(peaks, clicks, 5.0).tolist() == [2.0, 3.0, MISSED]
    assert nearest_peaks(peaks, clicks, 5.0).tolist() == [1, 0, -1]
    assert nearest_peaks(peaks, clicks[1:], 5.0).tolist() == [0, -1]
    assert nearest_peaks(peaks, clicks[:0], 5.0).tolist() == []
