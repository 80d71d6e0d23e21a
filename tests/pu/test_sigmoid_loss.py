"""The sigmoid loss in nnPU, PN and KL, by hand: over P, 1 - f is 0.35 and f 0.65 in the mean; over U, f is 0.25."""

import pytest
import torch

from tomopicker.pu.losses import background_risk, kl_risk, negative_cost, nnpu_risk, pn_risk, positive_cost

POSITIVE, UNLABELLED, PRIOR = (0.8, 0.5), (0.1, 0.25, 0.4), 0.2


def test_costs(logits):
    assert positive_cost(logits(*POSITIVE), "sigmoid").item() == pytest.approx(0.35)
    assert negative_cost(logits(*POSITIVE), "sigmoid").item() == pytest.approx(0.65)
    assert negative_cost(logits(*UNLABELLED), "sigmoid").item() == pytest.approx(0.25)


def test_nnpu(logits):
    """0.2·(0.35 - 0.65) + 0.25; a voxel pulls by f·(1 - f), a positive one twice."""
    positive, unlabelled = logits(*POSITIVE), logits(*UNLABELLED)
    risk, corrected = nnpu_risk(positive, unlabelled, PRIOR, loss="sigmoid")
    risk.backward()
    assert not corrected
    assert float(risk.detach()) == pytest.approx(0.19, rel=1e-5)
    assert positive.grad.tolist() == pytest.approx([-0.032, -0.05], rel=1e-5)
    assert unlabelled.grad.tolist() == pytest.approx([0.03, 0.0625, 0.08], rel=1e-5)


def test_nnpu_corrects_itself(logits):
    """Background risk 0.1 - 0.2·0.99 = -0.098: descent follows its negative."""
    positive, unlabelled = logits(0.99), logits(0.1)
    risk, corrected = nnpu_risk(positive, unlabelled, PRIOR, loss="sigmoid")
    risk.backward()
    assert corrected
    assert float(risk.detach()) == pytest.approx(0.098, rel=1e-4)
    assert positive.grad.tolist() == pytest.approx([0.2 * 0.99 * 0.01], rel=1e-4)
    assert unlabelled.grad.tolist() == pytest.approx([-0.09], rel=1e-5)
    assert background_risk(positive, unlabelled, PRIOR, loss="sigmoid") == pytest.approx(-0.098, rel=1e-4)


def test_pn(logits):
    risk = pn_risk(logits(*POSITIVE), logits(*UNLABELLED), 0.25, scale=2.0, loss="sigmoid")
    assert risk.item() == pytest.approx(0.25 * 2 * 0.35 + 0.75 * 0.25, rel=1e-5)


def test_kl_has_it_in_the_positive_term_alone(logits):
    parts = logits(*POSITIVE), logits(*UNLABELLED)
    difference = kl_risk(*parts, 0.1, loss="sigmoid") - kl_risk(logits(), parts[1], 0.1)
    assert difference.item() == pytest.approx(0.35, rel=1e-4)


def test_a_hopeless_voxel_costs_one_at_most():
    wrong = torch.tensor([-1e4], requires_grad=True)
    cost = positive_cost(wrong, "sigmoid")
    cost.backward()
    assert float(cost.detach()) == pytest.approx(1)
    assert wrong.grad.tolist() == [0]
