"""Figures of merit by kind of particle, and which kinds were taken for which."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from tomopicker.cli.judge import Judged, content_of, judge
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.formats.classes import with_kinds
from tomopicker.formats.names import listing
from tomopicker.picking.confusion import Confusion, confusion
from tomopicker.picking.evaluate import MatchMethod

if TYPE_CHECKING:
    from tomopicker.cli.judged_inputs import Compared


@dataclass(frozen=True)
class JudgedKinds:
    """Evaluations of each kind, and the confusion table of each tomogram."""

    kinds: Mapping[str, Judged]
    confusions: Mapping[str, Confusion]

    @property
    def confusion(self) -> Confusion:
        """Of all tomograms together."""
        return reduce(add, self.confusions.values())

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as JSON takes them: `kinds`, each as without kinds, and `confusion`, truth by picks."""
        return {
            "kinds": {kind: content_of(judged) for kind, judged in self.kinds.items()},
            "confusion": {
                "all": self.confusion.to_dict(),
                "tomograms": {name: each.to_dict() for name, each in self.confusions.items()},
            },
        }


def have_kinds(found: "Compared") -> bool:
    """Say whether picks and truth both state kinds."""
    return bool(found.candidates.kind_names and with_kinds(found.truth).kind_names)


def judge_kinds(
    found: "Compared", tolerance: float, *, in_angstrom: bool, matching: MatchMethod, reporter: Reporter
) -> JudgedKinds:
    """Evaluate each kind by itself, in each tomogram, and all together; parameters as of `judge`.

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
            f"picks are of {listing(kinds)}, the truth of {listing(truth.kind_names)}: none is in both; call them alike"
        )
    if len(known) < len(kinds):
        reporter.warn(f"no truth is of {listing([kind for kind in kinds if kind not in known])}; judged are the others")
    judged = {
        kind: judge(
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
    return JudgedKinds(judged, confusions)


def confusion_table(table: Confusion) -> Table:
    """Lay out particles by row, what they were picked as by column."""
    shown = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left",
        title="particles (rows) and what they were picked as",
    )  # fmt: skip
    shown.add_column("", overflow="fold")
    for kind in table.picked:
        shown.add_column(kind, justify="right", overflow="fold")
    for kind, row in zip(table.truth, table.counts.tolist(), strict=True):
        cells = [
            f"[bold]{count}[/bold]" if name == kind else str(count)
            for name, count in zip(table.picked, row, strict=True)
        ]
        shown.add_row(kind, *cells)
    return shown
