"""The positive-negative risk, eq. 1 with eq. 3, worked by hand from probabilities."""

import math

import pytest
import torch

from tomopicker.pu.losses import negative_cost, pn_risk, positive_cost

POSITIVE, UNLABELLED = (0.8, 0.5), (0.1, 0.25, 0.4)
AS_PARTICLE = -(math.log(0.8) + math.log(0.5)) / 2
AS_BACKGROUND = -(math.log(0.9) + math.log(0.75) + math.log(0.6)) / 3


def test_costs_are_binary_cross_entropy(logits):
    assert positive_cost(logits(*POSITIVE)).item() == pytest.approx(AS_PARTICLE, rel=1e-5)
    assert negative_cost(logits(*UNLABELLED)).item() == pytest.approx(AS_BACKGROUND, rel=1e-5)


def test_published_reading(logits):
    """π multiplies the positive term and 1 - π the other, with the π of eq. 2: here 1 voxel in 200."""
    risk = pn_risk(logits(*POSITIVE), logits(*UNLABELLED), 0.005)
    assert risk.item() == pytest.approx(0.005 * AS_PARTICLE + 0.995 * AS_BACKGROUND, rel=1e-5)


def test_balanced(logits):
    risk = pn_risk(logits(*POSITIVE), logits(*UNLABELLED), 0.5)
    assert risk.item() == pytest.approx((AS_PARTICLE + AS_BACKGROUND) / 2, rel=1e-5)


def test_gamma_scales_the_positive_term_only(logits):
    risk = pn_risk(logits(*POSITIVE), logits(*UNLABELLED), 0.25, scale=3.0)
    assert risk.item() == pytest.approx(0.25 * 3 * AS_PARTICLE + 0.75 * AS_BACKGROUND, rel=1e-5)


def test_gradient(logits):
    positive, unlabelled = logits(*POSITIVE), logits(*UNLABELLED)
    pn_risk(positive, unlabelled, 0.25, scale=2.0).backward()
    # -ln p pulls with p - 1, -ln(1 - p) with p; each over the count of its set.
    assert positive.grad.tolist() == pytest.approx([0.25 * 2 * (0.8 - 1) / 2, 0.25 * 2 * (0.5 - 1) / 2], rel=1e-5)
    assert unlabelled.grad.tolist() == pytest.approx([0.75 * p / 3 for p in UNLABELLED], rel=1e-5)


def test_without_positives_their_term_is_left_out(logits, nothing):
    unlabelled = logits(*UNLABELLED)
    risk = pn_risk(nothing, unlabelled, 0.25)
    risk.backward()
    assert float(risk.detach()) == pytest.approx(0.75 * AS_BACKGROUND, rel=1e-5)
    assert torch.isfinite(unlabelled.grad).all()


def test_saturated_logits_are_finite():
    wrong = torch.tensor([-1e4], requires_grad=True)
    risk = pn_risk(wrong, torch.tensor([1e4]), 0.5)
    risk.backward()
    assert float(risk.detach()) == pytest.approx(1e4)
    assert wrong.grad.tolist() == [-0.5]
