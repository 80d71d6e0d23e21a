"""Show shape, voxel size, type and statistics of tomograms, and suspicious headers.

[bold]Example[/bold]

  [cyan]tomopicker info tomograms/ TS_99.rec[/cyan]

Shapes are x × y × z. Voxels are read section by section, so that large tomograms need little memory; with
[cyan]--header[/cyan] none are read.
"""

from tomopicker.cli.groups import TomogramOptions, existing_volumes
from tomopicker.cli.options import Tomograms, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import failure_line


def command(
    *,
    tomograms: Tomograms,
    reading: TomogramOptions,
    header: bool = option(False, "Read headers only; fast.", "--header"),
    reporter: Reporter,
) -> int:
    """Print a table of tomograms."""
    from tomopicker.moments import statistics
    from tomopicker.output.terminal import volume_row, volumes_table

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
        if found and found.problem:
            reporter.warn(f"{file}: {found.problem}")
    if table.row_count:
        reporter.console.print(table)
    return 1 if failed else 0
