"""From results to the rows of the tables: mean and spread over seeds, tomogram by tomogram and over several.

And what methods expected of their picks, beside what came of it.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomopicker.benchmark.expected import Saying
from tomopicker.benchmark.results import Judged, Result
from tomopicker.picking.evaluate import Evaluation, mean_evaluation

ALL, UNSEEN = "Mean of all", "Mean of the unseen"
"""The paper's "Overall", and the mean over tomograms that were neither trained nor validated on."""

FIGURES = (
    "tp", "fp", "fn", "precision", "recall", "f1", "f1_at_truth_count", "best_f1", "average_precision",
    "position_error_mean",
)  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """A figure of merit over seeds.

    Parameters
    ----------
    mean : float or None
        None if any seed has none.
    sd : float or None
        Standard deviation of the sample; None for a single seed.
    """

    mean: float | None
    sd: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        """Average over seeds."""
        listed = list(values)
        known = [value for value in listed if value is not None]
        if not known or len(known) < len(listed):
            return cls(None, None)
        return cls(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


@dataclass(frozen=True)
class Row:
    """One method on one tomogram, or on average over several, from one number of clicks.

    Parameters
    ----------
    dataset, method : str
    clicks : int or None
        None where the method has none.
    tomogram : str
        Its name, `ALL` or `UNSEEN`.
    role : str
        training, validation, test; mean.
    seeds : tuple of int
        Of the runs averaged; empty where the method has none.
    tolerance : float
        Voxels.
    matching : str
        one-to-one or paper.
    figures : mapping of str to Spread
        Those of `FIGURES`.
    seconds : Spread
        Of the whole run.
    """

    dataset: str
    method: str
    clicks: int | None
    tomogram: str
    role: str
    seeds: tuple[int, ...]
    tolerance: float
    matching: str
    figures: Mapping[str, Spread]
    seconds: Spread

    def flat(self) -> dict[str, Any]:
        """Give the row as columns of a CSV have it."""
        facts = {
            "dataset": self.dataset, "tomogram": self.tomogram, "role": self.role, "method": self.method,
            "clicks": self.clicks, "seeds": " ".join(map(str, self.seeds)), "matching": self.matching,
            "tolerance_voxels": self.tolerance,
        }  # fmt: skip
        for name, spread in {**self.figures, "seconds": self.seconds}.items():
            facts |= {name: spread.mean, f"{name}_sd": spread.sd}
        return facts


def table_rows(results: Iterable[Result]) -> list[Row]:
    """Arrange finished runs as rows.

    Parameters
    ----------
    results : iterable of Result
        Failed ones are passed over.

    Returns
    -------
    list of Row
        For each data set, method and number of clicks, in the order they come: for each way of judging, every tomogram,
        then `ALL`, then `UNSEEN`.
    """
    groups: dict[tuple[str, str, int | None], list[Result]] = {}
    for result in results:
        if result.status == "done":
            groups.setdefault((result.dataset, result.method, result.clicks), []).append(result)
    return [row for group in groups.values() for row in _rows(group)]


def sayings(results: Iterable[Result]) -> list[Saying]:
    """Set what methods said of tomograms beside the truth: one for each finished run and tomogram that has some."""
    return [
        Saying(
            dataset=result.dataset, method=result.method, clicks=result.clicks, seed=result.seed,
            tomogram=name, role=judged.role,
            particles=own.truth, expected_particles=said.particles, low=said.low, high=said.high,
            precision=own.precision, recall=own.recall, f1=own.f1,
            expected_precision=said.precision, expected_recall=said.recall, expected_f1=said.f1,
        )
        for result in results
        for name, judged in result.tomograms.items()
        if (said := judged.expected) is not None
        for own in judged.evaluations[:1]
    ]  # fmt: skip


def _rows(group: Sequence[Result]) -> list[Row]:
    """Give the rows of the seeds of one method and number of clicks."""
    rows = []
    for index in range(len(next(iter(group[0].tomograms.values())).evaluations)):
        for name, judged in group[0].tomograms.items():
            rows.append(_row(group, name, judged.role, [seed.tomograms[name].evaluations[index] for seed in group]))
        for title, roles in ((ALL, ("training", "validation", "test")), (UNSEEN, ("test",))):
            rows.append(_row(group, title, "mean", [_mean(seed.tomograms, index, roles) for seed in group]))
    return rows


def _mean(tomograms: Mapping[str, Judged], index: int, roles: Sequence[str]) -> Evaluation:
    chosen = {name: each.evaluations[index] for name, each in tomograms.items() if each.role in roles}
    return mean_evaluation(chosen)


def _row(group: Sequence[Result], tomogram: str, role: str, evaluations: Sequence[Evaluation]) -> Row:
    first = group[0]
    return Row(
        dataset=first.dataset,
        method=first.method,
        clicks=first.clicks,
        tomogram=tomogram,
        role=role,
        seeds=tuple(result.seed for result in group if result.seed is not None),
        tolerance=evaluations[0].tolerance,
        matching=evaluations[0].method,
        figures={name: Spread.of(getattr(each, name) for each in evaluations) for name in FIGURES},
        seconds=Spread.of(result.seconds for result in group),
    )
