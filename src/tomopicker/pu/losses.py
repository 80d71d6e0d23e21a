"""The losses of section 3.2 (PN, non-negative PU, KL) and Dist-PU, and the loss that the settings select.

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
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from tomopicker.config import Objective
from tomopicker.pu.prior import Priors

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


@dataclass(frozen=True)
class PULoss:
    """The loss that the settings select, with its class priors and its running mean over batches.

    Parameters
    ----------
    cfg : Objective
    priors : Priors
        Priors that the loss does not use may be NaN.
    running_mean : float, optional
        Running mean of E_U[f] (KL, Dist-PU) or of the background risk (PU) over earlier batches.
    """

    cfg: Objective
    priors: Priors
    running_mean: float | None = None

    def __call__(
        self,
        logits: Float[Tensor, "batch z y x"],
        positive: Bool[Tensor, "batch z y x"],
        unlabelled: Bool[Tensor, "batch z y x"],
        negative: Bool[Tensor, "batch z y x"] | None = None,
    ) -> tuple[Scalar, "PULoss"]:
        """Return the loss of a batch, and the loss function for the next.

        Known background voxels add w·c·γ·E_N[L(f, 0)] to the selected loss, with w the setting `negative_weight` and
        c·γ the weight of the positive term: a negative has the weight of a positive, regardless of the prior.
        """
        p, u = logits[positive].float(), logits[unlabelled].float()
        scale = gamma(self.cfg.gamma, p.numel(), logits.numel(), len(logits))
        if u.numel():
            loss, mean = self._chosen(p, u, scale)
        else:  # Without unlabelled voxels only the positive term remains, if any.
            mean, loss = self.running_mean, logits.float().sum() * 0
            if p.numel():
                loss = scale * positive_cost(p, self._surrogate)
        if negative is not None and self.cfg.negative_weight and bool(negative.any()):
            cost = negative_cost(logits[negative].float(), self._surrogate)
            loss = loss + self.cfg.negative_weight * self._positive_weight * scale * cost
        return loss, replace(self, running_mean=mean)

    def _chosen(self, p: Logits, u: Logits, scale: float) -> tuple[Scalar, float | None]:
        """Return the risk of eq. 1, 5, 6 or Dist-PU, and the new running mean."""
        cfg, mean = self.cfg, self.running_mean
        if cfg.loss == "pn":
            return pn_risk(p, u, self._positive_weight, scale, self._surrogate), mean
        if cfg.loss == "pu":
            prior = self.priors.expected
            if p.numel():
                mean = running_mean(mean, background_risk(p, u, prior, scale, cfg.surrogate), cfg.prior_momentum)
            return nnpu_risk(p, u, prior, scale, mean, cfg.surrogate)[0], mean
        prior = self.priors.unlabelled
        mean = running_mean(mean, float(torch.sigmoid(u.detach()).mean()), cfg.prior_momentum)
        if cfg.loss == "distpu":
            return distpu_risk(p, u, prior, scale, cfg.entropy_weight, mean, balanced=cfg.balanced), mean
        return kl_risk(p, u, prior, scale, cfg.kl_weight, cfg.kl_direction, mean, cfg.surrogate), mean

    @property
    def _surrogate(self) -> str:
        return "sigmoid" if self.cfg.loss == "distpu" else self.cfg.surrogate

    @property
    def _positive_weight(self) -> float:
        """Weight of the loss's positive term, without γ: π or 1/2, π', 1, 2·π'' or 1."""
        kind, balanced = self.cfg.loss, self.cfg.balanced
        if kind == "pn" and balanced:
            return 0.5
        return {
            "pn": self.priors.labelled,
            "pu": self.priors.expected,
            "kl": 1.0,
            "distpu": 1.0 if balanced else 2 * self.priors.unlabelled,
        }[kind]
