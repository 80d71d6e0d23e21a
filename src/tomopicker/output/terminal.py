"""Tables that the commands print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def evaluation_table(evaluations: "Evaluations", kind: str = "") -> Table:
    """Lay out a row for each tomogram, and their mean; of a kind of particle if it is named."""
    unit = "Å" if evaluations.unit == "angstrom" else "voxels"
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=f"{f'{kind}: ' if kind else ''}{evaluations.matching} matching within {evaluations.tolerance:g} {unit}",
        title_justify="left",
        show_footer=len(evaluations.tomograms) > 1,
    )
    mean = _cells(evaluations.mean)
    columns = (
        "picks", "truth", "TP", "FP", "FN", "pre-\ncision", "recall", "F1", "F1 at\ntrue N", "highest\nF1",
        "AP", "error\n(vox)",
    )  # fmt: skip
    table.add_column("tomogram", footer=f"mean of {len(evaluations.tomograms)}", overflow="fold")
    for column, footer in zip(columns, mean, strict=True):
        table.add_column(column, justify="right", no_wrap=True, footer=footer, style="bold" if column == "F1" else "")
    for name, row in evaluations.tomograms.items():
        table.add_row(name, *_cells(row))
    return table


def evaluation_tables(evaluated: "Evaluations | KindEvaluations") -> list[Table]:
    """Lay out a table; with several kinds of particle one for each, and their confusion."""
    from tomopicker.output.evaluate import KindEvaluations  # noqa: PLC0415  (most commands do without it)

    if not isinstance(evaluated, KindEvaluations):
        return [evaluation_table(evaluated)]
    return [
        *(evaluation_table(each, kind) for kind, each in evaluated.kinds.items()),
        confusion_table(evaluated.confusion),
    ]


def _cells(row: "Evaluation") -> list[str]:
    counts = [str(value) for value in (row.picks, row.truth, row.tp, row.fp, row.fn)]
    ratios = (row.precision, row.recall, row.f1, row.f1_at_truth_count, row.best_f1, row.average_precision)
    shown = ["–" if value is None else f"{value:.3f}" for value in ratios]
    error = row.position_error_mean
    return [*counts, *shown, "–" if error is None else f"{error:.2f}"]


def confusion_table(table: "Confusion") -> Table:
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


def findings_table(findings: "Sequence[Finding]") -> Table:
    """Lay out a line a test, and what to do below it."""
    colours = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        word = finding.status.value
        table.add_row(f"[{colours[word]}]{word}[/]", finding.test, escape(finding.message))
        if finding.fix:
            table.add_row("", "", f"→ {escape(finding.fix)}")
    return table


def volumes_table(header_only: bool) -> Table:
    """Make the table of ``tomopicker info``, without rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tomogram", overflow="fold")
    for name in ("voxels (x × y × z)", "voxel size", "size (Å)", "type"):
        table.add_column(name, justify="right")
    if not header_only:
        for name in ("min", "mean", "max", "sd"):
            table.add_column(name, justify="right")
    return table


def volume_row(tomogram: "Tomogram", found: "Statistics | None") -> list[str]:
    """Lay out a tomogram, and its statistics if they were computed."""
    z, y, x = tomogram.shape
    size = " × ".join(f"{edge * tomogram.voxel_size:.0f}" for edge in (x, y, z))
    kind = f"{tomogram.data.dtype.name}{' (big-endian)' if tomogram.data.dtype.byteorder == '>' else ''}"
    row = [escape(tomogram.name), f"{x} × {y} × {z}", f"{tomogram.voxel_size:g} Å", size, kind]
    if found is not None:
        row += [f"{value:.4g}" for value in (found.minimum, found.mean, found.maximum, found.sd)]
    return row


def formats_table(entries: "Sequence[Format]") -> Table:
    """Lay out a paragraph a format, which fits any width and breaks between words only."""
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
    """Two letters: whether a format is read and written."""
    return ("r" if entry.reader and not entry.refused else "-") + ("w" if entry.writer else "-")
