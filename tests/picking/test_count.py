"""The count's interval on score mixtures with known answers, and when a given count is contradicted."""

import numpy as np
import pytest

from tomopicker.picking.calibration import Count
from tomopicker.picking.crossfit import Ranking, count_particles, estimate_count
from tomopicker.picking.peaks import MISSED


def cross_fit(particles: int, background: int, gap: float, clicks: int, seed: int) -> list[Ranking]:
    """Two networks that score alike; each has not seen half of the clicks, which are particles among the others."""
    rng = np.random.default_rng(seed)
    rankings = []
    for _ in range(2):
        held_out, others = rng.normal(gap, 1, clicks // 2), rng.normal(gap, 1, particles - clicks // 2)
        rankings.append(Ranking(np.concatenate([held_out, others, rng.normal(0, 1, background)]), held_out))
    return rankings


@pytest.mark.parametrize(
    ("particles", "background", "gap", "clicks"),
    [(100, 2000, 6.0, 20), (70, 800, 4.0, 20), (100, 2000, 5.0, 10), (200, 2000, 5.0, 50)],
)
def test_interval_holds_the_truth_and_says_something(particles: int, background: int, gap: float, clicks: int) -> None:
    counts = [count_particles(cross_fit(particles, background, gap, clicks, seed), least=clicks) for seed in range(15)]
    assert np.mean([count.low <= particles <= count.high for count in counts]) >= 0.8
    assert np.median([count.high / count.low for count in counts]) < 3.5


def test_more_clicks_narrow_it() -> None:
    few, many = (
        np.median([count.high / count.low for count in (count_particles(cross_fit(150, 1500, 5.0, n, seed), least=n)
                                                         for seed in range(5))])
        for n in (8, 80)
    )  # fmt: skip
    assert many < 0.8 * few


def test_order_and_determinism() -> None:
    rankings = cross_fit(60, 500, 4.0, 12, 0)
    count = count_particles(rankings, least=12)
    assert count == count_particles(rankings, least=12)
    assert count.low <= count.estimate <= count.high
    assert count.estimate == estimate_count(rankings, least=12)
    assert count.low >= 12


def test_clicks_that_tell_nothing_leave_it_open() -> None:
    lost = Ranking(np.array([1.0, 0.5, 0.2]), np.array([MISSED, MISSED]))
    assert count_particles([lost], least=2) == Count(2.0, 2.0, 3.0)
    assert count_particles([Ranking(np.empty(0), np.array([MISSED]))], least=1) == Count(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("given", "contradicted"), [(70, False), (50, False), (139, False), (141, True), (34, True), (500, True)]
)
def test_contradiction_takes_a_factor_of_two(given: float, contradicted: bool) -> None:
    assert Count(70, 55, 92).contradicts(given) == contradicted


def test_what_the_interval_allows_is_no_contradiction() -> None:
    assert not Count(70, 20, 300).contradicts(290)
    assert Count(70, 20, 300).contradicts(310)


def test_text() -> None:
    assert str(Count(70.4, 54.6, 91.9)) == "70 particles (90 % interval 55 to 92)"
