"""From tomogram to working volume: section 3.1 against literal numpy, in slabs and at once, and its refusals."""

import tracemalloc
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tomopicker import moments
from tomopicker.errors import TomoPickerError
from tomopicker.preprocessing import preprocess as module
from tomopicker.preprocessing.preprocess import preprocess, working_voxel_size
from tomopicker.tomogram import Tomogram

PATH = Path("/data/TS_001.mrc")


def noisy(shape=(13, 17, 19), seed=0):
    volume = np.random.default_rng(seed).normal(40, 7, shape)
    volume[3, 4, 5], volume[6, 7, 8] = 400, -300  # fiducials, to be clipped
    return volume.astype(np.float32)


def literal(volume, clip_sd):
    volume = volume.astype(np.float64)
    volume = (volume - volume.mean()) / volume.std()
    volume = np.clip(volume, -clip_sd, clip_sd)
    return (volume - volume.mean()) / volume.std()


@pytest.mark.parametrize("clip_sd", [3.0, 4.0])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_standardise_clip_standardise(clip_sd, dtype):
    volume = noisy().astype(dtype)
    working = preprocess(Tomogram("a", volume, 10.0), 10.0, clip_sd)
    assert working.data.dtype == np.float32
    np.testing.assert_allclose(working.data, literal(volume, clip_sd), atol=1e-4)
    assert np.abs(literal(volume, 1000) - literal(volume, clip_sd)).max() > 1  # the clip matters here


def test_the_file_is_left_alone():
    volume = noisy()
    before = volume.copy()
    preprocess(Tomogram("a", volume, 10.0), 10.0, 3.0)
    assert np.array_equal(volume, before)


def test_bright_protein_is_turned_dark():
    volume = noisy()
    bright = preprocess(Tomogram("a", volume, 10.0, inverted=True), 10.0, 3.0)
    np.testing.assert_allclose(bright.data, -preprocess(Tomogram("a", volume, 10.0), 10.0, 3.0).data, atol=1e-5)


def test_far_from_zero():
    """Counts of a detector: a mean a thousand times the spread."""
    volume = noisy() + np.float32(7_000)
    working = preprocess(Tomogram("a", volume, 10.0), 10.0, 3.0)
    np.testing.assert_allclose(working.data, literal(volume, 3), atol=1e-3)


class Watched:
    """A lazy array that notes how many sections are read at once."""

    def __init__(self, data):
        self.data, self.sections = data, []
        self.shape, self.dtype = data.shape, data.dtype

    def __getitem__(self, key):
        self.sections.append(len(self.data[key]))
        return self.data[key]


@pytest.mark.parametrize("ratio", [1.0, 2.0, 1.7, 0.6])
@pytest.mark.parametrize("sections", [1, 4])
def test_slab_by_slab_is_the_same_as_at_once(monkeypatch, ratio, sections):
    volume = noisy()
    whole = preprocess(Tomogram("a", volume, 10.0), 10.0 * ratio, 3.0)
    monkeypatch.setattr(module, "SLAB_BYTES", sections * 17 * 19 * 4)
    watched = Watched(volume)
    parts = preprocess(Tomogram("a", watched, 10.0), 10.0 * ratio, 3.0)
    assert max(watched.sections) == (sections if ratio >= 1 else 1)  # What grows on its way is read in less.
    assert parts.data.shape == whole.data.shape
    np.testing.assert_allclose(parts.data, whole.data, atol=1e-4)


