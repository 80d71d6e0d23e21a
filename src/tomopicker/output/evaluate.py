"""Evaluation of picks against ground truth: metrics of every tomogram and kind, their mean, and all as JSON."""

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.evaluation.confusion import Confusion, confusion
from tomopicker.evaluation.matching import MatchMethod
from tomopicker.evaluation.metrics import Evaluation, MeanEvaluation, evaluate, mean_evaluation
from tomopicker.files import write_text
from tomopicker.io.classes import with_kinds
from tomopicker.io.tomogram_names import join_names
from tomopicker.output.compare import Compared
from tomopicker.picks import Picks

DENSE = 0.5
"""Probability of a match by chance above which matches prove nothing."""


@dataclass(frozen=True)
class Evaluations:
    """Evaluations; position errors and tolerance are in voxels, each tomogram's own."""

    tomograms: Mapping[str, Evaluation]
    mean: MeanEvaluation
    tolerance: float
    unit: str
    matching: MatchMethod

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics for JSON: `tolerance_unit` is ``voxel`` or ``angstrom``, errors are in voxels."""
        return {
            "matching": self.matching,
            "tolerance": self.tolerance,
            "tolerance_unit": self.unit,
            "oracles": ["f1_at_truth_count", "best_f1", "best_f1_threshold"],
            "tomograms": {name: row.to_dict() for name, row in self.tomograms.items()},
            "mean": self.mean.to_dict(),
        }


def evaluate_compared(found: Compared, tolerance: float, *, in_angstrom: bool, matching: MatchMethod) -> Evaluations:
    """Evaluate each tomogram, and average.

    Parameters
    ----------
    found : Compared
        Picks and truth.
    tolerance : float
        In Å, or in voxels of each tomogram.
    in_angstrom : bool
        Which of the two.
    matching : {"one-to-one", "paper"}
        See `tomopicker.evaluation.metrics`.
    """
    rows = {}
    for name, frame in found.frames.items():
        length = tolerance if in_angstrom else tolerance * frame.voxel_size
        mine, truth = found.picks.in_tomogram(name), found.truth.in_tomogram(name)
        row = evaluate_picks(mine, truth, length, matching)
        row = row.ranked_by(evaluate_picks(found.candidates.in_tomogram(name), truth, length, matching))
        # The table has one unit for all tomograms: the tolerance as given, errors in voxels.
        rows[name] = replace(
            row,
            tolerance=tolerance,
            position_error_mean=_divided(row.position_error_mean, frame.voxel_size),
            position_error_median=_divided(row.position_error_median, frame.voxel_size),
        )
    return Evaluations(rows, mean_evaluation(rows), tolerance, "angstrom" if in_angstrom else "voxel", matching)


def evaluate_picks(picks: Picks, truth: Picks, tolerance: float, matching: MatchMethod) -> Evaluation:
    """Evaluate the picks of one tomogram; the tolerance is in the unit of the positions."""
    scored = len(picks) and not np.isnan(picks.scores).any()
    return evaluate(picks.positions, picks.scores if scored else None, truth.positions, tolerance, matching)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write figures."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def chance_warning(found: Compared, evaluations: Evaluations) -> str | None:
    """Name the tomograms whose picks match the truth no better than by chance; None if there are none.

    By chance, a pick placed at random in the bounding box of picks and truth lies in one of n balls of the tolerance
    with probability 1 - exp(-n ball / box); up to two standard deviations more than expected count as chance.
    """
    named = []
    for name, row in evaluations.tomograms.items():
        if row.tp < min(row.picks, row.truth) and row.tp <= _by_chance(found, name, evaluations):
            named.append(f"{name} ({row.tp} of {row.picks})")
    if not named:
        return None
    return (
        f"no more picks match true positions than by chance: {join_names(named)}; check that both are of the "
        "same tomogram, in the same unit, with the same order of the axes"
    )


def _by_chance(found: Compared, name: str, evaluations: Evaluations) -> float:
    """Largest number of matches consistent with chance; below 0 where the truth is too dense to decide."""
    picks, truth = (part.in_tomogram(name).positions for part in (found.picks, found.truth))
    tolerance = evaluations.tolerance * (1.0 if evaluations.unit == "angstrom" else found.frames[name].voxel_size)
    box = np.maximum(np.ptp(np.concatenate([picks, truth]), axis=0), 2 * tolerance).prod()
    hit = -np.expm1(-len(truth) * 4 / 3 * np.pi * tolerance**3 / box)
    expected = len(picks) * float(hit)
    return expected + 2 * math.sqrt(expected) if hit < DENSE else -1.0


def _divided(value: float | None, voxel_size: float) -> float | None:
    return None if value is None else value / voxel_size


@dataclass(frozen=True)
class KindEvaluations:
    """Evaluations of each kind, and the confusion table of each tomogram."""

    kinds: Mapping[str, Evaluations]
    confusions: Mapping[str, Confusion]

    @property
    def confusion(self) -> Confusion:
        """Of all tomograms together."""
        return reduce(add, self.confusions.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON takes them: `kinds`, each as without kinds, and `confusion`, truth by picks."""
        return {
            "kinds": {kind: evaluations.to_dict() for kind, evaluations in self.kinds.items()},
            "confusion": {
                "all": self.confusion.to_dict(),
                "tomograms": {name: each.to_dict() for name, each in self.confusions.items()},
            },
        }


def evaluate_all(
    found: Compared, tolerance: float, *, in_angstrom: bool, matching: MatchMethod
) -> Evaluations | KindEvaluations:
    """Evaluate each kind of particle if picks and truth both name kinds; parameters as for `evaluate_compared`."""
    has_kinds = found.candidates.kind_names and with_kinds(found.truth).kind_names
    return (evaluate_kinds if has_kinds else evaluate_compared)(
        found, tolerance, in_angstrom=in_angstrom, matching=matching
    )


def evaluate_kinds(found: Compared, tolerance: float, *, in_angstrom: bool, matching: MatchMethod) -> KindEvaluations:
    """Evaluate each kind separately, in each tomogram, and all together; parameters as of `evaluate_compared`.

    Raises `UsageError` if no kind of the picks is one of the truth's.
    """
    picks, candidates, truth = found.picks, found.candidates, with_kinds(found.truth)
    kinds = list(dict.fromkeys([*candidates.kind_names, *picks.kind_names]))
    known = [kind for kind in kinds if kind in truth.kind_names]
    if not known:
        raise UsageError(
            f"picks are of {join_names(kinds)}, the truth of {join_names(truth.kind_names)}: none is in both; give "
            "them the same names"
        )
    if len(known) < len(kinds):
        without = join_names([kind for kind in kinds if kind not in known])
        warnings.warn(f"no truth is of {without}; only the others are evaluated", stacklevel=2)
    evaluations = {
        kind: evaluate_compared(
            replace(
                found, picks=picks.of_kind(kind), candidates=candidates.of_kind(kind), truth=truth.of_kind(kind)
            ),
            tolerance, in_angstrom=in_angstrom, matching=matching,
        )
        for kind in known
    }  # fmt: skip
    every = list(dict.fromkeys([*known, *truth.kind_names]))
    columns = list(dict.fromkeys([*known, *kinds]))
    confusions = {}
    for name, frame in found.frames.items():
        mine, true = picks.in_tomogram(name), truth.in_tomogram(name)
        length = tolerance if in_angstrom else tolerance * frame.voxel_size
        confusions[name] = confusion(
            {kind: mine.of_kind(kind).positions for kind in columns},
            {kind: true.of_kind(kind).positions for kind in every},
            length,
        )
    return KindEvaluations(evaluations, confusions)
