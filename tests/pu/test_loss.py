"""The objective as the loop uses it: which voxels count, priors, empty sets, running means, the three kinds."""

import math
from typing import get_args

import pytest
import torch

from tomopicker.config import LossName, resolve
from tomopicker.pu.objective import LOSSES, PULoss
from tomopicker.pu.prior import Priors

PRIORS = Priors(0.01, 0.2, 0.1)


def objective(kind="pn", **changes):
    settings = {
        "balanced": False,
        "gamma": "none",
        "kl_weight": 1.0,
        "kl_direction": "model-prior",
        "prior_momentum": 0.0,
    }
    return resolve(
        {"preset": "paper", "particle_diameter": 100.0, "objective": settings | {"loss": kind} | changes}
    ).objective


def batch(positive=(), unlabelled=(), ignored=()):
    """Logits of given probabilities in one patch of (1, 1, n), and which of them is what."""
    probabilities = [*positive, *unlabelled, *ignored]
    logits = torch.tensor([math.log(p / (1 - p)) for p in probabilities]).reshape(1, 1, 1, -1).requires_grad_()
    index = torch.arange(len(probabilities)).reshape(1, 1, 1, -1)
    is_positive = index < len(positive)
    return logits, is_positive, ~is_positive & (index < len(positive) + len(unlabelled))


def value(risk, *parts):
    return float(risk(*parts)[0].detach())


P, U = (0.8, 0.5), (0.1, 0.25, 0.4)
P_PLUS = -(math.log(0.8) + math.log(0.5)) / 2
P_MINUS = -(math.log(0.2) + math.log(0.5)) / 2
U_MINUS = -(math.log(0.9) + math.log(0.75) + math.log(0.6)) / 3
DIVERGENCE = 0.25 * math.log(0.25 / 0.1) + 0.75 * math.log(0.75 / 0.9)


def test_each_kind_takes_its_own_prior():
    """Eq. 1 with π = 0.01, eq. 5 with π' = 0.2, eq. 6 with π'' = 0.1."""
    parts = batch(P, U)
    assert value(PULoss(objective("pn"), PRIORS), *parts) == pytest.approx(0.01 * P_PLUS + 0.99 * U_MINUS, rel=1e-5)
    assert value(PULoss(objective("pu"), PRIORS), *parts) == pytest.approx(0.2 * (P_PLUS - P_MINUS) + U_MINUS, rel=1e-5)
    assert value(PULoss(objective("kl"), PRIORS), *parts) == pytest.approx(P_PLUS + DIVERGENCE, rel=1e-5)


def test_dist_pu_takes_the_share_among_the_unlabelled():
    """2·π''·(1 - 0.65) + |0.25 - π''| with π'' = 0.1, then the entropy of U."""
    entropy = sum(-p * math.log(p) - (1 - p) * math.log(1 - p) for p in U) / 3
    for weight in (0.0, 0.5):
        risk = PULoss(objective("distpu", entropy_weight=weight), PRIORS)
        assert value(risk, *batch(P, U)) == pytest.approx(0.22 + weight * entropy, rel=1e-5)
    balanced = PULoss(objective("distpu", entropy_weight=0.0, balanced=True), PRIORS)
    assert value(balanced, *batch(P, U)) == pytest.approx(0.35 + 0.15, rel=1e-5)
    _, second = PULoss(objective("distpu", entropy_weight=0.0, prior_momentum=0.9), PRIORS)(*batch((), U))
    risk, third = second(*batch((), (0.5,)))
    assert third.running_mean == pytest.approx(0.275)
    assert float(risk.detach()) == pytest.approx(0.175, rel=1e-4)


def test_sigmoid_loss():
    """The costs are 0.35 and 0.65 over P, 0.25 over U; the running background risk is of the same loss."""
    parts = batch(P, U)
    assert value(PULoss(objective("pn", surrogate="sigmoid"), PRIORS), *parts) == pytest.approx(
        0.0035 + 0.2475, rel=1e-5
    )
    risk, after = PULoss(objective("pu", surrogate="sigmoid"), PRIORS)(*parts)
    assert float(risk.detach()) == pytest.approx(0.19, rel=1e-5)
    assert after.running_mean == pytest.approx(0.25 - 0.2 * 0.65, rel=1e-5)
    assert value(PULoss(objective("kl", surrogate="sigmoid"), PRIORS), *parts) == pytest.approx(
        0.35 + DIVERGENCE, rel=1e-5
    )


