"""Where lists of candidates are cut, by hand-worked numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomopicker.picking.calibration import MIN_PROBABILITY, offset_for_count, probabilities
from tomopicker.picking.selection import (
    Expectation,
    expectation,
    threshold_for_count,
    threshold_for_f1,
    threshold_for_precision,
)


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=30, unique=True),
    st.integers(1, 30),
)
def test_threshold_keeps_the_count(scores: list[int], count: int) -> None:
    threshold = threshold_for_count(np.array(scores, dtype=np.float64), float(count))
    assert sum(score > threshold for score in scores) == min(count, len(scores))


def test_threshold_of_best_expected_f1_by_hand() -> None:
    # Probabilities 1, 0.8, 0.5, 0.2, 0.1 sum to 2.6; F1 of the best k: 0.556, 0.783, 0.821, 0.758, 0.684.
    assert 0.2 < threshold_for_f1(np.array([0.1, 1.0, 0.5, 0.8, 0.2]), 2.6) < 0.5
    # With 2 more that are no candidates, of 4.6: 0.357, 0.545, 0.605, 0.581, 0.542. With 20 more every pick helps.
    assert 0.2 < threshold_for_f1(np.array([0.1, 1.0, 0.5, 0.8, 0.2]), 4.6) < 0.5
    assert threshold_for_f1(np.array([0.1, 1.0, 0.5, 0.8, 0.2]), 42.6) < 0.1
    assert threshold_for_f1(np.array([]), 1.0) == 0.5


def test_nothing_is_picked_where_there_are_no_particles() -> None:
    assert threshold_for_f1(np.array([0.9, 0.4]), 0.0) == 1.0


def test_threshold_for_precision_by_hand() -> None:
    # Means of the best k: 1, 0.9, 0.767, 0.625, 0.52.
    probability = np.array([1.0, 0.8, 0.5, 0.2, 0.1])
    assert 0.5 < threshold_for_precision(probability, 0.85) < 0.8
    assert 0.2 < threshold_for_precision(probability, 0.75) < 0.5
    assert (probability > threshold_for_precision(probability, 0.5)).all()
    assert not (np.array([0.4, 0.3]) > threshold_for_precision(np.array([0.4, 0.3]), 0.9)).any()


def test_expectation_by_hand() -> None:
    expected = expectation(np.array([1.0, 0.8, 0.2]), np.array([True, True, False]), 2.0)
    assert expected.particles == pytest.approx(2.0)
    assert (expected.precision, expected.recall, expected.f1) == pytest.approx((0.9, 0.9, 0.9))
    fewer = expectation(np.array([1.0, 0.8, 0.2]), np.array([True, True, False]), 2.5)
    assert (fewer.precision, fewer.recall, fewer.f1) == pytest.approx((0.9, 0.72, 0.8))
    assert expectation(np.array([]), np.array([], dtype=bool), 0.0) == Expectation(0.0, 0.0, 0.0, 0.0)


def overconfident(overconfidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of a known mixture, wrong by an offset; and which are particles."""
    rng = np.random.default_rng(0)
    share, n = 0.05, 4_000
    is_particle = rng.random(n) < share
    x = rng.normal(np.where(is_particle, 4.0, 0.0), 1)
    return np.log(share / (1 - share)) + 4 * x - 8 + overconfidence, is_particle


@pytest.mark.parametrize("overconfidence", [-3.0, 0.0, 5.0])
def test_the_count_sets_overconfident_scores_right(overconfidence: float) -> None:
    """Held at the true number, probabilities mean what they say, and the best expected F1 is the real one."""
    scores, is_particle = overconfident(overconfidence)
    probability = probabilities(scores, offset_for_count(scores, float(is_particle.sum())))
    assert probability[probability >= MIN_PROBABILITY].sum() == pytest.approx(is_particle.sum(), abs=1)
    for low, high in ((0.05, 0.5), (0.5, 0.95)):
        inside = (probability > low) & (probability < high)
        assert is_particle[inside].mean() == pytest.approx(probability[inside].mean(), abs=0.12)

    def f1(threshold: float) -> float:
        kept = probability > threshold
        return 2 * float((kept & is_particle).sum()) / float(kept.sum() + is_particle.sum())

    best = max(f1(t) for t in np.linspace(0.01, 0.99, 99))
    particles = float(probability.sum())
    chosen = threshold_for_f1(probability, particles)
    assert f1(chosen) > best - 0.01
    assert expectation(probability, probability > chosen, particles).f1 == pytest.approx(f1(chosen), abs=0.03)
