"""Dist-PU, worked by hand: the mean score is 0.65 over P and 0.25 over U."""

import math

import pytest
import torch

from tomopicker.pu.losses import distpu_risk

POSITIVE, UNLABELLED = (0.8, 0.5), (0.1, 0.25, 0.4)


def entropy(p):
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


@pytest.mark.parametrize(("prior", "sign"), [(0.1, 1), (0.4, -1)])
def test_alignment(logits, prior, sign):
    """2·π·(1 - 0.65) + |0.25 - π|; a voxel pulls by f·(1 - f)."""
    positive, unlabelled = logits(*POSITIVE), logits(*UNLABELLED)
    risk = distpu_risk(positive, unlabelled, prior)
    risk.backward()
    assert float(risk.detach()) == pytest.approx(2 * prior * 0.35 + 0.15, rel=1e-5)
    assert positive.grad.tolist() == pytest.approx([-prior * 0.16, -prior * 0.25], rel=1e-5)
    assert unlabelled.grad.tolist() == pytest.approx([sign * 0.03, sign * 0.0625, sign * 0.08], rel=1e-5)


def test_entropy(logits):
    """The mean of 0.3251, 0.5623 and 0.6730 nat; it falls by s·f·(1 - f) a unit of the logit s."""
    unlabelled = logits(*UNLABELLED)
    risk = distpu_risk(logits(*POSITIVE), unlabelled, 0.1, entropy_weight=0.5)
    risk.backward()
    assert sum(map(entropy, UNLABELLED)) / 3 == pytest.approx(0.520143, rel=1e-5)
    assert float(risk.detach()) == pytest.approx(0.07 + 0.15 + 0.5 * 0.520143, rel=1e-5)
    assert unlabelled.grad.tolist() == pytest.approx([0.0629583, 0.0968316, 0.0962186], rel=1e-5)


def test_entropy_parts_the_scores_that_alignment_leaves_alone(logits):
    """Two voxels at π each are aligned; with the entropy each goes to the side of 1/2 it is on."""
    unlabelled = logits(0.4, 0.6)
    risk = distpu_risk(logits(), unlabelled, 0.5, entropy_weight=1.0)
    risk.backward()
    assert float(risk.detach()) == pytest.approx(entropy(0.4), rel=1e-5)
    assert unlabelled.grad[0] > 0 > unlabelled.grad[1]


def test_gamma_scales_the_positive_term_only(logits):
    risk = distpu_risk(logits(*POSITIVE), logits(*UNLABELLED), 0.1, scale=3.0)
    assert risk.item() == pytest.approx(3 * 0.07 + 0.15, rel=1e-5)


def test_balanced(logits):
    risk = distpu_risk(logits(*POSITIVE), logits(*UNLABELLED), 0.1, balanced=True)
    assert risk.item() == pytest.approx(0.35 + 0.15, rel=1e-5)


def test_without_positives_their_term_is_left_out(nothing, logits):
    assert distpu_risk(nothing, logits(*UNLABELLED), 0.1).item() == pytest.approx(0.15, rel=1e-5)


def test_running_expectation_moves_the_value_and_gradients_flow_through_the_batch(nothing, logits):
    """The mean is remembered as 0.05, below π = 0.1, though this batch's is above: scores are to rise."""
    unlabelled = logits(*UNLABELLED)
    risk = distpu_risk(nothing, unlabelled, 0.1, expectation=0.05)
    risk.backward()
    assert float(risk.detach()) == pytest.approx(0.05, rel=1e-4)
    assert unlabelled.grad.tolist() == pytest.approx([-0.03, -0.0625, -0.08], rel=1e-5)


@pytest.mark.parametrize("size", [-1e4, -90.0, 90.0, 1e4])
def test_saturated_logits_are_finite(size):
    positive = torch.full((2,), -size, requires_grad=True)
    unlabelled = torch.full((2,), size, requires_grad=True)
    risk = distpu_risk(positive, unlabelled, 0.004, entropy_weight=0.01)
    risk.backward()
    assert all(torch.isfinite(t).all() for t in (risk, positive.grad, unlabelled.grad))
