"""What noise scores: its number in another volume, and a density that integrates to one above any score."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from tomopicker.pu.noise import Noise, together


def test_its_number_follows_the_volume():
    noise = Noise(np.array([-1.0, 0.0, 1.0, 2.0]), voxels=100.0)
    assert noise.above(0.5, 100.0) == 2
    assert noise.above(0.5, 250.0) == 5
    assert noise.above(5.0, 250.0) == 0
    many = Noise(np.repeat([-10.0, 0.0, 10.0, 20.0], 5), voxels=100.0)
    assert many.above(5.0, 250.0) == pytest.approx(25, abs=0.1)
    assert many.above(-99.0, 100.0) == 20
    assert many.above(99.0, 100.0) == 0


def test_shifted_noise_is_as_much_and_scores_higher():
    noise = Noise(np.random.default_rng(1).normal(0, 1.5, 500), voxels=10.0)
    moved = noise.shifted(2.5)
    assert moved.middle == pytest.approx(noise.middle + 2.5)
    assert moved.above(3.5, 10.0) == pytest.approx(noise.above(1.0, 10.0))
    at = np.linspace(1, 5, 9)
    assert moved.log_density(at + 2.5, 3.5) == pytest.approx(noise.log_density(at, 1.0), abs=1e-6)


@pytest.mark.parametrize("low", [-3.0, 0.0, 1.0])
def test_its_density_is_one(low):
    noise = Noise(np.random.default_rng(0).normal(0, 1.5, 2000), voxels=1e6)
    at = np.linspace(low, 12, 4000)
    density = np.exp(noise.log_density(at, low))
    assert trapezoid(density, at) == pytest.approx(1, abs=0.01)
    # A normal distribution's, cut off below.
    expected = np.exp(-((at / 1.5) ** 2) / 2)
    expected /= trapezoid(expected, at)
    assert np.abs(density - expected).max() < 0.06


def test_next_to_nothing_tells_no_density():
    noise = Noise(np.array([0.0, 0.1]), voxels=1.0)
    assert (noise.log_density(np.array([0.0, 3.0]), -1.0) == -30).all()


def test_two_tomograms_together():
    both = together([Noise(np.array([1.0]), 10.0), Noise(np.array([2.0, 3.0]), 20.0)])
    assert both.voxels == 30
    assert both.above(0, 30) == 3
