"""The closed-form discriminant of `fewshot.discriminant`, differentiable, with a learned shrinkage, and its loss.

With μ and Σ the mean and covariance of a scene's features, m the mean feature at the clicks and C the channels,

    w = (Σ + λ·tr(Σ)/C·1)⁻¹ (m - μ),    score = (f - median)·w / scale,

the scale such that the quartiles of the scene's scores lie 0.6 apart. w is also, up to a factor, the ridge regression
of a label that is 1 at the clicks: a solver in closed form inside the loss, as in R2-D2 (Bertinetto, Henriques, Torr
and Vedaldi, ICLR 2019), where λ is learned with the features. Gradients pass through m, μ, Σ, the solution and the
quartiles.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from tomopicker.fewshot.discriminant import QUARTILES
from tomopicker.models.discriminant import SHRINKAGE

INITIAL_SCALE, INITIAL_BIAS = 1.5, -6.0
"""Initial logit of a score s, scale · s + bias; about what fits the shipped weights."""

Rows = Float[Tensor, "rows channels"]
Channels = Float[Tensor, " channels"]


class Solver(nn.Module):
    """Scores scenes by the discriminant of clicks; its parameters are learned with the features.

    The shrinkage λ and the scale of the logits are stored as logarithms.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_shrinkage = nn.Parameter(torch.tensor(SHRINKAGE).log())
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_SCALE).log())
        self.bias = nn.Parameter(torch.tensor(INITIAL_BIAS))

    @property
    def shrinkage(self) -> Tensor:
        """λ."""
        return self.log_shrinkage.exp()

    def scores(self, features: Rows, clicked: Channels) -> Float[Tensor, " rows"]:
        """Score the rows of a scene, given the mean feature of the clicks."""
        weights, bias = solve(features, clicked, self.shrinkage)
        return features @ weights + bias

    def loss(self, scores: Float[Tensor, " rows"], labels: Int64[Tensor, " rows"]) -> Tensor:
        """Return the summed cross-entropy of all labelled rows, per positive row.

        Positive and negative rows have equal weights, so that a false peak costs as much as a missed copy, which
        optimises F1 rather than balanced accuracy. Labels of -1 are ignored.
        """
        is_labelled = labels >= 0
        targets = labels[is_labelled].to(scores.dtype)
        logits = self.log_scale.exp() * scores[is_labelled] + self.bias
        total = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return total / targets.sum().clamp(min=1.0)


def solve(features: Rows, clicked: Channels, shrinkage: Tensor) -> tuple[Channels, Float[Tensor, ""]]:
    """Return weights and bias of the discriminant in a scene.

    Parameters
    ----------
    features : tensor, shape (rows, channels)
        Features of the whole scene.
    clicked : tensor, shape (channels,)
        Mean feature at the clicks.
    shrinkage : tensor
        λ.

    Returns
    -------
    weights : tensor, shape (channels,)
    bias : tensor
        Both of the features' dtype, but solved in double precision.
    """
    mean = features.mean(dim=0)
    centred = features - mean
    covariance = (centred.T @ centred).double() / len(features)
    ridge = (shrinkage.double() * covariance.diagonal().mean()).clamp(min=1e-12)
    identity = torch.eye(len(mean), dtype=torch.float64, device=features.device)
    weights = torch.linalg.solve(covariance + ridge * identity, (clicked - mean).double()).to(features.dtype)
    scores = features @ weights
    low, median, high = torch.quantile(scores, scores.new_tensor([0.25, 0.5, 0.75]))
    scale = ((high - low) / QUARTILES).clamp(min=1e-12)
    return weights / scale, -median / scale
