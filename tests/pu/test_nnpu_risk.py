"""The non-negative PU risk, eq. 4 and 5, and the two gradient branches below them, worked by hand."""

import math

import pytest
import torch

from tomopicker.pu.losses import background_risk, nnpu_risk

POSITIVE, UNLABELLED = (0.8, 0.5), (0.1, 0.25, 0.4)
PRIOR = 0.2
P_PLUS = -(math.log(0.8) + math.log(0.5)) / 2
P_MINUS = -(math.log(0.2) + math.log(0.5)) / 2
U_MINUS = -(math.log(0.9) + math.log(0.75) + math.log(0.6)) / 3


def test_equation_5(logits):
    risk, corrected = nnpu_risk(logits(*POSITIVE), logits(*UNLABELLED), PRIOR)
    assert not corrected
    assert risk.item() == pytest.approx(PRIOR * (P_PLUS - P_MINUS) + U_MINUS, rel=1e-5)


def test_gradient_of_equation_5(logits):
    """A positive voxel pulls by (p - 1) - p = -1 whatever its score, an unlabelled one by p."""
    positive, unlabelled = logits(*POSITIVE), logits(*UNLABELLED)
    nnpu_risk(positive, unlabelled, PRIOR)[0].backward()
    assert positive.grad.tolist() == pytest.approx([-PRIOR / 2] * 2, rel=1e-5)
    assert unlabelled.grad.tolist() == pytest.approx([p / 3 for p in UNLABELLED], rel=1e-5)


def test_negative_background_risk_corrects_itself(logits):
    """Positive 0.99: π'·R_P⁻ = 0.2·4.6 = 0.92 outweighs R_U⁻ of unlabelled 0.1, 0.105."""
    risk, corrected = nnpu_risk(logits(0.99), logits(0.1), PRIOR)
    assert corrected
    assert risk.item() == pytest.approx(-PRIOR * math.log(0.01) + math.log(0.9), rel=1e-4)


def test_given_background_forces_the_correction(logits):
    """Where the running background risk is negative, descent follows π'·R_P⁻ - R_U⁻: the other way for both sets."""
    positive, unlabelled = logits(*POSITIVE), logits(*UNLABELLED)
    risk, corrected = nnpu_risk(positive, unlabelled, PRIOR, background=-1e-6)
    risk.backward()
    assert corrected
    assert float(risk.detach()) == pytest.approx(PRIOR * P_MINUS - U_MINUS, rel=1e-5)
    assert positive.grad.tolist() == pytest.approx([PRIOR * 0.8 / 2, PRIOR * 0.5 / 2], rel=1e-5)
    assert unlabelled.grad.tolist() == pytest.approx([-p / 3 for p in UNLABELLED], rel=1e-5)


def test_given_background_forces_the_usual_branch(logits):
    positive, unlabelled = logits(0.99), logits(0.1)
    risk, corrected = nnpu_risk(positive, unlabelled, PRIOR, background=0.0)
    risk.backward()
    assert not corrected
    assert positive.grad.tolist() == pytest.approx([-PRIOR], rel=1e-4)
    assert unlabelled.grad.tolist() == pytest.approx([0.1], rel=1e-4)


def test_gamma_scales_both_positive_terms(logits):
    risk, _ = nnpu_risk(logits(*POSITIVE), logits(*UNLABELLED), PRIOR, scale=1.2)
    assert risk.item() == pytest.approx(1.2 * PRIOR * (P_PLUS - P_MINUS) + U_MINUS, rel=1e-5)


def test_background_risk(logits):
    assert background_risk(logits(*POSITIVE), logits(*UNLABELLED), PRIOR, 1.2) == pytest.approx(
        U_MINUS - 1.2 * PRIOR * P_MINUS, rel=1e-5
    )


@pytest.mark.parametrize("background", [None, 1.0, -1.0])
def test_without_positives_their_terms_are_left_out(logits, nothing, background):
    unlabelled = logits(*UNLABELLED)
    risk, corrected = nnpu_risk(nothing, unlabelled, PRIOR, background=background)
    risk.backward()
    assert not corrected
    assert float(risk.detach()) == pytest.approx(U_MINUS, rel=1e-5)
    assert unlabelled.grad.tolist() == pytest.approx([p / 3 for p in UNLABELLED], rel=1e-5)
    assert background_risk(nothing, unlabelled, PRIOR) == pytest.approx(U_MINUS, rel=1e-5)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_saturated_logits_are_finite(size):
    positive = torch.full((2,), size, requires_grad=True)
    unlabelled = torch.full((2,), -size, requires_grad=True)
    risk, _ = nnpu_risk(positive, unlabelled, PRIOR)
    risk.backward()
    assert all(torch.isfinite(t).all() for t in (risk, positive.grad, unlabelled.grad))
