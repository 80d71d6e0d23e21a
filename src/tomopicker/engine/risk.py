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
        Left out while they are not known: balanced PN, which needs none, then stands in.
    remembered : float, optional
        Running mean of E_U[f] (KL) or of the background risk (PU).
    """

    objective: config.Objective
    priors: Priors | None
    remembered: float | None = None

    def __call__(
        self,
        logits: Float[Tensor, "batch z y x"],
        positive: Bool[Tensor, "batch z y x"],
        unlabelled: Bool[Tensor, "batch z y x"],
    ) -> tuple[Float[Tensor, ""], "Risk"]:
        """Give the risk of a batch, and the risk function to use for the next."""
        p, u = logits[positive].float(), logits[unlabelled].float()
        knobs = self.objective
        scale = objectives.gamma(knobs.gamma, p.numel(), logits.numel(), len(logits))
        if not u.numel():  # Nothing to say about the unlabelled, and no risk to weigh the positive against.
            return (scale * objectives.positive_cost(p) if p.numel() else logits.float().sum() * 0), self
        if knobs.kind == "pn" or self.priors is None:
            prior = 0.5 if knobs.balanced or self.priors is None else self.priors.labelled
            return objectives.pn_risk(p, u, prior, scale), self
        if knobs.kind == "pu":
            seen = objectives.background_risk(p, u, self.priors.expected, scale) if p.numel() else self.remembered
            mean = (
                self.remembered if seen is None else objectives.running_mean(self.remembered, seen, knobs.running_mean)
            )
            risk, _ = objectives.nnpu_risk(p, u, self.priors.expected, scale, mean)
            return risk, replace(self, remembered=mean)
        mean = objectives.running_mean(self.remembered, float(torch.sigmoid(u.detach()).mean()), knobs.running_mean)
        risk = objectives.kl_risk(p, u, self.priors.unlabelled, scale, knobs.kl_weight, knobs.kl_direction, mean)
        return risk, replace(self, remembered=mean)
