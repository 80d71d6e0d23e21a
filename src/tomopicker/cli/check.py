"""``tomopicker check``: do these picks lie on particles of these tomograms?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.groups import PickedInput
from tomopicker.cli.kinds import ParticleDiameters, diameters_by_kind
from tomopicker.cli.options import check_positive, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.files import check_writable
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram

HELP = """Test whether picks lie on particles, before you train or average with them.

[bold]Examples[/bold]

  [cyan]tomopicker check particles.star TS_0001.mrc --particle-diameter 300[/cyan]
  [cyan]tomopicker check picks/picks.star tomograms/ --particle-diameter 300 --output check.pdf[/cyan]

Are positions inside the tomogram? Is there more contrast at picks than at random places? Would another order or
direction of the axes, another scale or another origin fit better? Do picks fit another of the tomograms? Is their mean
centred, to a fraction of a voxel? Do two picks lie on one particle?

Picks of several kinds, named in a column [bold]kind[/bold], are tested kind by kind, each with a picture of its own.

Each test prints its result and the remedy; the picture shows the mean of the picks, single ones, and a section. The
exit code is 1 if a test fails."""


def command(
    given: PickedInput,
    particle_diameter: ParticleDiameters,
    output: Annotated[Path, option("The picture: .png, .svg or .pdf.", "--output", "-o", unit="FILE")] = Path(
        "check.png"
    ),
) -> None:
    """Parse, open, test, print and draw."""
    common, diameters = diameters_by_kind(particle_diameter)
    check_positive("--particle-diameter", common)
    if output.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise UsageError(f"--output {output}: the picture is .png, .svg or .pdf; choose one of these suffixes")
    with Reporter() as reporter:
        check_writable(output.parent)
        opened, found = given.read(reporter, check_inside=False, keeps_classes=bool(diameters))
        from tomopicker.io.classes import with_kinds
        from tomopicker.pipeline.kinds import diameters_of, kinds_of

        found = with_kinds(found, class_numbers=True) if diameters else found  # Named classes count as kinds.
        kinds, faults = kinds_of(found), 0
        several = len(kinds) > 1
        for kind, diameter in diameters_of(kinds, diameters, common).items():
            if several:
                reporter.log(f"{kind}, {diameter:g} Å:")
            mine = found.of_kind(kind) if several else found
            picture = output.with_name(f"{output.stem}.{kind}{output.suffix}") if several else output
            faults += _check(opened, mine, diameter, picture, reporter)
        if faults:
            raise typer.Exit(1)


def _check(tomograms: "list[Tomogram]", found: "Picks", diameter: float, output: Path, reporter: Reporter) -> int:
    """Test the picks of one kind, print and draw; give the number of faults."""
    from tomopicker.diagnostics.check import check
    from tomopicker.output.check_figure import check_figure
    from tomopicker.output.terminal import findings_table
    from tomopicker.pipeline.input_checks import check_diameter, diameter_warning

    for tomogram in tomograms:
        check_diameter(diameter, tomogram)
        if doubt := diameter_warning(diameter, tomogram):
            reporter.warn(doubt)
    checked = check(tomograms, found, diameter)
    reporter.console.print(findings_table(checked.findings))
    most = max(found.tomogram_names, key=lambda name: len(found.in_tomogram(name)))
    shown = next(tomogram for tomogram in tomograms if tomogram.name == most)
    positions = found.in_tomogram(most).positions
    check_figure(shown, positions, checked.means, checked.mean_voxel_size, diameter, output)
    of = f"{number_of(len(found), 'pick')} of {number_of(len(found.tomogram_names), 'tomogram')}"
    if checked.undecided and not checked.faults:
        reporter.log(f"These tests cannot decide whether the picks are right ({of}): look at {output}.")
    else:
        words = "These picks are not right" if checked.faults else "No fault found"
        reporter.log(f"{words} ({of}); see {output}.")
    return checked.faults
