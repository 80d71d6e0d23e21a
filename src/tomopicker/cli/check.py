"""Test whether picks lie on particles, before you train or average with them.

[bold]Examples[/bold]

  [cyan]tomopicker check particles.star TS_0001.mrc --particle-diameter 300[/cyan]
  [cyan]tomopicker check picks/picks.star tomograms/ --particle-diameter 300 --output check.pdf[/cyan]

Are positions inside the tomogram? Is there more contrast at picks than at random places? Would another order or
direction of the axes, another scale or another origin fit better? Do picks fit another of the tomograms? Is their mean
centred, to a fraction of a voxel? Do two picks lie on one particle?

Picks of several kinds, named in a column [bold]kind[/bold], are tested kind by kind, each with a picture of its own.

Each test prints its result and the remedy; the picture shows the mean of the picks, single ones, and a section. The
exit code is 1 if a test fails.
"""

from pathlib import Path

from tomopicker.cli.groups import PickedInput
from tomopicker.cli.options import ParticleDiameters, option
from tomopicker.cli.progress import Reporter
from tomopicker.files import PICTURE_SUFFIXES, check_suffix, check_writable
from tomopicker.parsing import check_positive, diameters_by_kind


def command(
    *,
    given: PickedInput,
    particle_diameter: ParticleDiameters,
    output: Path = option(Path("check.png"), "Picture to write: .png, .svg or .pdf.", "--output", "-o", unit="FILE"),
    reporter: Reporter,
) -> int:
    """Test, print and draw the picks of each kind."""
    common, diameters = diameters_by_kind(particle_diameter)
    check_positive("--particle-diameter", common)
    check_suffix(output, PICTURE_SUFFIXES, "the picture (--output)")
    check_writable(output.parent)
    opened, found = given.read(reporter, check_inside=False, keeps_classes=bool(diameters))
    from tomopicker.diagnostics.check import check
    from tomopicker.io.classes import with_kinds
    from tomopicker.output.check_figure import check_figure
    from tomopicker.output.terminal import findings_table
    from tomopicker.pipeline.input_checks import diameter_warnings
    from tomopicker.pipeline.kinds import diameters_of, kinds_of

    found = with_kinds(found, class_numbers=True) if diameters else found  # Named classes count as kinds.
    kinds, faults = kinds_of(found), 0
    for kind, diameter in diameters_of(kinds, diameters, common).items():
        picks, picture = found, output
        if len(kinds) > 1:
            reporter.log(f"{kind}, {diameter:g} Å:")
            picks, picture = found.of_kind(kind), output.with_name(f"{output.stem}.{kind}{output.suffix}")
        for warning in diameter_warnings(diameter, opened):
            reporter.warn(warning)
        checked = check(opened, picks, diameter)
        reporter.console.print(findings_table(checked.findings))
        check_figure(checked, opened, picks, diameter, picture)
        reporter.log(f"{checked.verdict} ({picks.summary}); see {picture}.")
        faults += checked.faults
    return 1 if faults else 0
