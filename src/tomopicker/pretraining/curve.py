"""The validation curve of a pretraining in episodes, and the weights of its best point."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from tomopicker.pretraining.validation import FewShotF1

BEST_PREFIX = "best."

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class CurvePoint:
    """A point of the validation curve.

    Parameters
    ----------
    step : int
    f1 : FewShotF1
    loss : float or None
        Mean over the steps since the previous point; None before the first step.
    shrinkage : float
        λ, as learned so far.
    """

    step: int
    f1: FewShotF1
    loss: float | None
    shrinkage: float

    def line(self, is_best: bool) -> str:
        """Describe the point in one line."""
        loss = "" if self.loss is None else f"; loss {self.loss:.3f}, shrinkage {self.shrinkage:.4f}"
        return f"step {self.step}: {self.f1}{loss}{' (best)' if is_best else ''}"


@dataclass
class TrainingCurve:
    """The points so far, and the weights, without a head, of the best one.

    Parameters
    ----------
    keep : callable, optional
        Called with this curve when a point is the best so far.
    report : callable, optional
        Called with each point, and whether it is the best so far.
    losses : list of float
        Losses of the steps since the last point.
    """

    keep: Callable[["TrainingCurve"], None] | None = None
    report: Callable[[CurvePoint, bool], None] | None = None
    losses: list[float] = field(default_factory=list)
    points: list[CurvePoint] = field(default_factory=list)
    weights: Weights = field(default_factory=dict)

    @property
    def best(self) -> CurvePoint:
        """The point with the highest mean F1; of equals, the first."""
        return max(self.points, key=lambda point: point.f1.mean)

    def add(self, step: int, f1: FewShotF1, shrinkage: float, weights: Mapping[str, Tensor]) -> None:
        """Add a point after a step, and keep a copy of its weights if it is the best."""
        point = CurvePoint(step, f1, float(np.mean(self.losses)) if self.losses else None, shrinkage)
        self.losses.clear()
        self.points.append(point)
        is_best = self.best is point
        if is_best:
            self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        if self.report:
            self.report(point, is_best)
        if is_best and self.keep:
            self.keep(self)

    def state(self) -> tuple[Weights, dict[str, Any]]:
        """Return tensors and facts for a checkpoint."""
        facts = {"curve": [asdict(point) for point in self.points], "losses": self.losses}
        return {f"{BEST_PREFIX}{name}": value for name, value in self.weights.items()}, facts

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Restore from the tensors and facts of `state`."""
        self.points = [
            CurvePoint(**point | {"f1": FewShotF1(tuple(point["f1"]["by_clicks"]))}) for point in facts["curve"]
        ]
        self.losses = list(facts["losses"])
        prefixed = {name: value for name, value in tensors.items() if name.startswith(BEST_PREFIX)}
        self.weights = {name.removeprefix(BEST_PREFIX): value for name, value in prefixed.items()}
