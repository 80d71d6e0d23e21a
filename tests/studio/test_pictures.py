"""What is drawn is what the file holds: slabs, bytes, bricks, boxes, and the centre beside a click."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.cli.conftest import DIAMETER, VOXEL_SIZE
from tomopicker.output.particles import cut_box, projections
from tomopicker.studio.boxes import Boxes, refine_click
from tomopicker.studio.slabs import Brick, bin_factor, jpeg, mean_slab, measure, sections, to_bytes
from tomopicker.tomogram import Tomogram


def volume(shape=(12, 20, 16), seed=0):
    return np.random.default_rng(seed).normal(5, 2, shape).astype(np.float32)


def tomogram(data, voxel_size=10.0, chunks=None):
    class Chunked(np.ndarray):
        pass

    array = data.view(Chunked)
    array.chunks = chunks
    return Tomogram("TS", array, voxel_size)


def test_slabs_are_means_of_sections():
    data = volume()
    lazy = tomogram(data)
    np.testing.assert_allclose(mean_slab(lazy, "xy", 50, 30), data[4:7].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(mean_slab(lazy, "xz", 80, 10), data[:, 8], rtol=1e-5)
    np.testing.assert_allclose(mean_slab(lazy, "yz", 0, 20), data[:, :, 0:2].mean(axis=2).T, rtol=1e-5)


@settings(max_examples=200, deadline=None)
@given(
    position=st.floats(-1e4, 1e4), thickness=st.floats(0.1, 1e6), plane=st.sampled_from(["xy", "xz", "yz"]),
)  # fmt: skip
def test_a_slab_always_has_sections_inside(position, thickness, plane):
    lazy = tomogram(volume())
    chosen = sections(lazy, plane, position, thickness)
    size = {"xy": 12, "xz": 20, "yz": 16}[plane]
    assert 0 <= chosen.start < chosen.stop <= size
    assert chosen.stop - chosen.start == min(size, max(1, round(thickness / 10)))


def test_grey_values_and_jpeg():
    data = volume((20, 64, 64))
    lazy = tomogram(data)
    grey = measure(lazy, 50)
    window = grey.quantiles[1], grey.quantiles[99]
    slab = mean_slab(lazy, "xy", 100, 50)
    drawn = np.asarray(Image.open(io.BytesIO(jpeg(slab, grey, window, 10)))).astype(float)
    assert drawn.shape == (64, 64)
    assert np.corrcoef(drawn.ravel(), slab.ravel())[0, 1] > 0.97
    assert 0.002 < (drawn <= 4).mean() < 0.05 and 0.002 < (drawn >= 251).mean() < 0.05
    inverted = np.asarray(Image.open(io.BytesIO(jpeg(slab, grey, window, 10, inverted=True)))).astype(float)
    assert np.corrcoef(inverted.ravel(), drawn.ravel())[0, 1] < -0.97
    filtered = np.asarray(Image.open(io.BytesIO(jpeg(slab, grey, window, 10, low_pass=120)))).astype(float)
    assert filtered.std() < 0.6 * drawn.std()


def test_nothing_finite_is_no_crash():
    data = np.full((4, 8, 8), np.nan, dtype=np.float32)
    grey = measure(tomogram(data), 10)
    assert np.isfinite(grey.quantiles).all()
    assert to_bytes(data, grey.low, grey.high).max() == 0


@pytest.mark.parametrize("chunks", [None, (5, 8, 8)])
def test_a_brick_is_the_volume_in_bytes(chunks, monkeypatch):
    monkeypatch.setattr("tomopicker.studio.slabs.MAX_BYTES", 600)
    data = volume()
    lazy = tomogram(data, chunks=chunks)
    brick = Brick(lazy, measure(lazy, 30))
    assert (brick.factor, brick.shape) == (2, (6, 10, 8))
    assert sorted(brick.order) == list(range(6))
    assert chunks or brick.order[0] in {2, 3}, "from the middle outwards"
    sent = [np.frombuffer(part, dtype=np.uint8).reshape(10, 8) for part in brick.stream()]
    received = np.stack([sent[brick.order.index(z)] for z in range(6)]).astype(float)
    binned = data.reshape(6, 2, 10, 2, 8, 2).mean(axis=(1, 3, 5))
    back = received / brick.grey.scale + brick.grey.low
    assert np.abs(back - binned).max() < 0.6 / brick.grey.scale
    assert [bytes(part) for part in brick.stream()] == [part.tobytes() for part in sent], "kept, and the same"


def test_a_large_volume_is_binned_below_the_limit():
    assert bin_factor((112, 320, 320)) == 1
    assert bin_factor((500, 928, 960)) == 2


def test_a_click_moves_to_the_centre_that_was_not_seen(balls_world, studio):
    opened = studio.listing.tomogram("TS_1")
    truth = balls_world.truth["TS_1"]
    for axis in range(3):
        off = truth.copy()
        off[:, axis] += 2.5 * VOXEL_SIZE * np.where(np.arange(len(truth)) % 2, 1, -1)
        moved = np.array([refine_click(opened, tuple(place), DIAMETER, axis) for place in off.tolist()])
        others = [other for other in range(3) if other != axis]
        np.testing.assert_array_equal(moved[:, others], off[:, others])
        away = np.abs(moved[:, axis] - truth[:, axis])
        assert np.median(away) < 0.6 * VOXEL_SIZE < 2.5 * VOXEL_SIZE
        assert (away < 1.5 * VOXEL_SIZE).mean() >= 0.75


def test_a_click_in_nothing_stays():
    flat = tomogram(np.zeros((12, 20, 16), dtype=np.float32))
    assert refine_click(flat, (50.0, 60.0, 70.0), 60.0, 2) == (50.0, 60.0, 70.0)


def test_projections_and_the_mean(balls_world, studio):
    opened = studio.listing.tomogram("TS_1")
    place = balls_world.truth["TS_1"][3]
    box = cut_box(opened, place[None], DIAMETER)
    edge = len(box)
    drawn = projections(box).astype(float)
    assert drawn.shape == (edge, 3 * edge + 2)
    for number in range(3):
        panel = drawn[:, number * (edge + 1) : number * (edge + 1) + edge]
        middle = panel[edge // 2 - 1 : edge // 2 + 2, edge // 2 - 1 : edge // 2 + 2]
        assert middle.mean() < 60 < panel[:2].mean(), "a dark ball in the middle"
    places = [("TS_1", tuple(place)) for place in balls_world.truth["TS_1"].tolist()]
    boxes = Boxes(studio.listing)
    mean, count = boxes.mean(places, DIAMETER)
    assert count == 8 and mean.shape == box.shape
    assert mean[0].std() < box[0].std()
    assert boxes.mean([("TS_1", (-1e4, 0.0, 0.0))], DIAMETER) == (None, 0)
