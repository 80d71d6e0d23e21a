"""Write sections of tomograms as PNG files, with ticks and a grid in voxels.

[bold]Example[/bold]: look at TS_0001 without a display, read off ten particles, and mark them

  [cyan]tomopicker sections TS_0001.mrc --output sections[/cyan]
  [cyan]tomopicker sections TS_0001.mrc --output marked --picks clicks.csv[/cyan]

Copy the folder to your own machine, or open it in the file view of Jupyter or VS Code. Ticks are in
voxels, as the columns x, y, z of a CSV; 0 is the centre of the first voxel. x points right, y up; z is in the title
and the file name.
"""

from pathlib import Path

from tomopicker.cli.groups import CoordinateOptions, DensityOptions
from tomopicker.cli.options import OutputFolder, Overwrite, Tomograms, option
from tomopicker.cli.progress import Reporter
from tomopicker.files import check_writable
from tomopicker.parsing import check_positive
from tomopicker.wording import number_of


def command(
    *,
    tomograms: Tomograms,
    output: OutputFolder,
    reading: DensityOptions,
    every: float = option(100.0, "Distance between sections along z, and thickness averaged in each.", unit="Å"),
    picks: Path | None = option(None, "Clicks or picks to mark, in any supported format.", unit="FILE"),
    overwrite: Overwrite = False,
    reporter: Reporter,
) -> None:
    """Draw the sections."""
    from tomopicker.output.sections import draw_sections

    check_positive("--every", every)
    check_writable(output)
    opened = reading.open(tomograms, reporter)
    marked = None if picks is None else CoordinateOptions().read([picks], opened, reporter, keeps_classes=True)
    files = draw_sections(opened, every, output, marked, overwrite=overwrite)
    of = f"{number_of(len(files), 'section')} of {number_of(len(opened), 'tomogram')}"
    reporter.log(f"{of}, {every:g} Å apart: {files[0]} to {files[-1].name}")
