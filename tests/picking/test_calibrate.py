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
    threshold_for_f1,
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


def test_threshold_of_best_expected_f1_by_hand() -> None:
    # Probabilities 1, 0.8, 0.5, 0.2, 0.1 sum to 2.6; F1 of the best k: 0.556, 0.783, 0.821, 0.758, 0.684.
    probability, prior = np.array([1.0, 0.8, 0.5, 0.2, 0.1]), 0.01
    threshold = threshold_for_f1(np.log(probability / prior), prior)
    assert np.log(0.2 / prior) < threshold < np.log(0.5 / prior)


def test_threshold_of_best_expected_f1_on_a_known_mixture() -> None:
    """Scores that are true log density ratios: the expected F1 is the real one, and no threshold is much better."""
    rng = np.random.default_rng(0)
    prior, n = 0.01, 100_000
    is_particle = rng.random(n) < prior
    x = rng.normal(np.where(is_particle, 4.0, 0.0), 1)
    particle, background = np.exp(-((x - 4) ** 2) / 2), np.exp(-(x**2) / 2)
    scores = np.log(particle / (prior * particle + (1 - prior) * background))

    def f1(threshold: float) -> float:
        kept = scores > threshold
        return 2 * float((kept & is_particle).sum()) / float(kept.sum() + is_particle.sum())

    assert f1(threshold_for_f1(scores, prior)) > max(f1(t) for t in np.linspace(0, 4.6, 60)) - 0.01
