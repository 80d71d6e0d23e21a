"""The losses of section 3.2 (PN, non-negative PU, KL) and Dist-PU, as functions of logits.

All losses share these parameters; each docstring describes only additional ones:

positive, unlabelled : Logits
    Flat logits of the voxels in P and in U, selected by the caller. Without positive voxels, the positive terms are
    left out.
prior : float
    The class prior.
scale : float
    γ, the scale of the positive terms; see `gamma`.
loss : {"logistic", "sigmoid"}
    The surrogate; see `positive_cost`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

Logits = Float[Tensor, " _"]
Scalar = Float[Tensor, ""]


def gamma(reading: str, positive_voxels: int, batch_voxels: int, batch_patches: int) -> float:
    """Scale of the positive terms, γ = 10·|P|/bs of section 3.3, in one of its readings.

    Parameters
    ----------
    reading : {"none", "fraction", "literal"}
        1; 10·|P_b| over the number of voxels in the batch; 10·|P_b| over the number of patches, as in the text.
    positive_voxels, batch_voxels, batch_patches : int
        Counts in this batch.
    """
    if reading == "none" or positive_voxels == 0:
        return 1.0
    return 10 * positive_voxels / (batch_voxels if reading == "fraction" else batch_patches)


def positive_cost(logits: Logits, loss: str = "logistic") -> Scalar:
    """Return E[L(f(x), 1)] of eq. 3: the mean cost of classifying voxels as particle.

    Parameters
    ----------
    logits : Logits
        At least one voxel.
    loss : {"logistic", "sigmoid"}
        The paper's cross-entropy, -log f, or the bounded sigmoid loss, 1 - f (used in the nnPU experiments of Kiryo et
        al., NeurIPS 2017).
    """
    return (softplus(-logits) if loss == "logistic" else torch.sigmoid(-logits)).mean()


def negative_cost(logits: Logits, loss: str = "logistic") -> Scalar:
    """Return E[L(f(x), 0)] of eq. 3: the mean cost of classifying voxels as background; see `positive_cost`."""
    return (softplus(logits) if loss == "logistic" else torch.sigmoid(logits)).mean()


def pn_risk(positive: Logits, unlabelled: Logits, prior: float, scale: float = 1.0, loss: str = "logistic") -> Scalar:
    """Return the PN risk, eq. 1: unlabelled voxels count as background; π of eq. 2, or 1/2 to balance."""
    risk = (1 - prior) * negative_cost(unlabelled, loss)
    if positive.numel():
        risk = risk + prior * scale * positive_cost(positive, loss)
    return risk


def nnpu_risk(
    positive: Logits,
    unlabelled: Logits,
    prior: float,
    scale: float = 1.0,
    background: float | None = None,
    loss: str = "logistic",
) -> tuple[Scalar, bool]:
    """Return the non-negative PU risk, eq. 4 and 5, with its two gradient branches.

    If the background risk R_U⁻ - π'·R_P⁻ is not negative, the value is eq. 5; otherwise it is π'·R_P⁻ - R_U⁻, whose
    descent reverses the overfitting.

    Parameters
    ----------
    prior : float
        π' of eq. 4.
    background : float, optional
        Background risk that selects the branch, such as a running mean; that of this batch if left out.

    Returns
    -------
    risk : scalar
        Value to minimise.
    corrected : bool
        True in the second branch.
    """
    unlabelled_negative = negative_cost(unlabelled, loss)
    if not positive.numel():
        return unlabelled_negative, False
    positive_negative = prior * scale * negative_cost(positive, loss)
    difference = unlabelled_negative - positive_negative
    if (float(difference.detach()) if background is None else background) >= 0:
        return prior * scale * positive_cost(positive, loss) + difference, False
    return -difference, True


def background_risk(
    positive: Logits, unlabelled: Logits, prior: float, scale: float = 1.0, loss: str = "logistic"
) -> float:
    """Return R_U⁻ - π'·R_P⁻ of one batch, whose sign selects the branch of `nnpu_risk`."""
    risk = negative_cost(unlabelled.detach(), loss)
    if positive.numel():
        risk = risk - prior * scale * negative_cost(positive.detach(), loss)
    return float(risk)