class Chunked:
    """An array of chunks that notes how often each is unpacked, and how many voxels are read at once."""

    def __init__(self, data, chunks):
        self.data, self.chunks, self.unpacked, self.most = data, chunks, Counter(), 0
        self.shape, self.dtype = data.shape, data.dtype

    def __getitem__(self, key):
        part = self.data[key]
        self.most = max(self.most, part.size)
        ranges = (
            range(each.start // chunk, -(-each.stop // chunk)) for each, chunk in zip(key, self.chunks, strict=True)
        )
        self.unpacked.update(product(*ranges))
        return part


@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.3, 0.6])
@pytest.mark.parametrize("chunks", [(4, 6, 5), (13, 2, 19), (1, 17, 19), (64, 64, 64), (5, 17, 2)])
@pytest.mark.parametrize("room", [1, 500, 2000])
def test_each_chunk_is_unpacked_once(monkeypatch, ratio, chunks, room):
    """Whatever fits into a slab, and the working volume is that of the whole read at once."""
    volume = noisy()
    whole = preprocess(Tomogram("a", volume, 10.0), 10.0 * ratio, 3.0)
    monkeypatch.setattr(module, "SLAB_BYTES", 4 * room)
    data = Chunked(volume, chunks)
    parts = preprocess(Tomogram("a", data, 10.0), 10.0 * ratio, 3.0)
    assert set(data.unpacked.values()) == {1}
    assert len(data.unpacked) == np.prod([-(-edge // chunk) for edge, chunk in zip(volume.shape, chunks, strict=True)])
    assert data.most <= max(room, np.prod(np.minimum(chunks, volume.shape)))
    np.testing.assert_allclose(parts.data, whole.data, atol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_memory_is_that_of_the_working_volume_and_a_slab(monkeypatch, masked):
    """No float64 copy of the whole, nor a copy of what a mask leaves."""
    monkeypatch.setattr(module, "SLAB_BYTES", 2**18)
    monkeypatch.setattr(moments, "PART", 2**14)
    volume = np.random.default_rng(0).integers(-100, 100, (60, 160, 160), dtype=np.int8)
    mask = np.ones(volume.shape, dtype=bool) if masked else None
    tracemalloc.start()
    working = preprocess(Tomogram("a", volume, 10.0), 10.0, 3.0, mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < working.data.nbytes + masked * volume.size + 2**20, f"{peak / volume.size:.1f} bytes a voxel"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_nan_and_infinity_are_refused(monkeypatch, bad, ratio):
    monkeypatch.setattr(module, "SLAB_BYTES", 1)
    volume = noisy()
    volume[11, 16, 0] = bad
    with pytest.raises(TomoPickerError, match="NaN or infinity near section 11") as refused:
        preprocess(Tomogram("TS_001", volume, 10.0, PATH), 10.0 * ratio, 3.0)
    assert str(PATH) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0, 1, -1234.5])
def test_a_constant_volume_is_refused(value):
    with pytest.raises(TomoPickerError, match="all voxels are the same") as refused:
        preprocess(Tomogram("TS_001", np.full((8, 8, 8), value, dtype=np.float32), 10.0, PATH), 10.0, 3.0)
    assert str(PATH) in str(refused.value)


def test_a_tiny_but_real_contrast_is_kept():
    """Densities in physical units may be of the order of 1e-6."""
    volume = noisy() * np.float32(1e-8)
    assert preprocess(Tomogram("a", volume, 10.0), 10.0, 3.0).data.std() == pytest.approx(1, abs=1e-3)


def test_without_a_path_the_name_is_given():
    with pytest.raises(TomoPickerError, match="TS_001"):
        preprocess(Tomogram("TS_001", np.zeros((8, 8, 8), dtype=np.float32), 10.0), 10.0, 3.0)


@pytest.mark.parametrize(
    ("voxel", "diameter", "working", "chosen"),
    [
        (13.48, 320.0, None, 13.48),  # the paper: as it is
        (13.48, 320.0, 12.0, 26.96),  # 23.7 voxels wide: every other
        (6.74, 320.0, 12.0, 26.96),  # the same working voxel from the finer tomogram
        (10.0, 60.0, 12.0, 10),  # never finer
        (10.0, 300.0, 12.0, 20),  # 2.5 is even-rounded
        (5.0, 300.0, 12.0, 25),
    ],
)
def test_working_voxel_size(voxel, diameter, working, chosen):
    assert working_voxel_size(voxel, diameter, working) == pytest.approx(chosen)
