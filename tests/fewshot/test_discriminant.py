"""The closed form against a literal one, its refit, and what leaving a click out does."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit

from tomopicker.fewshot.discriminant import (
    EVEN_ODDS,
    PRIOR_VARIANCE,
    QUARTILES,
    Statistics,
    discriminant,
    held_out_shift,
    statistics_of,
)
from tomopicker.fewshot.feature_map import FeatureMap

CHANNELS = 7
NONE = np.empty((0, CHANNELS))


@pytest.fixture
def background():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4000, CHANNELS)) @ rng.normal(size=(CHANNELS, CHANNELS)) + rng.normal(size=CHANNELS)


@pytest.fixture
def statistics(background):
    return Statistics(background.mean(axis=0), np.cov(background.T, bias=True), background)


def literal(statistics, clicks):
    """The formula as it is written: w = (Σ + 0.03·tr(Σ)/C·1)⁻¹ (m - μ), scaled by the quartiles of the scores."""
    sigma = statistics.covariance
    w = np.linalg.inv(sigma + 0.03 * np.trace(sigma) / CHANNELS * np.eye(CHANNELS)) @ (
        clicks.mean(axis=0) - statistics.mean
    )
    return w / spread(statistics.sample @ w)


def spread(scores):
    return (np.quantile(scores, 0.75) - np.quantile(scores, 0.25)) / QUARTILES


def test_the_closed_form_is_the_literal_one(background, statistics):
    clicks = background[:3] + 2.0
    line = discriminant(statistics, clicks, NONE)
    np.testing.assert_allclose(line.weights, literal(statistics, clicks), rtol=1e-9)
    scores = line(background)
    assert abs(np.median(scores)) < 1e-9
    assert abs(spread(scores) - 1) < 1e-9


def test_statistics_are_those_of_the_rows_inside():
    rng = np.random.default_rng(1)
    rows = torch.from_numpy(rng.normal(3.0, 2.0, (300_000, 3))).half()
    inside = rng.random(300_000) < 0.4
    found = statistics_of(FeatureMap(rows, np.ones((1, 1, 300_000), bool), (1, 1, 300_000), 1), inside)
    chosen = rows.double().numpy()[inside]
    np.testing.assert_allclose(found.mean, chosen.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(chosen.T, bias=True), rtol=1e-5, atol=1e-5)


def test_rejected_picks_move_the_closed_form_as_logistic_regression_with_its_prior(background, statistics):
    """Against a general minimiser of the negative log posterior over the weights."""
    clicks, rejected = background[:4] + 2.0, background[4:9] + 1.5
    start = literal(statistics, clicks)
    sigma = statistics.covariance
    precision = (sigma + 0.03 * np.trace(sigma) / CHANNELS * np.eye(CHANNELS)) / PRIOR_VARIANCE
    points = np.concatenate([clicks, rejected]) - statistics.mean
    wanted = np.repeat([1.0, 0.0], [4, 5])
    middle = EVEN_ODDS * (points[:4] @ start).mean()

    def cost(w):
        s = points @ w - middle
        return np.logaddexp(0, s).sum() - wanted @ s + (w - start) @ precision @ (w - start) / 2

    def slope(w):
        return points.T @ (expit(points @ w - middle) - wanted) + precision @ (w - start)

    best = minimize(cost, start, jac=slope, method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(
        discriminant(statistics, clicks, rejected).weights, best / spread(background @ best), rtol=1e-3, atol=1e-4
    )


def test_a_rejected_pick_scores_less_and_its_likes_too(background, statistics):
    clicks, bad = background[:4] + 2.0, background[10:11] + np.linspace(0, 4, CHANNELS)
    before, after = discriminant(statistics, clicks, NONE), discriminant(statistics, clicks, bad)
    assert after(bad)[0] < before(bad)[0] - 0.2
    assert after(bad + 0.1)[0] < before(bad + 0.1)[0] - 0.2


def test_what_is_left_out_is_what_the_others_say(statistics, background):
    clicks = background[:3] + 2.0
    line = discriminant(statistics, clicks, NONE)
    shift = held_out_shift(line, statistics, clicks, NONE, np.arange(3), clicks)
    ones = [literal(statistics, np.delete(clicks, i, 0)) for i in range(3)]
    alone = [w @ click - np.median(background @ w) for w, click in zip(ones, clicks, strict=True)]
    np.testing.assert_allclose(line(clicks) + shift, alone, rtol=1e-9)


def test_clicks_left_out_score_as_other_particles_do():
    """With many channels and few clicks, a click learnt from scores far above its likes; left out, it does not."""
    rng = np.random.default_rng(2)
    wide = Statistics(np.zeros(100), np.eye(100), rng.normal(size=(2000, 100)))
    excess = []
    for _ in range(40):
        particles = rng.normal(size=(205, 100)) + 0.4
        clicks, rest = particles[:5], particles[5:]
        line = discriminant(wide, clicks, np.empty((0, 100)))
        left_out = line(clicks) + held_out_shift(line, wide, clicks, np.empty((0, 100)), np.arange(5), clicks)
        excess.append((line(clicks).mean() - line(rest).mean(), left_out.mean() - line(rest).mean()))
    learnt, fair = np.mean(excess, axis=0)
    assert learnt > 0.6
    assert abs(fair) < 0.25 * learnt
