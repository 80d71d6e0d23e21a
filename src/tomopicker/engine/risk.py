"""The objective as the training loop uses it: picks voxels out of a batch, keeps running means, gives the risk."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tomopicker import config
from tomopicker.pu import objectives
from tomopicker.pu.prior import Priors


@dataclass(frozen=True)
class Risk:
    """An objective with its priors and what it remembers of earlier batches.

    Parameters
    ----------
    objective : config.Objective
        Kind and knobs.
    priors : Priors, optional
        Left out while they are not known: balanced PN of the cross-entropy, which needs none, then stands in.
    remembered : float, optional
        Running mean of E_U[f] (KL, Dist-PU) or of the background risk (PU).
    """

    objective: config.Objective
    priors: Priors | None
    remembered: float | None = None

    def __call__(
        self,
        logits: Float[Tensor, "batch z y x"],
        positive: Bool[Tensor, "batch z y x"],
        unlabelled: Bool[Tensor, "batch z y x"],
        negative: Bool[Tensor, "batch z y x"] | None = None,
    ) -> tuple[Float[Tensor, ""], "Risk"]:
        """Give the risk of a batch, and the risk function to use for the next.

        Voxels known to be background cost w·c·γ·E_N[L(f, 0)] on top of the objective, with w the setting
        `negative_weight` and c·γ what the objective's own positive term weighs: a proper negative against a proper
        positive, whatever the prior.
        """
        p, u = logits[positive].float(), logits[unlabelled].float()
        scale = objectives.gamma(self.objective.gamma, p.numel(), logits.numel(), len(logits))
        risk, following = self._of(p, u, scale)
        if risk is None:
            risk = logits.float().sum() * 0
        if negative is not None and self.objective.negative_weight and bool(negative.any()):
            cost = objectives.negative_cost(logits[negative].float(), self._loss)
            risk = risk + self.objective.negative_weight * self._positive_weight * scale * cost
        return risk, following

    def _of(self, p: objectives.Logits, u: objectives.Logits, scale: float) -> tuple[Float[Tensor, ""] | None, "Risk"]:
        """The objective of eq. 1, 5 or 6, or Dist-PU; None where the batch says nothing."""
        knobs, loss = self.objective, self._loss
        if not u.numel():  # Nothing to say about the unlabelled, and no risk to weigh the positive against.
            return (scale * objectives.positive_cost(p, loss) if p.numel() else None), self
        if self.priors is None or knobs.loss == "pn":
            return objectives.pn_risk(p, u, self._positive_weight, scale, loss), self
        if knobs.loss == "pu":
            expected = self.priors.expected
            seen = objectives.background_risk(p, u, expected, scale, loss) if p.numel() else None
            mean = self.remembered if seen is None else self._remember(seen)
            risk, _ = objectives.nnpu_risk(p, u, expected, scale, mean, loss)
            return risk, replace(self, remembered=mean)
        prior, mean = self.priors.unlabelled, self._remember(float(torch.sigmoid(u.detach()).mean()))
        if knobs.loss == "distpu":
            risk = objectives.distpu_risk(p, u, prior, scale, knobs.entropy_weight, mean, balanced=knobs.balanced)
        else:
            risk = objectives.kl_risk(p, u, prior, scale, knobs.kl_weight, knobs.kl_direction, mean, loss)
        return risk, replace(self, remembered=mean)

    def _remember(self, value: float) -> float:
        return objectives.running_mean(self.remembered, value, self.objective.prior_momentum)

    @property
    def _loss(self) -> str:
        if self.priors is None:
            return "logistic"
        return "sigmoid" if self.objective.loss == "distpu" else self.objective.surrogate

    @property
    def _positive_weight(self) -> float:
        """What the objective's positive term weighs, γ aside: π or 1/2, π', 1, 2·π'' or 1."""
        kind, balanced = self.objective.loss, self.objective.balanced
        if self.priors is None or (kind == "pn" and balanced):
            return 0.5
        return {
            "pn": self.priors.labelled,
            "pu": self.priors.expected,
            "kl": 1.0,
            "distpu": 1.0 if balanced else 2 * self.priors.unlabelled,
        }[kind]