NEGATIVE = (0.3, 0.6)
N_MINUS = -(math.log(0.7) + math.log(0.4)) / 2


@pytest.mark.parametrize(
    ("knobs", "positive_weight", "cost"),
    [
        ({"loss": "pn"}, 0.01, N_MINUS),
        ({"loss": "pn", "balanced": True}, 0.5, N_MINUS),
        ({"loss": "pu"}, 0.2, N_MINUS),
        ({"loss": "pu", "surrogate": "sigmoid"}, 0.2, 0.45),
        ({"loss": "kl"}, 1.0, N_MINUS),
        ({"loss": "distpu"}, 0.2, 0.45),
        ({"loss": "distpu", "balanced": True}, 1.0, 0.45),
    ],
)
def test_known_background_weighs_as_the_positives_do(knobs, positive_weight, cost):
    """On top of the objective: w·c·E_N[L(f, 0)], c the weight of its positive term, w = 0.25."""
    logits, positive, unlabelled = batch(P, U, NEGATIVE)
    negative = ~positive & ~unlabelled
    risk = PULoss(objective(negative_weight=0.25, **knobs), PRIORS)
    without, after = risk(logits, positive, unlabelled)
    with_them, after_them = risk(logits, positive, unlabelled, negative)
    assert (with_them - without).item() == pytest.approx(0.25 * positive_weight * cost, rel=1e-4)
    assert after == after_them
    with_them.backward()
    assert (logits.grad.flatten()[5:] > 0).all()


def test_known_background_without_weight_or_voxels():
    logits, positive, unlabelled = batch(P, U, NEGATIVE)
    negative = ~positive & ~unlabelled
    balanced = (P_PLUS + U_MINUS) / 2
    for weight, which in ((0.0, negative), (0.4, negative & False)):
        risk = PULoss(objective("pn", balanced=True, negative_weight=weight), PRIORS)
        assert value(risk, logits, positive, unlabelled, which) == pytest.approx(balanced, rel=1e-5)


def test_kl_weight_and_direction():
    parts = batch(P, U)
    reverse = 0.1 * math.log(0.1 / 0.25) + 0.9 * math.log(0.9 / 0.75)
    risk = PULoss(objective("kl", kl_weight=3.0, kl_direction="prior-model"), PRIORS)
    assert value(risk, *parts) == pytest.approx(P_PLUS + 3 * reverse, rel=1e-5)


@pytest.mark.parametrize("priors", [PRIORS, Priors(*[math.nan] * 3)], ids=["known", "unknown"])
def test_balanced_pn_needs_no_prior(priors):
    assert value(PULoss(objective("pn", balanced=True), priors), *batch(P, U)) == pytest.approx(
        (P_PLUS + U_MINUS) / 2, rel=1e-5
    )


def test_gamma_counts_this_batch():
    """Two positive voxels in a batch of one patch of 8 voxels: 10·2/8, or 10·2/1."""
    parts = batch(P, U, (0.5, 0.5, 0.5))
    for reading, gamma in (("fraction", 2.5), ("literal", 20)):
        risk = PULoss(objective("pn", gamma=reading), PRIORS)
        assert value(risk, *parts) == pytest.approx(0.01 * gamma * P_PLUS + 0.99 * U_MINUS, rel=1e-5)


@pytest.mark.parametrize("kind", ["pn", "pu", "kl", "distpu"])
def test_ignored_voxels_get_no_gradient(kind):
    logits, positive, unlabelled = batch(P, U, (0.9, 0.01))
    PULoss(objective(kind), PRIORS)(logits, positive, unlabelled)[0].backward()
    gradient = logits.grad.flatten()
    assert gradient[5:].tolist() == [0, 0]
    assert (gradient[:2] < 0).all()


@pytest.mark.parametrize(("kind", "expected"), [("pn", 0.99 * U_MINUS), ("pu", U_MINUS), ("kl", DIVERGENCE)])
def test_batches_without_positives(kind, expected):
    logits, positive, unlabelled = batch((), U)
    risk, _ = PULoss(objective(kind), PRIORS)(logits, positive, unlabelled)
    risk.backward()
    assert float(risk.detach()) == pytest.approx(expected, rel=1e-5)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("kind", ["pn", "kl", "pu", "distpu"])
