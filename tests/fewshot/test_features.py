"""Features are those of the whole volume, whatever the tiles; and the cache never gives any but the right ones."""

import errno
import os
import tempfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.fewshot.conftest import DIAMETER, VOXEL
from tests.recording import RecordingCallback
from tomopicker import api
from tomopicker.errors import UsageError
from tomopicker.fewshot import cache as kept
from tomopicker.fewshot import row_memory
from tomopicker.fewshot.extraction import feature_map, two_levels
from tomopicker.fewshot.feature_map import FeatureMap
from tomopicker.fewshot.features import features_of
from tomopicker.models.resunet import ResUNet
from tomopicker.pipeline import features as module
from tomopicker.tomogram import Tomogram
from tomopicker.training import batchnorm

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    """A small one, of random weights, which sees 24 voxels far."""
    torch.manual_seed(0)
    return ResUNet(channels=(6, 12), stride=2).eval()


@pytest.fixture
def quick(monkeypatch):
    """Batch normalisation measured in one batch of patches in place of eight."""
    monkeypatch.setattr(batchnorm, "ADAPT_BATCHES", 1)


def test_tiles_give_the_features_of_the_whole_volume(network):
    """With as much context as the network can see."""
    volume = np.random.default_rng(0).standard_normal((16, 40, 24)).astype(np.float32)
    halo = -(-network.reach // network.divisor) * network.divisor
    with torch.inference_mode():
        padded = torch.from_numpy(np.pad(volume, halo))
        whole = two_levels(network, padded[None, None])[0]
    inner = tuple(slice(halo // 2, halo // 2 + edge // 2) for edge in volume.shape)
    wanted = whole[(slice(None), *inner)].reshape(whole.shape[0], -1).T
    found = feature_map(network, volume, tile=16, halo=halo, device=CPU, precision="float32")
    assert found.rows.dtype == torch.float16
    np.testing.assert_allclose(found.rows.float(), wanted, rtol=2e-3, atol=2e-3)


def test_features_are_where_the_mask_is_and_the_same_as_without(network):
    volume = np.random.default_rng(1).standard_normal((16, 32, 32)).astype(np.float32)
    mask = np.zeros(volume.shape, bool)
    mask[4:12, 8:16, 8:24] = True
    whole = feature_map(network, volume, tile=16, halo=24, device=CPU, precision="float32")
    part = feature_map(network, volume, tile=16, halo=24, device=CPU, precision="float32", mask=mask)
    assert 8 * 4 * 4 <= part.where.sum() < 0.6 * whole.where.sum()
    assert part.where[2:6, 4:8, 4:12].all()
    torch.testing.assert_close(part.rows, whole.rows[torch.from_numpy(part.where[whole.where])])


@pytest.mark.parametrize("full", [False, True])
def test_many_features_lie_in_a_file_that_goes_with_them(network, tmp_path, monkeypatch, full):
    """The same ones; on a full disk they are in memory."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    volume = np.random.default_rng(2).standard_normal((16, 32, 32)).astype(np.float32)
    in_memory = feature_map(network, volume, tile=16, halo=8, device=CPU, precision="float32")
    monkeypatch.setattr(row_memory, "MAX_IN_MEMORY", 0)
    room, asked = os.posix_fallocate, []

    def allocate(descriptor, start, size):
        asked.append(size)
        if full:
            raise OSError(errno.ENOSPC, "no space left")
        room(descriptor, start, size)

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    on_disk = feature_map(network, volume, tile=16, halo=8, device=CPU, precision="float32")
    assert asked == [in_memory.rows.nbytes]
    assert not list(tmp_path.iterdir())
    torch.testing.assert_close(on_disk.rows, in_memory.rows, rtol=0, atol=0)
    np.testing.assert_array_equal(on_disk.scores(np.ones(18), 0.0), in_memory.scores(np.ones(18), 0.0))


def test_scores_are_linear_and_lie_where_the_features_do():
    """A feature that is a place's coordinate is interpolated to the coordinate of every voxel."""
    grid = np.stack(np.mgrid[:4, :5, :6]).reshape(3, -1).T * 2 + 0.5  # centres of feature voxels, in voxels
    features = FeatureMap(torch.from_numpy(grid).half(), np.ones((4, 5, 6), bool), (8, 10, 11), 2)
    z, y, x = np.mgrid[:8, :10, :11]
    for axis, coordinate in enumerate((z, y, x)):
        scores = features.scores(np.eye(3)[axis], 1.5)
        inner = (slice(1, 7), slice(1, 9), slice(1, 10))
        np.testing.assert_allclose(scores[inner], coordinate[inner] + 1.5, atol=1e-3)
    np.testing.assert_allclose(features.at(np.array([[4.5, 2.5, 2.5]]))[0], [2.5, 2.5, 4.5], atol=1e-3)
    np.testing.assert_allclose(features.at(np.array([[30.0, 2.5, 2.5]]))[0], [2.5, 2.5, 10.5], atol=1e-3)


@pytest.fixture
def counted(monkeypatch, quick):
    """How often features are computed."""
    calls = []
    monkeypatch.setattr(module, "features_of", lambda *a, **k: calls.append(1) or features_of(*a, **k))
    return calls


@pytest.fixture
def tiny():
    rng = np.random.default_rng(3)
    return Tomogram("TS_9", rng.standard_normal((32, 56, 56)).astype(np.float32), VOXEL)


def compute(tomogram, folder, diameter=DIAMETER, **options):
    return api.features(tomogram, diameter, cache=folder, device="cpu", mask="none", **options)


def test_features_are_computed_once_and_come_back_alike(tiny, tmp_path, counted):
    before, after = compute(tiny, tmp_path), compute(tiny, tmp_path)
    assert len(counted) == 1
    assert after.name == "TS_9"
    assert after.frame == tiny.frame
    assert after.working_voxel_size == before.working_voxel_size
    for part in ("specimen", "decoy"):
        torch.testing.assert_close(getattr(after, part).rows, getattr(before, part).rows)
        assert getattr(after, part).shape == getattr(before, part).shape
    np.testing.assert_array_equal(after.working.data, before.working.data)
    np.testing.assert_array_equal(after.statistics.covariance, before.statistics.covariance)
    assert [path.suffix for path in tmp_path.iterdir()] == [kept.SUFFIX], "no temporary file is left"


def test_a_renamed_tomogram_finds_its_features(tiny, tmp_path, counted):
    compute(tiny, tmp_path)
    assert compute(replace(tiny, name="other"), tmp_path).name == "other"
    assert len(counted) == 1


@pytest.mark.parametrize("change", ["voxel", "voxel size", "inverted", "diameter", "mask"])
def test_anything_that_differs_is_recomputed(tiny, tmp_path, counted, change):
    compute(tiny, tmp_path)
    data = tiny.data.copy()
    data[10, 20, 30] += 1e-3
    mask = np.zeros(tiny.shape, bool)
    mask[4:20] = True
    changed = {
        "voxel": lambda: compute(replace(tiny, data=data), tmp_path),
        "voxel size": lambda: compute(replace(tiny, voxel_size=14.0), tmp_path),
        "inverted": lambda: compute(replace(tiny, inverted=True), tmp_path),
        "diameter": lambda: compute(tiny, tmp_path, 200.0),
        "mask": lambda: api.features(tiny, DIAMETER, cache=tmp_path, device="cpu", mask=mask),
    }
    changed[change]()
    assert len(counted) == 2


def test_kinds_of_one_working_voxel_size_share_features(tiny, tmp_path, counted):
    """A diameter decides the working voxel size, a whole multiple of the tomogram's, and nothing else of features."""
    first, second = compute(tiny, tmp_path), compute(tiny, tmp_path, 270.0)
    assert len(counted) == 1
    assert first.working_voxel_size == second.working_voxel_size
    assert (first.settings.particle_diameter, second.settings.particle_diameter) == (DIAMETER, 270.0)
    assert second.radius == pytest.approx(270 / 2 / second.working_voxel_size)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other", "swapped"])
def test_a_damaged_file_is_recomputed_and_replaced(tiny, tmp_path, counted, damage):
    wanted = compute(tiny, tmp_path).specimen.rows
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-5000] ^= 1
    if damage == "swapped":  # a whole file of another tomogram under this one's name
        other = tmp_path / "elsewhere"
        compute(replace(tiny, data=tiny.data[::-1].copy()), other)
        counted.pop()
        content = bytearray(next(other.iterdir()).read_bytes())
    path.write_bytes({"cut": content[:-1000], "empty": b"", "other": b"\x80\x04K\x01." * 9}.get(damage, bytes(content)))
    torch.testing.assert_close(compute(tiny, tmp_path).specimen.rows, wanted)
    assert len(counted) == 2
    compute(tiny, tmp_path)
    assert len(counted) == 2


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tiny, tmp_path, quick):
    recorder = RecordingCallback()
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert compute(tiny, blocked, callback=recorder).name == "TS_9"
    (warning,) = recorder.warnings
    assert str(blocked) in warning


def test_files_not_used_for_longest_give_way(tiny, tmp_path, monkeypatch, quick):
    compute(tiny, tmp_path)
    (old,) = tmp_path.iterdir()
    os.utime(old, (1, 1))
    monkeypatch.setattr(kept, "MAX_BYTES", 1.5 * old.stat().st_size)
    compute(replace(tiny, data=tiny.data[::-1].copy()), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert not old.exists()


def test_the_default_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("TOMOPICKER_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert kept.default_folder() == tmp_path / "xdg" / "tomopicker"
    monkeypatch.setenv("TOMOPICKER_CACHE", str(tmp_path / "own"))
    assert kept.default_folder() == tmp_path / "own"


def test_a_diameter_that_cannot_be_is_refused(tiny, tmp_path):
    with pytest.raises(UsageError, match="particle-diameter"):
        compute(tiny, tmp_path, 20.0)


def test_rows_near_a_place_are_those_of_a_literal_search():
    rng = np.random.default_rng(3)
    where = rng.random((5, 6, 7)) < 0.4
    voxels = np.argwhere(where)
    rows = torch.from_numpy(rng.standard_normal((len(voxels), 2))).half()
    features = FeatureMap(rows, where, (10, 12, 14), 2)
    centres = np.concatenate([rng.uniform(-3, 9, (40, 3)), voxels[:3], voxels[:3] + 0.5])
    away = np.linalg.norm(voxels[None] - centres[:, None], axis=2)
    for distance in (0.5, 1.0, 1.7, 2.5):
        assert features.near(centres, distance) == [np.flatnonzero(row <= distance).tolist() for row in away]
    places = ((centres + 0.5) * 2 - 0.5)[:, ::-1]
    np.testing.assert_array_equal(features.covers(places), (away <= 1).any(axis=1))
    for found, row in zip(features.at(places), away, strict=True):
        chosen = row <= max(1.0, row.min())
        expected = rows.double().numpy()[chosen if (row <= 1).any() else row.argmin()].reshape(-1, 2).mean(axis=0)
        np.testing.assert_allclose(found, expected)
    np.testing.assert_array_equal(features.voxels([4, 0, 2]), voxels[[4, 0, 2]])
