"""``tomopicker check``: do these picks lie on particles of these tomograms?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.picked_input import PickedInput, takes_picks
from tomopicker.errors import UsageError
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from rich.table import Table

    from tomopicker.checking.verdict import Finding
    from tomopicker.cli.progress import Reporter
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram

HELP = """Test whether picks lie on particles, before anything is built on them.

[bold]Examples[/bold]

  [cyan]tomopicker check particles.star TS_0001.mrc --particle-diameter 300[/cyan]
  [cyan]tomopicker check picks/picks.star tomograms/ --particle-diameter 300 --output check.pdf[/cyan]

Are positions inside the tomogram? Is there more contrast at them than elsewhere? Would another order or direction of
the axes, another scale or another origin fit better? Do picks fit another of the tomograms? Is their mean centred, to
a fraction of a voxel? Do two lie on one particle?

Picks of several kinds, named in a column [bold]kind[/bold], are tested kind by kind, each with a picture of its own.
One line a test says what was found and what to do; the picture shows the mean of the picks, single ones, and a section.
The exit code is 1 if there is a fault."""


@takes_picks
def command(
    given: PickedInput,
    particle_diameter: Annotated[
        list[str],
        typer.Option(
            "--particle-diameter",
            "-d",
            metavar="[KIND=]Å",
            help="Of the particle. Repeat it for several kinds.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The picture: .png, .svg or .pdf.")
    ] = Path("check.png"),
) -> None:
    """Parse, open, test, print and draw."""
    from tomopicker.cli.inputs import check_writable
    from tomopicker.cli.kinds import lengths_by_kind
    from tomopicker.cli.progress import Reporter

    usual, diameters = lengths_by_kind(particle_diameter)
    if output.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise UsageError(f"--output {output}: a picture is .png, .svg or .pdf; choose one of these suffixes")
    with Reporter() as reporter:
        check_writable(output.parent)
        opened, found = given.read(reporter, check_inside=False, keeps_classes=bool(diameters))
        from tomopicker.formats.classes import with_kinds
        from tomopicker.workflow.kinds.clicks import diameters_of, several_kinds

        found = with_kinds(found, class_numbers=bool(diameters))
        kinds = several_kinds(found)
        sizes = diameters_of(kinds or [(found.kind_names or [""])[0]], diameters, usual)
        faults = 0
        for kind, size in sizes.items():
            if kinds:
                reporter.say(f"{kind}, {size:g} Å:")
            mine = found.of_kind(kind) if kinds else found
            picture = output.with_name(f"{output.stem}.{kind}{output.suffix}") if kinds else output
            faults += _check(opened, mine, size, picture, reporter)
        if faults:
            raise typer.Exit(1)


def _check(tomograms: "list[Tomogram]", found: "Picks", diameter: float, output: Path, reporter: "Reporter") -> int:
    """Test the picks of one kind, print and draw; give the number of faults."""
    from tomopicker.checking.check import check
    from tomopicker.report.check_figure import check_figure
    from tomopicker.workflow.inputs import check_diameter, doubtful_diameter

    for tomogram in tomograms:
        check_diameter(diameter, tomogram)
        if doubt := doubtful_diameter(diameter, tomogram):
            reporter.warn(doubt)
    checked = check(tomograms, found, diameter)
    reporter.console.print(_table(checked.findings))
    most = max(found.tomogram_names, key=lambda name: len(found.in_tomogram(name)))
    shown = next(tomogram for tomogram in tomograms if tomogram.name == most)
    positions = found.in_tomogram(most).positions
    check_figure(shown, positions, checked.means, checked.mean_voxel_size, diameter, output)
    of = f"{number_of(len(found), 'pick')} of {number_of(len(found.tomogram_names), 'tomogram')}"
    if checked.undecided and not checked.faults:
        reporter.say(f"Cannot tell whether these picks are right ({of}): look at {output}.")
    else:
        words = "These picks are not right" if checked.faults else "No fault found"
        reporter.say(f"{words} ({of}); see {output}.")
    return checked.faults


def _table(findings: "list[Finding]") -> "Table":
    """Lay out a line a test, and what to do below it."""
    from rich.markup import escape
    from rich.table import Table

    colours = {"ok": "green", "look": "yellow", "FAULT": "bold red"}
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        word = finding.status.value
        table.add_row(f"[{colours[word]}]{word}[/]", finding.test, escape(finding.says))
        if finding.remedy:
            table.add_row("", "", f"→ {escape(finding.remedy)}")
    return table
