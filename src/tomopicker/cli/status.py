"""``tomopicker status``: the progress of a run of many tomograms, from any machine."""

from pathlib import Path
from typing import Annotated

from tomopicker.cli.options import argument
from tomopicker.cli.progress import Reporter

HELP = """Show the progress of a run of pick: done, running, failed and why, and the estimated end.

[bold]Example[/bold]

  [cyan]tomopicker status picks[/cyan]   while it runs and afterwards, from any machine that sees the folder

The folder's [cyan]pick.log[/cyan] has a line for each tomogram."""


def command(folder: Annotated[Path, argument("Output folder of tomopicker pick.", "DIR")]) -> None:
    """Read and print."""
    from tomopicker.cluster.status import status_lines

    with Reporter() as reporter:
        for line in status_lines(folder):
            reporter.log(line)
