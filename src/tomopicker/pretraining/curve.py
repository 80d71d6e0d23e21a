"""The validation curve of a pretraining in episodes, and the weights of its best point."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from tomopicker.pretraining.validation import FewShotF1

BEST = "best."

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class CurvePoint:
    """A point of the validation curve.

    Parameters
    ----------
    step : int
    f1 : FewShotF1
    loss : float or None
        Mean over the steps since the point before; None before the first step.
    shrinkage : float
        λ, as learned so far.
    """

    step: int
    f1: FewShotF1
    loss: float | None
    shrinkage: float

    def line(self, is_best: bool) -> str:
        """Describe the point."""
        loss = "" if self.loss is None else f"; loss {self.loss:.3f}, shrinkage {self.shrinkage:.4f}"
        return f"step {self.step}: {self.f1}{loss}{' (best)' if is_best else ''}"


@dataclass(frozen=True)
class BestWeights:
    """Weights without a head, of the best few-shot F1 so far.

    Parameters
    ----------
    weights : mapping of str to Tensor
    point : CurvePoint
        At which the weights were measured.
    curve : tuple of CurvePoint
        The points up to now.
    """

    weights: Weights
    point: CurvePoint
    curve: tuple[CurvePoint, ...]


@dataclass
class TrainingCurve:
    """The curve so far; the caller measures its points.

    Parameters
    ----------
    keep : callable, optional
        Called with the weights when a point is the best so far.
    report : callable, optional
        Called with each point, and whether it is the best so far.
    """

    keep: Callable[[BestWeights], None] | None = None
    report: Callable[[CurvePoint, bool], None] | None = None
    losses: list[float] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)
    best: CurvePoint | None = None
    weights: Weights = field(default_factory=dict)

    def add(self, step: int, f1: FewShotF1, shrinkage: float, weights: Mapping[str, Tensor]) -> None:
        """Add a point after a step, and keep a copy of its weights if it is the best; of equals, the first."""
        point = CurvePoint(step, f1, float(np.mean(self.losses)) if self.losses else None, shrinkage)
        self.losses.clear()
        self.curve.append(point)
        is_best = self.best is None or f1.mean > self.best.f1.mean
        if is_best:
            self.best = point
            self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        if self.report:
            self.report(point, is_best)
        if is_best and self.keep:
            self.keep(self.result())

    def result(self) -> BestWeights:
        """Return the best weights so far."""
        assert self.best is not None
        return BestWeights(self.weights, self.best, tuple(self.curve))

    def state(self) -> tuple[Weights, dict[str, Any]]:
        """Return tensors and facts for a checkpoint."""
        best = None if self.best is None else self.curve.index(self.best)
        facts = {"curve": [asdict(point) for point in self.curve], "best": best, "losses": self.losses}
        return {f"{BEST}{name}": value for name, value in self.weights.items()}, facts

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Restore from the tensors and facts of `state`."""
        self.curve = [
            CurvePoint(each["step"], FewShotF1(tuple(each["f1"]["by_clicks"])), each["loss"], each["shrinkage"])
            for each in facts["curve"]
        ]
        self.best = None if facts["best"] is None else self.curve[facts["best"]]
        self.losses = list(facts["losses"])
        self.weights = {name.removeprefix(BEST): value for name, value in tensors.items() if name.startswith(BEST)}
