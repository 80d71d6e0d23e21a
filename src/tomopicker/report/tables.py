"""The paper's tables 1 and 2: a row a tomogram and method, then the overall, the plain mean over tomograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tomopicker.picking.evaluate import Evaluation, mean_evaluation

__all__ = ["OVERALL", "EvaluationRow", "evaluation_rows", "evaluation_table", "markdown_table"]

OVERALL = "Overall"


@dataclass(frozen=True)
class EvaluationRow:
    """One row of the table; the counts are None in the overall, as in the paper."""

    tomogram: str
    method: str
    tp: int | None
    fp: int | None
    fn: int | None
    precision: float
    recall: float
    f1: float


def evaluation_rows(evaluations: Mapping[str, Mapping[str, Evaluation]]) -> list[EvaluationRow]:
    """Arrange evaluations as the paper's tables 1 and 2.

    Parameters
    ----------
    evaluations : mapping of str to mapping of str to Evaluation
        By method, then by tomogram. A method may lack a tomogram; its overall is then over those it has.

    Returns
    -------
    list of EvaluationRow
        Tomogram by tomogram, the methods of each in the order given; then the overall of each method.
    """
    names = list(dict.fromkeys(name for results in evaluations.values() for name in results))
    rows = [
        _row(name, method, results[name])
        for name in names
        for method, results in evaluations.items()
        if name in results
    ]
    for method, results in evaluations.items():
        if results:
            mean = mean_evaluation(results)
            rows.append(EvaluationRow(OVERALL, method, None, None, None, mean.precision, mean.recall, mean.f1))
    return rows


def evaluation_table(rows: Sequence[EvaluationRow], digits: int = 2) -> str:
    """Write rows as a Markdown table; a tomogram is named in the first of its rows.

    Parameters
    ----------
    rows : sequence of EvaluationRow
        From `evaluation_rows`.
    digits : int
        Decimals of precision, recall and F1; the paper gives two.
    """
    header = ["Tomogram", "Method", "TP", "FP", "FN", "Precision", "Recall", "F1"]
    cells = []
    previous = None
    for row in rows:
        counts = ["-" if count is None else str(count) for count in (row.tp, row.fp, row.fn)]
        ratios = [f"{ratio:.{digits}f}" for ratio in (row.precision, row.recall, row.f1)]
        cells.append(["" if row.tomogram == previous else row.tomogram, row.method, *counts, *ratios])
        previous = row.tomogram
    return markdown_table(header, cells, left=2)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Write a Markdown table that is also readable as text.

    Parameters
    ----------
    header : sequence of str
        Column names.
    rows : sequence of sequence of str
        As many cells each as the header.
    left : int
        So many first columns are aligned to the left, the others to the right.

    Returns
    -------
    str
        Without a newline at the end.
    """
    table = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*table, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if index < left else "-" * (width - 1) + ":" for index, width in enumerate(widths)]
    return "\n".join([line(table[0]), line(rule), *(line(row) for row in table[1:])])


def _row(name: str, method: str, result: Evaluation) -> EvaluationRow:
    return EvaluationRow(name, method, result.tp, result.fp, result.fn, result.precision, result.recall, result.f1)
