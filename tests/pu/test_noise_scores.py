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
    assert (noise.log_density(np.array([0.0, 3.0]), -1.0) == -50).all()


def test_two_tomograms_together():
    both = together([Noise(np.array([1.0]), 10.0), Noise(np.array([2.0, 3.0]), 20.0)])
    assert both.voxels == 30
    assert both.above(0, 30) == 3
