"""Evaluation of picks against ground truth: metrics of every tomogram and kind, their means, and JSON."""

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add, methodcaller
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.evaluation.confusion import Confusion, confusion
from tomopicker.evaluation.matching import MatchMethod
from tomopicker.evaluation.metrics import Evaluation, MeanEvaluation, evaluate, mean_evaluation
from tomopicker.files import write_text
from tomopicker.geometry import Frame
from tomopicker.io.classes import with_kinds
from tomopicker.io.tomogram_names import join_names
from tomopicker.output.compare import Compared
from tomopicker.picks import Picks

MAX_CHANCE = 0.5
"""Probability of a match by chance above which the number of matches proves nothing."""


@dataclass(frozen=True)
class Criterion:
    """When a pick matches a particle.

    Parameters
    ----------
    tolerance : float
        Maximum distance, in Å or in voxels of each tomogram.
    in_angstrom : bool
        Unit of the tolerance.
    matching : {"one-to-one", "paper"}
        See `tomopicker.evaluation.metrics`.
    """

    tolerance: float
    in_angstrom: bool = False
    matching: MatchMethod = "one-to-one"

    def tolerance_angstrom(self, frame: Frame) -> float:
        """Return the tolerance in a tomogram, Å."""
        return self.tolerance if self.in_angstrom else self.tolerance * frame.voxel_size


@dataclass(frozen=True)
class Evaluations:
    """Evaluations of tomograms and their mean; tolerances as given, position errors in voxels of each tomogram."""

    tomograms: Mapping[str, Evaluation]
    mean: MeanEvaluation
    criterion: Criterion

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics for JSON: `tolerance_unit` is ``voxel`` or ``angstrom``, errors are in voxels."""
        return {
            "matching": self.criterion.matching,
            "tolerance": self.criterion.tolerance,
            "tolerance_unit": "angstrom" if self.criterion.in_angstrom else "voxel",
            "oracles": ["f1_at_truth_count", "best_f1", "best_f1_threshold"],
            "tomograms": {name: row.to_dict() for name, row in self.tomograms.items()},
            "mean": self.mean.to_dict(),
        }


@dataclass(frozen=True)
class KindEvaluations:
    """Evaluations of each kind, and the confusion table of each tomogram."""

    kinds: Mapping[str, Evaluations]
    confusions: Mapping[str, Confusion]

    @property
    def confusion(self) -> Confusion:
        """Confusion table of all tomograms together."""
        return reduce(add, self.confusions.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics for JSON: `kinds`, each as without kinds, and `confusion`, truth by picks."""
        return {
            "kinds": {kind: evaluations.to_dict() for kind, evaluations in self.kinds.items()},
            "confusion": {
                "all": self.confusion.to_dict(),
                "tomograms": {name: table.to_dict() for name, table in self.confusions.items()},
            },
        }


def evaluate_compared(compared: Compared, criterion: Criterion) -> Evaluations:
    """Evaluate each tomogram, and average."""
    rows = {}
    for name, frame in compared.frames.items():
        own = compared.map(methodcaller("in_tomogram", name))
        tolerance = criterion.tolerance_angstrom(frame)
        row = evaluate_picks(own.picks, own.truth, tolerance, criterion.matching)
        row = row.ranked_by(evaluate_picks(own.candidates, own.truth, tolerance, criterion.matching))
        mean, median = (
            None if error is None else error / frame.voxel_size
            for error in (row.position_error_mean, row.position_error_median)
        )
        rows[name] = replace(row, tolerance=criterion.tolerance, position_error_mean=mean, position_error_median=median)
    return Evaluations(rows, mean_evaluation(rows), criterion)


def evaluate_picks(picks: Picks, truth: Picks, tolerance: float, matching: MatchMethod) -> Evaluation:
    """Evaluate the picks of one tomogram; the tolerance is in the unit of the positions."""
    has_scores = len(picks) and not np.isnan(picks.scores).any()
    return evaluate(picks.positions, picks.scores if has_scores else None, truth.positions, tolerance, matching)


def evaluate_all(compared: Compared, criterion: Criterion) -> Evaluations | KindEvaluations:
    """Evaluate picks, kind by kind if both picks and truth have kinds."""
    has_kinds = compared.candidates.kind_names and with_kinds(compared.truth).kind_names
    return evaluate_kinds(compared, criterion) if has_kinds else evaluate_compared(compared, criterion)


def evaluate_kinds(compared: Compared, criterion: Criterion) -> KindEvaluations:
    """Evaluate each kind by itself, in each tomogram and together, and count which kinds are confused.

    Raises `UsageError` if no kind of the picks is one of the truth's.
    """
    compared = replace(compared, truth=with_kinds(compared.truth))
    picks, truth = compared.picks, compared.truth
    kinds = list(dict.fromkeys([*compared.candidates.kind_names, *picks.kind_names]))
    known = [kind for kind in kinds if kind in truth.kind_names]
    if not known:
        raise UsageError(
            f"picks are of {join_names(kinds)}, the truth of {join_names(truth.kind_names)}: none is in both; give "
            "them the same names"
        )
    if len(known) < len(kinds):
        without = join_names([kind for kind in kinds if kind not in known])
        warnings.warn(f"no truth is of {without}; only the others are evaluated", stacklevel=2)
    evaluations = {kind: evaluate_compared(compared.map(methodcaller("of_kind", kind)), criterion) for kind in known}
    columns, rows = (list(dict.fromkeys([*known, *others])) for others in (kinds, truth.kind_names))
    confusions = {
        name: confusion(
            {kind: picks.in_tomogram(name).of_kind(kind).positions for kind in columns},
            {kind: truth.in_tomogram(name).of_kind(kind).positions for kind in rows},
            criterion.tolerance_angstrom(frame),
        )
        for name, frame in compared.frames.items()
    }
    return KindEvaluations(evaluations, confusions)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write metrics."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def chance_warning(compared: Compared, evaluations: Evaluations) -> str | None:
    """Name the tomograms whose picks match the truth no better than by chance; None if there are none.

    By chance, a pick placed at random in the bounding box of picks and truth lies in one of n balls of the tolerance
    with probability 1 - exp(-n ball / box); up to two standard deviations more than expected count as chance.
    """
    suspicious = []
    for name, row in evaluations.tomograms.items():
        if row.tp < min(row.picks, row.truth) and row.tp <= _max_by_chance(compared, name, evaluations.criterion):
            suspicious.append(f"{name} ({row.tp} of {row.picks})")
    if not suspicious:
        return None
    return (
        f"no more picks match true positions than by chance: {join_names(suspicious)}; check that both are of the "
        "same tomogram, in the same unit, with the same order of the axes"
    )


def _max_by_chance(compared: Compared, name: str, criterion: Criterion) -> float:
    """Return the largest number of matches consistent with chance; below 0 where the truth is too dense to decide."""
    picks, truth = compared.picks.in_tomogram(name).positions, compared.truth.in_tomogram(name).positions
    tolerance = criterion.tolerance_angstrom(compared.frames[name])
    box = np.maximum(np.ptp(np.concatenate([picks, truth]), axis=0), 2 * tolerance).prod()
    hit = -np.expm1(-len(truth) * 4 / 3 * np.pi * tolerance**3 / box)
    expected = len(picks) * float(hit)
    return expected + 2 * math.sqrt(expected) if hit < MAX_CHANCE else -1.0
