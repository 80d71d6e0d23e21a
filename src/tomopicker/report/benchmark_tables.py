"""The tables of a benchmark as cells: a summary over unseen tomograms, and the form of the paper's tables 1 and 2."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from tomopicker.benchmark.tables import ALL, UNSEEN, Row, Spread

__all__ = ["DASH", "Table", "csv_table", "paper_table", "ranking_table", "shown", "summary_table"]

DASH = "-"


@dataclass(frozen=True)
class Table:
    """Cells with a header; so many first columns are names and go to the left."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int


def summary_table(rows: Sequence[Row]) -> Table:
    """Lay out one data set's means over its unseen tomograms, each method at its own threshold.

    Parameters
    ----------
    rows : sequence of Row
        Of one data set; a row of the table is a method and number of clicks.
    """
    unseen = [row for row in rows if row.tomogram == UNSEEN]
    tolerances = list(dict.fromkeys(row.tolerance for row in unseen))
    first = tolerances[0]
    header = [
        "Method", "Clicks", "Seeds", "Precision", "Recall", f"F1 ({first:g})",
        *(f"F1 ({each:g})" for each in tolerances[1:]), "F1, paper's match", "Off centre (voxels)", "Minutes a run",
    ]  # fmt: skip
    cells = []
    for row in unseen:
        if row.tolerance != first or row.matching != "one-to-one":
            continue
        alike = {
            (each.tolerance, each.matching): each.figures["f1"]
            for each in unseen
            if (each.method, each.clicks) == (row.method, row.clicks)
        }
        figures = row.figures
        cells.append([
            *_named(row),
            *(shown(figures[name]) for name in ("precision", "recall", "f1")),
            *(shown(alike[each, "one-to-one"]) for each in tolerances[1:]),
            shown(alike[first, "paper"]),
            shown(figures["position_error_mean"], 2),
            DASH if row.seconds.mean is None else f"{row.seconds.mean / 60:.1f}",
        ])  # fmt: skip
    return Table(header, cells, left=1)


def ranking_table(rows: Sequence[Row]) -> Table:
    """Lay out what judges one data set's rankings, whatever the threshold: means over unseen tomograms."""
    figures = ("f1_at_truth_count", "best_f1", "average_precision")
    header = ["Method", "Clicks", "Seeds", "F1 at N (oracle)", "Best F1 (oracle)", "Average precision", "F1 as picked"]
    unseen = [row for row in rows if row.tomogram == UNSEEN and row.matching == "one-to-one"]
    cells = [
        [*_named(row), *(shown(row.figures[name]) for name in (*figures, "f1"))]
        for row in unseen
        if row.tolerance == unseen[0].tolerance
    ]
    return Table(header, cells, left=1)


def _named(row: Row) -> list[str]:
    return [
        row.method,
        DASH if row.clicks is None else str(row.clicks),
        str(len(row.seeds)) if row.seeds else DASH,
    ]


def paper_table(rows: Sequence[Row]) -> Table:
    """Lay out rows as the paper's tables 1 and 2: a row a tomogram and method, then the two means.

    Parameters
    ----------
    rows : sequence of Row
        Of one data set, number of clicks, tolerance and matching.
    """
    header = ["Tomogram", "Method", "TP", "FP", "FN", "Precision", "Recall", "F1"]
    names = [name for name in dict.fromkeys(row.tomogram for row in rows) if name not in {ALL, UNSEEN}]
    cells = []
    for name in (*names, ALL, UNSEEN):
        mine = [row for row in rows if row.tomogram == name]
        for index, row in enumerate(mine):
            role = f" ({row.role})" if row.role in {"training", "validation"} else ""
            mean = name in {ALL, UNSEEN}
            counts = [DASH if mean else shown(row.figures[each], 0) for each in ("tp", "fp", "fn")]
            ratios = [shown(row.figures[each], 2) for each in ("precision", "recall", "f1")]
            cells.append([f"{name}{role}" if index == 0 else "", row.method, *counts, *ratios])
    return Table(header, cells, left=2)


def csv_table(rows: Sequence[Row]) -> str:
    """Write every figure of every row, with its spread, as CSV."""
    text = io.StringIO()
    flat = [row.flat() for row in rows]
    writer = csv.DictWriter(text, fieldnames=list(flat[0]) if flat else ["dataset"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def shown(spread: Spread, digits: int = 3) -> str:
    """Write mean ± standard deviation over seeds."""
    if spread.mean is None:
        return DASH
    return f"{spread.mean:.{digits}f}" + ("" if spread.sd is None else f" ± {spread.sd:.{digits}f}")
