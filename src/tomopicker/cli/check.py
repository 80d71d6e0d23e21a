"""``tomopicker check``: do these picks lie on particles of these tomograms?"""

from pathlib import Path
from typing import Annotated

import typer

from tomopicker.cli.options import ParticleDiameter, PickedInput, check_positive, option
from tomopicker.errors import UsageError
from tomopicker.wording import number_of

HELP = """Test whether picks lie on particles, before anything is built on them.

[bold]Examples[/bold]

  [cyan]tomopicker check particles.star TS_0001.mrc --particle-diameter 300[/cyan]
  [cyan]tomopicker check picks/picks.star tomograms/ --particle-diameter 300 --output check.pdf[/cyan]

Are positions inside the tomogram? Is there more contrast at them than elsewhere? Would another order or direction of
the axes, another scale or another origin fit better? Do picks fit another of the tomograms? Is their mean centred, to
a fraction of a voxel? Do two lie on one particle?

Each test prints its result and what to do; the picture shows the mean of the picks, single ones, and a section. The
exit code is 1 if a test fails."""


def command(
    given: PickedInput,
    particle_diameter: ParticleDiameter,
    output: Annotated[Path, option("The picture: .png, .svg or .pdf.", "--output", "-o", unit="FILE")] = Path(
        "check.png"
    ),
) -> None:
    """Parse, open, test, print and draw."""
    from tomopicker.cli.progress import Reporter
    from tomopicker.files import check_writable

    check_positive("--particle-diameter", particle_diameter)
    if output.suffix.lower() not in {".png", ".svg", ".pdf"}:
        raise UsageError(f"--output {output}: a picture is .png, .svg or .pdf; choose one of these suffixes")
    with Reporter() as reporter:
        check_writable(output.parent)
        opened, found = given.read(reporter, check_inside=False)
        from tomopicker.diagnostics.check import check
        from tomopicker.output.check_figure import check_figure
        from tomopicker.output.terminal import findings_table
        from tomopicker.pipeline.input_checks import check_diameter, doubtful_diameter

        for tomogram in opened:
            check_diameter(particle_diameter, tomogram)
            if doubt := doubtful_diameter(particle_diameter, tomogram):
                reporter.warn(doubt)
        checked = check(opened, found, particle_diameter)
        reporter.console.print(findings_table(checked.findings))
        most = max(found.tomogram_names, key=lambda name: len(found.in_tomogram(name)))
        shown = next(tomogram for tomogram in opened if tomogram.name == most)
        positions = found.in_tomogram(most).positions
        check_figure(shown, positions, checked.means, checked.mean_voxel_size, particle_diameter, output)
        of = f"{number_of(len(found), 'pick')} of {number_of(len(found.tomogram_names), 'tomogram')}"
        if checked.undecided and not checked.faults:
            reporter.say(f"Cannot tell whether these picks are right ({of}): look at {output}.")
        else:
            words = "These picks are not right" if checked.faults else "No fault found"
            reporter.say(f"{words} ({of}); see {output}.")
        if checked.faults:
            raise typer.Exit(1)
