"""``tomopicker report``: a folder of picks as one page."""

from pathlib import Path
from typing import Annotated

from tomopicker.cli.options import argument, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.files import check_writable

HELP = """Summarise a folder of picks on one page: counts, outliers, the mean, slices.

[bold]Examples[/bold]

  [cyan]tomopicker report picks[/cyan]
  [cyan]tomopicker report picks --output ribosomes.html[/cyan]

One self-contained HTML file, to open from the disk, mail or print.
[cyan]tomopicker pick[/cyan] writes it at the end of a run. It shows counts of each tomogram with intervals and
those that are unusual, scores and thresholds, expected precision and recall, the mean in three planes, distances of
neighbours, the best picks, the most uncertain candidates and the best of those left out, slices with picks, settings
and versions."""


def command(
    folder: Annotated[Path, argument("Written by tomopicker pick.", "DIR")],
    output: Annotated[
        Path | None, option("The page.", "--output", "-o", unit="FILE", default="report.html in DIR")
    ] = None,
) -> None:
    """Read, draw, and write."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the one that 'tomopicker pick' wrote")
    if output is not None and output.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"--output {output}: the report is a page; name it .html")
    with Reporter() as reporter:
        check_writable((output or folder / "x").parent)
        from tomopicker.output.picks_report import write_report

        reporter.log(f"Report: {write_report(folder, output)}")
