"""Noise with a specimen's power spectrum: the same amplitudes, other phases, nothing of its shapes."""

import itertools

import numpy as np
import pytest

from tomopicker.preprocessing.decoys import MAX_SHAPE, decoy_volume


def spheres(shape, seed=0):
    rng = np.random.default_rng(seed)
    volume = rng.standard_normal(shape).astype(np.float32)
    grid = np.indices(shape)
    for _ in range(12):
        middle = [rng.uniform(0, edge) for edge in shape]
        volume[sum((g - m) ** 2 for g, m in zip(grid, middle, strict=True)) < 16] -= 4
    return volume + np.float32(0.3)


def test_amplitudes_stay_and_phases_do_not():
    volume = spheres((24, 30, 27))
    noise = decoy_volume(volume)
    assert noise.shape == volume.shape
    assert noise.dtype == np.float32
    before, after = (np.abs(np.fft.rfftn(each.astype(float))) for each in (volume, noise))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=0.05)
    assert noise.mean() == pytest.approx(float(volume.mean()), abs=1e-4)
    assert noise.std() == pytest.approx(float(volume.std()), rel=1e-3)
    alike = [np.corrcoef(decoy_volume(volume, seed=seed).ravel(), volume.ravel())[0, 1] for seed in range(20)]
    assert abs(np.mean(alike)) < 0.15  # 1 with its own phases


def test_what_sticks_out_is_gone():
    """Spheres make the values of a volume skewed; noise has none."""

    def skewness(values):
        return float((((values - values.mean()) / values.std()) ** 3).mean())

    volume = spheres((32, 32, 32))
    assert skewness(volume) < -0.5
    assert abs(skewness(decoy_volume(volume))) < 0.1


def test_the_seed_decides():
    volume = spheres((16, 16, 16))
    assert np.array_equal(decoy_volume(volume, seed=3), decoy_volume(volume, seed=3))
    assert not np.allclose(decoy_volume(volume, seed=3), decoy_volume(volume, seed=4))


def test_only_the_specimen_is_looked_at():
    volume = spheres((40, 20, 20))
    mask = np.zeros(volume.shape, dtype=bool)
    mask[10:22] = True
    volume[~mask] = 1e3
    noise = decoy_volume(volume, mask)
    assert noise.shape == (12, 20, 20)
    assert np.abs(noise).max() < 20
    assert decoy_volume(volume, np.zeros_like(mask)).shape == volume.shape


def test_the_middle_of_a_large_specimen_is_enough():
    z, y, _ = MAX_SHAPE
    volume = np.random.default_rng(0).standard_normal((z + 9, y + 2, 31)).astype(np.float32)
    assert decoy_volume(volume).shape == (z, y, 31)


def test_the_power_of_particles_can_be_left_out():
    """The decoy of a crowd is then that of its background, at its power and grey level, and not of the particles."""
    shape = (40, 40, 40)
    rng = np.random.default_rng(5)
    background = rng.standard_normal(shape).astype(np.float32) + np.float32(0.3)
    particles = np.zeros(shape, dtype=bool)
    for z, y, x in itertools.product(range(6, 40, 12), repeat=3):
        particles[z - 3 : z + 4, y - 3 : y + 4, x - 3 : x + 4] = True
    crowd = background - np.float32(4) * particles
    assert decoy_volume(crowd).std() > 1.5
    noise = decoy_volume(crowd, particles=particles)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert noise.mean() == pytest.approx(0.3, abs=0.02)
    whole = np.ones(shape, dtype=bool)
    assert np.array_equal(decoy_volume(crowd, particles=whole), decoy_volume(crowd))  # nothing else is left
