"""Summarise a folder of picks on one page: counts, outliers, the mean, slices.

[bold]Examples[/bold]

  [cyan]tomopicker report picks[/cyan]
  [cyan]tomopicker report picks --negatives rejected.csv --output ribosomes.html[/cyan]

One self-contained HTML file, to open from the disk, mail or print.
[cyan]tomopicker pick[/cyan] writes it at the end of a run. It shows counts of each tomogram with intervals and
those that are unusual, scores and thresholds, expected precision and recall, the mean in three planes, distances of
neighbours, the best picks, the most uncertain candidates, the best of those left out and, with --negatives, what you
rejected, slices with picks, settings and versions.
"""

from pathlib import Path

from tomopicker.cli.groups import CoordinateOptions
from tomopicker.cli.options import INPUT, PicksFolder, option
from tomopicker.cli.progress import Reporter
from tomopicker.files import check_suffix, check_writable


def command(
    *,
    folder: PicksFolder,
    negatives: list[Path] | None = option(
        None, "Positions that are not particles, to show as well.", unit="FILE", words="none", panel=INPUT
    ),
    output: Path | None = option(None, "HTML file.", "--output", "-o", unit="FILE", words="report.html in DIR"),
    coordinates: CoordinateOptions,
    reporter: Reporter,
) -> None:
    """Write the page."""
    from tomopicker.output.find import files_of_picks
    from tomopicker.output.picks_report import write_report

    if output is not None:
        check_suffix(output, (".html", ".htm"), "the report (--output)")
    check_writable((output or folder / "x").parent)
    files = [file for path in negatives or [] for file in files_of_picks(path)]
    with reporter.showing_warnings():
        page = write_report(folder, output, files, coordinates.units)
    reporter.log(f"Report: {page}")
