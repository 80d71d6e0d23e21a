"""Tables that the commands print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from tomopicker.diagnostics.findings import Finding
    from tomopicker.evaluation.confusion import Confusion
    from tomopicker.evaluation.metrics import Evaluation
    from tomopicker.io.registry import Format
    from tomopicker.moments import Statistics
    from tomopicker.output.evaluate import Evaluations, KindEvaluations
    from tomopicker.tomogram import Tomogram


def _table(**options: Any) -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, **options)


def evaluation_tables(evaluated: "Evaluations | KindEvaluations") -> list[Table]:
    """Return the table of an evaluation; with several kinds of particle one for each, and their confusion table."""
    from tomopicker.output.evaluate import KindEvaluations  # noqa: PLC0415  (slow to import)

    if not isinstance(evaluated, KindEvaluations):
        return [_evaluation_table(evaluated)]
    tables = [_evaluation_table(evaluations, f"{kind}: ") for kind, evaluations in evaluated.kinds.items()]
    return [*tables, _confusion_table(evaluated.confusion)]


def _evaluation_table(evaluations: "Evaluations", prefix: str = "") -> Table:
    """Return a table with a row for each tomogram, and their mean."""
    criterion = evaluations.criterion
    unit = "Å" if criterion.in_angstrom else "voxels"
    table = _table(
        padding=(0, 1, 0, 0), title_justify="left", show_footer=len(evaluations.tomograms) > 1,
        title=f"{prefix}{criterion.matching} matching within {criterion.tolerance:g} {unit}",
    )  # fmt: skip
    columns = (
        "picks", "truth", "TP", "FP", "FN", "pre-\ncision", "recall", "F1", "F1 at\ntrue N", "highest\nF1",
        "AP", "error\n(vox)",
    )  # fmt: skip
    table.add_column("tomogram", footer=f"mean of {len(evaluations.tomograms)}", overflow="fold")
    for column, footer in zip(columns, _cells(evaluations.mean), strict=True):
        table.add_column(column, justify="right", no_wrap=True, footer=footer, style="bold" if column == "F1" else "")
    for name, row in evaluations.tomograms.items():
        table.add_row(name, *_cells(row))
    return table


def _cells(row: "Evaluation") -> list[str]:
    counts = [str(value) for value in (row.picks, row.truth, row.tp, row.fp, row.fn)]
    ratios = (row.precision, row.recall, row.f1, row.f1_at_truth_count, row.best_f1, row.average_precision)
    error = row.position_error_mean
    return [
        *counts,
        *("–" if value is None else f"{value:.3f}" for value in ratios),
        "–" if error is None else f"{error:.2f}",
    ]


def _confusion_table(confusion: "Confusion") -> Table:
    """Return a table with a row for each true kind, and a column for each picked kind."""
    title = "particles (rows) and what they were picked as"
    table = _table(padding=(0, 1, 0, 0), title_justify="left", title=title)
    table.add_column("", overflow="fold")
    for kind in confusion.picked:
        table.add_column(kind, justify="right", overflow="fold")
    for kind, row in zip(confusion.truth, confusion.counts.tolist(), strict=True):
        counts = zip(confusion.picked, row, strict=True)
        table.add_row(kind, *(f"[bold]{count}[/bold]" if name == kind else str(count) for name, count in counts))
    return table


def findings_table(findings: "Sequence[Finding]") -> Table:
    """Return a table with a row for each test, and its fix below it."""
    colours = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for options in ({"no_wrap": True}, {"no_wrap": True}, {"overflow": "fold"}):
        table.add_column(**options)
    for finding in findings:
        status = finding.status.value
        table.add_row(f"[{colours[status]}]{status}[/]", finding.test, escape(finding.message))
        if finding.fix:
            table.add_row("", "", f"→ {escape(finding.fix)}")
    return table


def volumes_table(header_only: bool) -> Table:
    """Return the table of ``tomopicker info``, without rows."""
    table = _table()
    table.add_column("tomogram", overflow="fold")
    statistics = () if header_only else ("min", "mean", "max", "sd")
    for name in ("voxels (x × y × z)", "voxel size", "size (Å)", "type", *statistics):
        table.add_column(name, justify="right")
    return table


def volume_row(tomogram: "Tomogram", statistics: "Statistics | None") -> list[str]:
    """Return the cells of a tomogram, and of its statistics if they were computed."""
    z, y, x = tomogram.shape
    size = " × ".join(f"{edge * tomogram.voxel_size:.0f}" for edge in (x, y, z))
    kind = f"{tomogram.data.dtype.name}{' (big-endian)' if tomogram.data.dtype.byteorder == '>' else ''}"
    row = [escape(tomogram.name), f"{x} × {y} × {z}", f"{tomogram.voxel_size:g} Å", size, kind]
    if statistics is not None:
        row += [f"{value:.4g}" for value in (statistics.minimum, statistics.mean, statistics.maximum, statistics.sd)]
    return row


def formats_table(entries: "Sequence[Format]") -> Table:
    """Return a table with a paragraph for each format, which fits any width and breaks between words only."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(no_wrap=True)
    table.add_column()
    for entry in entries:
        facts = {"unit": entry.unit, "zero": entry.origin, "score": entry.score, "angles": entry.angles}
        if entry.kind == "volume":
            facts = {"voxel size": entry.unit}
        described = "; ".join(f"{name}: {value}" for name, value in facts.items() if value != "none")
        table.add_row(entry.name, access(entry), f"{entry.title} ({' '.join(entry.suffixes)})\n[dim]{described}[/dim]")
    return table


def access(entry: "Format") -> str:
    """Return two letters: ``r`` if a format can be read, ``w`` if it can be written, else ``-``."""
    return ("r" if entry.reader and not entry.refused else "-") + ("w" if entry.writer else "-")