def test_batches_of_whole_particles_raise_the_scores(kind):
    """Nothing is known of the background: descent may only call the positives more positive."""
    logits, positive, unlabelled = batch(P, ())
    risk, _ = PULoss(objective(kind), PRIORS)(logits, positive, unlabelled)
    risk.backward()
    assert torch.isfinite(risk)
    assert (logits.grad < 0).all()


@pytest.mark.parametrize("kind", ["kl", "pu", "distpu"])
def test_batches_of_whole_particles_leave_the_running_mean(kind):
    _, after = PULoss(objective(kind, prior_momentum=0.9), PRIORS, running_mean=0.15)(*batch(P, ()))
    assert after.running_mean == pytest.approx(0.15)


@pytest.mark.parametrize("kind", ["pn", "kl", "pu", "distpu"])
def test_batches_of_ignored_voxels_can_be_stepped_on(kind):
    """A block within a shell: no gradient, no error."""
    logits, positive, unlabelled = batch((), (), (0.5, 0.5))
    risk, _ = PULoss(objective(kind), PRIORS)(logits, positive, unlabelled)
    risk.backward()
    assert math.isfinite(float(risk.detach()))
    assert logits.grad is None or not logits.grad.any()


def test_running_mean_of_the_expectation():
    """0.25, then 0.9·0.25 + 0.1·0.5: the divergence is taken there, not at this batch's 0.5."""
    first = PULoss(objective("kl", prior_momentum=0.9), PRIORS)
    _, second = first(*batch((), U))
    assert first.running_mean is None
    assert second.running_mean == pytest.approx(0.25)
    risk, third = second(*batch((), (0.5,)))
    assert third.running_mean == pytest.approx(0.275)
    expected = 0.275 * math.log(0.275 / 0.1) + 0.725 * math.log(0.725 / 0.9)
    assert float(risk.detach()) == pytest.approx(expected, rel=1e-4)


def test_running_background_risk_chooses_the_branch():
    """One batch with a negative background risk does not turn the descent round while the mean is positive."""
    odd = batch((0.99,), (0.1,))  # R_U⁻ - π'·R_P⁻ = 0.105 - 0.921 = -0.816
    background = -math.log(0.9) + 0.2 * math.log(0.01)
    usual = 0.2 * (-math.log(0.99) + math.log(0.01)) - math.log(0.9)
    alone, _ = PULoss(objective("pu"), PRIORS)(*odd)
    assert float(alone.detach()) == pytest.approx(-background, rel=1e-4)
    risk, after = PULoss(objective("pu", prior_momentum=0.9), PRIORS, running_mean=0.3)(*odd)
    assert float(risk.detach()) == pytest.approx(usual, rel=1e-4)
    assert after.running_mean == pytest.approx(0.27 + 0.1 * background, rel=1e-4)
    turned, _ = PULoss(objective("pu", prior_momentum=0.9), PRIORS, running_mean=0.01)(*odd)
    assert float(turned.detach()) == pytest.approx(-background, rel=1e-4)


def test_batches_without_positives_leave_the_background_risk():
    _, after = PULoss(objective("pu", prior_momentum=0.9), PRIORS, running_mean=0.3)(*batch((), U))
    assert after.running_mean == 0.3


def test_without_memory_each_batch_stands_alone():
    _, after = PULoss(objective("kl", prior_momentum=0.0), PRIORS, running_mean=0.9)(*batch((), U))
    assert after.running_mean == pytest.approx(0.25)


def test_bfloat16_logits_are_summed_in_float32():
    """A mean of a hundred thousand voxels at 0.004 would be far off in bfloat16."""
    logits = torch.full((1, 1, 1, 100_000), -5.5, dtype=torch.bfloat16)
    everywhere = torch.ones(logits.shape, dtype=torch.bool)
    _, after = PULoss(objective("kl"), PRIORS)(logits, ~everywhere, everywhere)
    assert after.running_mean == pytest.approx(1 / (1 + math.exp(5.5)), rel=1e-3)


def test_every_loss_of_the_settings_has_a_row():
    assert set(LOSSES) == set(get_args(LossName))
