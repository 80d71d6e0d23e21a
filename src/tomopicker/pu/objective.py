"""The table of losses, and the loss that the settings select, with its priors and its running mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tomopicker.config import LossName, Objective
from tomopicker.pu.losses import (
    Logits,
    Scalar,
    background_risk,
    distpu_risk,
    gamma,
    kl_risk,
    negative_cost,
    nnpu_risk,
    pn_risk,
    positive_cost,
    running_mean,
)
from tomopicker.pu.prior import Priors


@dataclass(frozen=True)
class Loss:
    """A row of the table of losses.

    Parameters
    ----------
    title : str
        Name in words.
    risk : callable
        From a `PULoss`, the logits of P and of U, and γ to the risk and the new running mean.
    positive_weight : callable
        From a `PULoss` to the weight of the positive term, without γ.
    needs_count : bool
        True if its class prior requires the expected number of particles.
    surrogate : str or None
        Loss of a voxel; None: that of the settings.
    """

    title: str
    risk: Callable[["PULoss", Logits, Logits, float], tuple[Scalar, float | None]]
    positive_weight: Callable[["PULoss"], float]
    needs_count: bool = True
    surrogate: str | None = None


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
        selected, p, u = LOSSES[self.cfg.loss], logits[positive].float(), logits[unlabelled].float()
        scale = gamma(self.cfg.gamma, p.numel(), logits.numel(), len(logits))
        if u.numel():
            loss, mean = selected.risk(self, p, u, scale)
        else:  # Without unlabelled voxels only the positive term remains, if any.
            mean, loss = self.running_mean, logits.float().sum() * 0
            if p.numel():
                loss = scale * positive_cost(p, self.surrogate)
        if negative is not None and self.cfg.negative_weight and bool(negative.any()):
            cost = negative_cost(logits[negative].float(), self.surrogate)
            loss = loss + self.cfg.negative_weight * selected.positive_weight(self) * scale * cost
        return loss, replace(self, running_mean=mean)

    @property
    def surrogate(self) -> str:
        """Loss of a voxel; see `positive_cost`."""
        return LOSSES[self.cfg.loss].surrogate or self.cfg.surrogate

    def mean_score(self, u: Logits) -> float:
        """Return the running mean of E_U[f], updated with a batch."""
        return running_mean(self.running_mean, float(torch.sigmoid(u.detach()).mean()), self.cfg.prior_momentum)


def _pn_weight(loss: PULoss) -> float:
    return 0.5 if loss.cfg.balanced else loss.priors.labelled


def _pn(loss: PULoss, p: Logits, u: Logits, scale: float) -> tuple[Scalar, float | None]:
    return pn_risk(p, u, _pn_weight(loss), scale, loss.surrogate), loss.running_mean


def _pu(loss: PULoss, p: Logits, u: Logits, scale: float) -> tuple[Scalar, float | None]:
    prior, mean = loss.priors.expected, loss.running_mean
    if p.numel():
        mean = running_mean(mean, background_risk(p, u, prior, scale, loss.surrogate), loss.cfg.prior_momentum)
    return nnpu_risk(p, u, prior, scale, mean, loss.surrogate)[0], mean


def _kl(loss: PULoss, p: Logits, u: Logits, scale: float) -> tuple[Scalar, float | None]:
    cfg, mean = loss.cfg, loss.mean_score(u)
    return kl_risk(p, u, loss.priors.unlabelled, scale, cfg.kl_weight, cfg.kl_direction, mean, loss.surrogate), mean


def _distpu(loss: PULoss, p: Logits, u: Logits, scale: float) -> tuple[Scalar, float | None]:
    cfg, mean = loss.cfg, loss.mean_score(u)
    return distpu_risk(p, u, loss.priors.unlabelled, scale, cfg.entropy_weight, mean, balanced=cfg.balanced), mean


LOSSES: Mapping[LossName, Loss] = {
    "pn": Loss("positive-negative loss (pn)", _pn, _pn_weight, needs_count=False),
    "pu": Loss("non-negative positive-unlabelled loss (pu)", _pu, lambda loss: loss.priors.expected),
    "kl": Loss("KL-regularised loss (kl)", _kl, lambda loss: 1.0),
    "distpu": Loss(
        "Dist-PU loss (distpu)",
        _distpu,
        lambda loss: 1.0 if loss.cfg.balanced else 2 * loss.priors.unlabelled,
        surrogate="sigmoid",
    ),
}
"""Every loss that the setting `objective.loss` accepts."""
