"""The table of figures of merit that ``evaluate`` and ``demo`` print."""

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from tomopicker.cli.judge import Judged
    from tomopicker.picking.evaluate import Evaluation


def evaluation_table(judged: "Judged", kind: str = "") -> Table:
    """Lay out a row a tomogram, and their mean; of a kind of particle if it is named."""
    unit = "Å" if judged.unit == "angstrom" else "voxels"
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=f"{f'{kind}: ' if kind else ''}{judged.matching} matching within {judged.tolerance:g} {unit}",
        title_justify="left",
        show_footer=len(judged.tomograms) > 1,
    )
    mean = _cells(judged.mean)
    columns = (
        "picks", "truth", "TP", "FP", "FN", "pre-\ncision", "recall", "F1", "F1 at\ntrue N", "highest\nF1",
        "AP", "error\n(vox)",
    )  # fmt: skip
    table.add_column("tomogram", footer=f"mean of {len(judged.tomograms)}", overflow="fold")
    for column, footer in zip(columns, mean, strict=True):
        table.add_column(column, justify="right", no_wrap=True, footer=footer, style="bold" if column == "F1" else "")
    for name, row in judged.tomograms.items():
        table.add_row(name, *_cells(row))
    return table


def _cells(row: "Evaluation") -> list[str]:
    counts = [str(value) for value in (row.picks, row.truth, row.tp, row.fp, row.fn)]
    ratios = (row.precision, row.recall, row.f1, row.f1_at_truth_count, row.best_f1, row.average_precision)
    shown = ["–" if value is None else f"{value:.3f}" for value in ratios]
    error = row.position_error_mean
    return [*counts, *shown, "–" if error is None else f"{error:.2f}"]
