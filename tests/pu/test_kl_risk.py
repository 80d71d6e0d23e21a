"""The KL-regularised risk, eq. 6 and 7, worked by hand: the mean over U is 0.25, π'' is 0.1."""

import math

import pytest
import torch

from tomopicker.pu.losses import bernoulli_kl, kl_risk, running_mean

POSITIVE, UNLABELLED, PRIOR = (0.8, 0.5), (0.1, 0.25, 0.4), 0.1
P_PLUS = -(math.log(0.8) + math.log(0.5)) / 2
KL = {
    "model-prior": 0.25 * math.log(0.25 / 0.1) + 0.75 * math.log(0.75 / 0.9),
    "prior-model": 0.1 * math.log(0.1 / 0.25) + 0.9 * math.log(0.9 / 0.75),
}
SLOPE = {  # of the divergence in the mean over U
    "model-prior": math.log(0.25 / 0.1) - math.log(0.75 / 0.9),
    "prior-model": -0.1 / 0.25 + 0.9 / 0.75,
}
DIRECTIONS = ["model-prior", "prior-model"]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_value_and_gradient(logits, direction):
    positive, unlabelled = logits(*POSITIVE), logits(*UNLABELLED)
    risk = kl_risk(positive, unlabelled, PRIOR, scale=3.0, weight=2.0, direction=direction)
    risk.backward()
    assert float(risk.detach()) == pytest.approx(3 * P_PLUS + 2 * KL[direction], rel=1e-5)
    assert positive.grad.tolist() == pytest.approx([3 * (0.8 - 1) / 2, 3 * (0.5 - 1) / 2], rel=1e-5)
    expected = [2 * SLOPE[direction] * p * (1 - p) / 3 for p in UNLABELLED]
    assert unlabelled.grad.tolist() == pytest.approx(expected, rel=1e-4)


def test_the_directions_differ():
    assert KL["model-prior"] != pytest.approx(KL["prior-model"], rel=0.1)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_nothing_to_gain_at_equality(logits, nothing, direction, share):
    unlabelled = logits(share, share)
    risk = kl_risk(nothing, unlabelled, share, direction=direction)
    risk.backward()
    assert float(risk.detach()) == pytest.approx(0, abs=1e-6)
    assert unlabelled.grad.tolist() == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("share", "sign"), [(0.01, -1), (0.4, 1)])
def test_descent_goes_towards_the_prior(logits, nothing, direction, share, sign):
    unlabelled = logits(share)
    kl_risk(nothing, unlabelled, PRIOR, direction=direction).backward()
    assert math.copysign(1, unlabelled.grad.item()) == sign


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_running_expectation_moves_the_value_and_gradients_flow_through_the_batch(logits, nothing, direction):
    unlabelled = logits(*UNLABELLED)
    risk = kl_risk(nothing, unlabelled, PRIOR, direction=direction, expectation=0.05)
    risk.backward()
    value, slope = {
        "model-prior": (
            0.05 * math.log(0.05 / 0.1) + 0.95 * math.log(0.95 / 0.9),
            math.log(0.05 / 0.1) - math.log(0.95 / 0.9),
        ),
        "prior-model": (0.1 * math.log(0.1 / 0.05) + 0.9 * math.log(0.9 / 0.95), -0.1 / 0.05 + 0.9 / 0.95),
    }[direction]
    assert float(risk.detach()) == pytest.approx(value, rel=1e-4)
    assert unlabelled.grad.tolist() == pytest.approx([slope * p * (1 - p) / 3 for p in UNLABELLED], rel=1e-4)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_without_positives_their_term_is_left_out(logits, nothing, direction):
    risk = kl_risk(nothing, logits(*UNLABELLED), PRIOR, weight=2.0, direction=direction)
    assert float(risk.detach()) == pytest.approx(2 * KL[direction], rel=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", [-1e4, -90, -87, -60, -45, -20, 16, 17, 20, 60, 1e4])
def test_saturated_logits_are_finite(direction, size):
    positive = torch.full((2,), -float(size), requires_grad=True)
    unlabelled = torch.full((2,), float(size), requires_grad=True)
    risk = kl_risk(positive, unlabelled, 0.004, direction=direction)
    risk.backward()
    assert all(torch.isfinite(t).all() for t in (risk, positive.grad, unlabelled.grad))


def test_gradient_far_below_the_prior():
    """KL(π'' ‖ m) falls by π''/m a unit of m, and m rises by m a unit of logit: together π'', over two voxels."""
    unlabelled = torch.full((2,), -60.0, requires_grad=True)
    kl_risk(torch.empty(0), unlabelled, 0.004, direction="prior-model").backward()
    assert unlabelled.grad.tolist() == pytest.approx([-0.002, -0.002], rel=1e-4)


@pytest.mark.parametrize(("p", "q"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1.0, 1.0)])
def test_divergence_at_the_ends_is_finite(p, q):
    value = float(bernoulli_kl(torch.tensor(p), torch.tensor(q)))
    assert math.isfinite(value)
    assert value == pytest.approx(0, abs=1e-6) if p == q else value > 1


def test_running_mean():
    assert running_mean(None, 0.3, 0.9) == 0.3
    assert running_mean(float("nan"), 0.3, 0.9) == 0.3
    assert running_mean(0.5, 0.3, 0.9) == pytest.approx(0.48)
    assert running_mean(0.5, 0.3, 0.0) == 0.3
