"""The count that thresholds of untrained methods rest on, on score mixtures with known answers."""

import numpy as np
import pytest

from tomopicker.benchmark.threshold import count_from_clicks
from tomopicker.picking.peaks import MISSED


def mixture(particles, background, clicks, seed):
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(6, 1, particles), rng.normal(0, 1, background)])
    return scores, rng.normal(6, 1, clicks)


@pytest.mark.parametrize("particles", [50, 150, 600])
def test_count_of_well_separated_mixture(particles):
    counts = [count_from_clicks(*mixture(particles, 2000, 20, seed)) for seed in range(15)]
    assert np.median(counts) == pytest.approx(particles, rel=0.15)


def test_count_does_not_follow_the_background():
    ratios = [
        count_from_clicks(*mixture(100, 5000, 20, seed)) / count_from_clicks(*mixture(100, 500, 20, seed + 50))
        for seed in range(25)
    ]
    assert np.median(ratios) == pytest.approx(1, abs=0.1)


def test_missed_clicks_raise_the_count():
    peaks, clicks = mixture(100, 1000, 20, 3)
    half_missed = np.concatenate([clicks, np.full(20, MISSED)])
    assert count_from_clicks(peaks, half_missed) > 1.6 * count_from_clicks(peaks, clicks)


def test_count_is_never_below_the_clicks():
    assert count_from_clicks(np.array([1.0, 0.5]), np.full(7, 1.0)) >= 7
    assert count_from_clicks(np.array([1.0]), np.full(7, MISSED)) == 7
