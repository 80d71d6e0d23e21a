"""What a network says of its picks before anyone knows the truth, and how far that can be trusted."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from tomopicker.workflow.pick import Picked

NEAR = 0.15
"""Share of the truth that a good count is off by at most."""


class Expected(BaseModel):
    """What a method said of one tomogram without a look at its truth.

    Parameters
    ----------
    particles : float
        How many it expects in the tomogram.
    low, high : float or None
        Ends of the 90 % interval of that number; None where it gives none.
    precision, recall, f1 : float
        Expected of the picks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    particles: float
    low: float | None
    high: float | None
    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, picked: Picked) -> "Expected":
        """Take what `tomopicker pick` reports of a tomogram."""
        expected, count = picked.expected, picked.count
        return cls(
            particles=expected.particles if count is None else count.estimate,
            low=None if count is None else count.low,
            high=None if count is None else count.high,
            precision=expected.precision,
            recall=expected.recall,
            f1=expected.f1,
        )


@dataclass(frozen=True)
class Saying:
    """What one run said of one tomogram beside what was true; tolerance and matching are the leading ones.

    Parameters
    ----------
    dataset, method : str
    clicks, seed : int or None
    tomogram, role : str
    particles : int
        That there are.
    expected_particles : float
    low, high : float or None
        Of the 90 % interval.
    precision, recall, f1 : float
        That the picks have.
    expected_precision, expected_recall, expected_f1 : float
    """

    dataset: str
    method: str
    clicks: int | None
    seed: int | None
    tomogram: str
    role: str
    particles: int
    expected_particles: float
    low: float | None
    high: float | None
    precision: float
    recall: float
    f1: float
    expected_precision: float
    expected_recall: float
    expected_f1: float

    @property
    def near(self) -> bool:
        """Whether the count is within 15 % of the truth."""
        return abs(self.expected_particles - self.particles) <= NEAR * self.particles

    @property
    def holds(self) -> bool | None:
        """Whether the interval holds the true number; None without one."""
        return None if self.low is None or self.high is None else self.low <= self.particles <= self.high

    def flat(self) -> dict[str, Any]:
        """Give it as columns of a CSV have it."""
        return {**asdict(self), "near": self.near, "holds": self.holds}


@dataclass(frozen=True)
class Trust:
    """How well the sayings of one method and number of clicks agree with the truth, over unseen tomograms and seeds.

    Parameters
    ----------
    dataset, method : str
    clicks : int or None
    sayings : int
        Tomograms × seeds.
    near : float
        Share of the counts within 15 % of the truth.
    holds : float or None
        Share of the 90 % intervals that hold the true number; None where there is none.
    count_bias, count_error : float
        Mean, and mean without sign, of the expected less the true number, as a share of the latter.
    precision_bias, recall_bias, f1_bias : float
        Mean of the expected less the true figure.
    f1_error : float
        The same without sign.
    """

    dataset: str
    method: str
    clicks: int | None
    sayings: int
    near: float
    holds: float | None
    count_bias: float
    count_error: float
    precision_bias: float
    recall_bias: float
    f1_bias: float
    f1_error: float

    def flat(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return asdict(self)


def trust(sayings: Iterable[Saying]) -> list[Trust]:
    """Average over unseen tomograms and seeds, for each data set, method and number of clicks in the order they come.

    Parameters
    ----------
    sayings : iterable of Saying
        Those of training and validation tomograms are passed over.
    """
    groups: dict[tuple[str, str, int | None], list[Saying]] = {}
    for saying in sayings:
        if saying.role == "test":
            groups.setdefault((saying.dataset, saying.method, saying.clicks), []).append(saying)
    return [_trust(group) for group in groups.values()]


def _trust(group: Sequence[Saying]) -> Trust:
    def mean(of: Callable[[Saying], float]) -> float:
        return statistics.fmean(of(each) for each in group)

    def off(each: Saying) -> float:
        return (each.expected_particles - each.particles) / max(1, each.particles)

    held = [each.holds for each in group if each.holds is not None]
    first = group[0]
    return Trust(
        dataset=first.dataset,
        method=first.method,
        clicks=first.clicks,
        sayings=len(group),
        near=mean(lambda each: each.near),
        holds=statistics.fmean(held) if held else None,
        count_bias=mean(off),
        count_error=mean(lambda each: abs(off(each))),
        precision_bias=mean(lambda each: each.expected_precision - each.precision),
        recall_bias=mean(lambda each: each.expected_recall - each.recall),
        f1_bias=mean(lambda each: each.expected_f1 - each.f1),
        f1_error=mean(lambda each: abs(each.expected_f1 - each.f1)),
    )
