"""``tomopicker info``: what is in a tomogram file."""

from typing import Annotated

import typer

from tomopicker.cli.groups import TomogramOptions, existing_volumes
from tomopicker.cli.options import Tomograms, switch
from tomopicker.cli.progress import Reporter
from tomopicker.errors import failure_line

HELP = """Show shape, voxel size, type and statistics of tomograms, and suspicious headers.

[bold]Example[/bold]

  [cyan]tomopicker info tomograms/ TS_99.rec[/cyan]

Shapes are x × y × z. Voxels are read section by section, so that large tomograms need little memory; with
[cyan]--header[/cyan] none are read."""


def command(
    tomograms: Tomograms,
    reading: TomogramOptions,
    header: Annotated[bool, switch("Only what the header states; fast.", "--header")] = False,
) -> None:
    """Open, and print a table."""
    from tomopicker.moments import statistics
    from tomopicker.output.terminal import volume_row, volumes_table

    with Reporter() as reporter:
        table = volumes_table(header)
        files, failed = existing_volumes(tomograms, reporter)
        for file in files:
            try:
                tomogram = reading.open_one(file, reporter)
                found = None if header else statistics(tomogram)
            except Exception as error:
                failed += 1
                reporter.failed(failure_line(error, file))
                continue
            table.add_row(*volume_row(tomogram, found))
            if found and found.not_finite:
                reporter.warn(f"{file}: {found.not_finite} voxels are NaN or infinite; 'train' and 'pick' refuse it")
            elif found and found.sd == 0:
                reporter.warn(f"{file}: all voxels are the same; 'train' and 'pick' refuse it")
        if table.row_count:
            reporter.console.print(table)
    if failed:
        raise typer.Exit(1)