def bernoulli_kl(p: Scalar, q: Scalar) -> Scalar:
    """Return KL(p ‖ q) of eq. 7 between two Bernoulli distributions; finite for probabilities 0 and 1."""
    tiny = torch.finfo(torch.float32).tiny
    p, q = p.clamp(tiny, 1 - 1e-7), q.clamp(tiny, 1 - 1e-7)
    # Not the logarithm of p / q: its gradient overflows where q is tiny.
    return p * (p.log() - q.log()) + (1 - p) * (torch.log1p(-p) - torch.log1p(-q))


def kl_risk(
    positive: Logits,
    unlabelled: Logits,
    prior: float,
    scale: float = 1.0,
    weight: float = 1.0,
    direction: str = "model-prior",
    expectation: float | None = None,
    loss: str = "logistic",
) -> Scalar:
    """Return the KL-regularised risk, eq. 6, which keeps the mean score over U at the prior.

    Parameters
    ----------
    prior : float
        π'' of eq. 8.
    weight : float
        λ.
    direction : {"model-prior", "prior-model"}
        Direction of the divergence: KL(E_U[f] ‖ π''), or KL(π'' ‖ E_U[f]).
    expectation : float, optional
        Value of E_U[f] at which the divergence is evaluated, such as a running mean; the gradient is this batch's.
    loss : {"logistic", "sigmoid"}
        Surrogate of the positive term; see `positive_cost`.
    """
    mean = _mean_score(unlabelled, expectation)
    target = torch.full_like(mean, prior)
    divergence = bernoulli_kl(mean, target) if direction == "model-prior" else bernoulli_kl(target, mean)
    risk = weight * divergence
    if positive.numel():
        risk = risk + scale * positive_cost(positive, loss)
    return risk


def distpu_risk(
    positive: Logits,
    unlabelled: Logits,
    prior: float,
    scale: float = 1.0,
    entropy_weight: float = 0.0,
    expectation: float | None = None,
    *,
    balanced: bool = False,
) -> Scalar:
    """Return the Dist-PU risk, which keeps the mean scores of P and of U at their expected values.

    2·π·|E_P[f] - 1| + |E_U[f] - π| + μ·E_U[H(f)], label distribution alignment with entropy minimisation (Zhao et al.,
    CVPR 2022; their warm-up and mixup are left out). H is the entropy in nat, which keeps all scores from sitting at π.

    Parameters
    ----------
    prior : float
        π, the fraction of positives in U.
    entropy_weight : float
        μ.
    expectation : float, optional
        As for `kl_risk`.
    balanced : bool
        Use 1 in place of the factor 2·π of the positive term. With a particle in a few hundred voxels the positive term
        would otherwise be hundreds of times weaker than the others, and all scores would go to 0.
    """
    # The entropy of f = σ(s) is softplus(s) - s·f, which neither overflows nor takes the logarithm of 0.
    entropy = (softplus(unlabelled) - unlabelled * torch.sigmoid(unlabelled)).mean()
    risk = (_mean_score(unlabelled, expectation) - prior).abs() + entropy_weight * entropy
    if positive.numel():
        risk = risk + (1.0 if balanced else 2 * prior) * scale * positive_cost(positive, "sigmoid")
    return risk


def _mean_score(logits: Logits, expectation: float | None) -> Scalar:
    """Return E[f] with the value of `expectation`, if given, and the gradient of this batch."""
    mean = torch.sigmoid(logits).mean()
    return mean if expectation is None else mean + (expectation - mean.detach())


def running_mean(previous: float | None, value: float, momentum: float) -> float:
    """Update an exponential running mean with the value of a batch; the first batch initialises it."""
    return value if previous is None or math.isnan(previous) else momentum * previous + (1 - momentum) * value
