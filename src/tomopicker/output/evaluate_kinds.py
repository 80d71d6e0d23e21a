"""Metrics by kind of particle, and the confusion of kinds."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from tomopicker.errors import UsageError
from tomopicker.evaluation.confusion import Confusion, confusion
from tomopicker.evaluation.metrics import MatchMethod
from tomopicker.io.classes import with_kinds
from tomopicker.io.tomogram_names import join_names
from tomopicker.output.compare import Compared
from tomopicker.output.evaluate import Evaluations, evaluate_compared, to_json


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
        """Give the figures as JSON takes them: `kinds`, each as without kinds, and `confusion`, truth by picks."""
        return {
            "kinds": {kind: to_json(evaluations) for kind, evaluations in self.kinds.items()},
            "confusion": {
                "all": self.confusion.to_dict(),
                "tomograms": {name: each.to_dict() for name, each in self.confusions.items()},
            },
        }


def have_kinds(found: Compared) -> bool:
    """Whether picks and truth both state kinds."""
    return bool(found.candidates.kind_names and with_kinds(found.truth).kind_names)


def evaluate_kinds(found: Compared, tolerance: float, *, in_angstrom: bool, matching: MatchMethod) -> KindEvaluations:
    """Evaluate each kind separately, in each tomogram, and all together; parameters as of `evaluate_compared`.

    Raises
    ------
    UsageError
        If no kind of the picks is one of the truth's.
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
