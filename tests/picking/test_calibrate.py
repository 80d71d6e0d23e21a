"""Counting particles and setting a threshold, on score mixtures whose answers are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomopicker.picking.calibrate import (
    MISSED,
    Ranking,
    click_scores,
    estimate_count,
    threshold_for_count,
)
from tomopicker.picking.peaks import Peaks


def mixture(particles: int, background: int, gap: float, clicks: int, seed: int) -> Ranking:
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(gap, 1, particles), rng.normal(0, 1, background)])
    return Ranking(scores, rng.normal(gap, 1, clicks))


@pytest.mark.parametrize("particles", [50, 150, 600])
def test_count_of_well_separated_mixture(particles: int) -> None:
    counts = [estimate_count([mixture(particles, 2000, 6.0, 20, seed)], least=20) for seed in range(15)]
    assert np.median(counts) == pytest.approx(particles, rel=0.15)


def test_count_does_not_follow_the_background() -> None:
    ratios = [
        estimate_count([mixture(100, 5000, 6.0, 20, seed)], least=20)
        / estimate_count([mixture(100, 500, 6.0, 20, seed + 50)], least=20)
        for seed in range(25)
    ]
    assert np.median(ratios) == pytest.approx(1, abs=0.1)


def test_missed_clicks_raise_the_count() -> None:
    ranking = mixture(100, 1000, 6.0, 20, 3)
    half_missed = Ranking(ranking.peak_scores, np.concatenate([ranking.click_scores, np.full(20, MISSED)]))
    assert estimate_count([half_missed], least=1) > 1.6 * estimate_count([ranking], least=1)


def test_count_is_never_below_the_clicks_given() -> None:
    assert estimate_count([Ranking(np.array([1.0, 0.5]), np.array([1.0]))], least=7) >= 7
    assert estimate_count([Ranking(np.array([1.0]), np.array([MISSED]))], least=7) == 7


def test_two_networks_are_averaged() -> None:
    one, other = mixture(100, 1000, 6.0, 50, 1), mixture(200, 1000, 6.0, 50, 2)
    single = [estimate_count([item], least=1) for item in (one, other)]
    assert estimate_count([one, other], least=1) == pytest.approx(np.sqrt(single[0] * single[1]))


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=30, unique=True),
    st.integers(1, 30),
)
def test_threshold_keeps_the_count(scores: list[int], count: int) -> None:
    threshold = threshold_for_count(np.array(scores, dtype=np.float64), float(count))
    assert sum(score > threshold for score in scores) == min(count, len(scores))


def test_click_takes_the_nearest_peak_within_the_tolerance() -> None:
    peaks = Peaks(np.array([[10.0, 10.0, 10.0], [14.0, 10.0, 10.0]]), np.array([3.0, 2.0], dtype=np.float32))
    clicks = np.array([[13.0, 10.0, 10.0], [10.0, 10.5, 10.0], [30.0, 10.0, 10.0]])
    assert click_scores(peaks, clicks, 5.0).tolist() == [2.0, 3.0, MISSED]
