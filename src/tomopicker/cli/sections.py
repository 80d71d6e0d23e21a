"""``tomopicker sections``: pictures of sections with axes in voxels, to click with nothing but a terminal."""

import math
from pathlib import Path
from typing import Annotated

import typer

from tomopicker.cli.options import Axes, Dataset, Invert, Tomograms, VoxelSize
from tomopicker.errors import UsageError
from tomopicker.wording import number_of

HELP = """Write sections of tomograms as PNG files, with ticks and a grid in voxels.

[bold]Example[/bold]: look at TS_0001 without a display, read off ten particles, and see where they lie

  [cyan]tomopicker sections TS_0001.mrc --output sections[/cyan]
  [cyan]tomopicker sections TS_0001.mrc --output marked --picks clicks.csv[/cyan]

Copy the folder to your own machine, or open it in the file view of Jupyter or VS Code. Ticks count as the columns x,
y, z of a CSV do: voxels, 0 at the centre of the first voxel. x points right, y up; z is in the title and the name."""


def command(
    tomograms: Tomograms,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.", show_default=False)
    ],
    every: Annotated[
        float, typer.Option(metavar="Å", help="Distance of two sections along z; as much is averaged in each.")
    ] = 100.0,
    picks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Clicks or picks to mark, in any format that is read.", show_default=False),
    ] = None,
    voxel_size: VoxelSize = None,
    invert: Invert = False,
    dataset: Dataset = None,
    axes: Axes = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pictures that exist.")] = False,
) -> None:
    """Parse, open, draw."""
    from tomopicker.cli.inputs import open_tomograms, read_picks
    from tomopicker.cli.progress import Reporter
    from tomopicker.files import check_writable
    from tomopicker.io.volumes.arrays import ReadOptions
    from tomopicker.output.sections import section_figure, sections_every

    if not (math.isfinite(every) and every > 0):
        raise UsageError(f"--every {every:g} cannot be; give a distance in Å, such as 100")
    with Reporter() as reporter:
        check_writable(output)
        opened = open_tomograms(
            tomograms, reporter, voxel_size=voxel_size, invert=invert, stored=ReadOptions(dataset, axes)
        )
        marked = None if picks is None else read_picks([picks], opened, reporter)
        planned = [(tomogram, z) for tomogram in opened for z in sections_every(tomogram, every)]
        files = [output / f"{tomogram.name}_z{z:04d}.png" for tomogram, z in planned]
        for file in files:
            if file.exists() and not overwrite:
                raise UsageError(f"{file}: exists already; give --overwrite to replace it, or another --output")
        for (tomogram, z), file in zip(planned, files, strict=True):
            positions = None if marked is None else marked.in_tomogram(tomogram.name).positions
            section_figure(tomogram, z, every, file, positions)
        of = f"{number_of(len(files), 'section')} of {number_of(len(opened), 'tomogram')}"
        reporter.say(f"{of}, {every:g} Å apart: {files[0]} to {files[-1].name}")
