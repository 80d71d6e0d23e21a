"""``tomopicker status``: how a run of many tomograms stands, from any machine."""

from pathlib import Path
from typing import Annotated

from tomopicker.cli.options import argument

HELP = """Show how a run of pick stands: done, running, failed and why, and when it should end.

[bold]Example[/bold]

  [cyan]tomopicker status picks[/cyan]   while it runs and afterwards, from any machine that sees the folder

One line for each tomogram is in the folder's [cyan]pick.log[/cyan]."""


def command(folder: Annotated[Path, argument("That tomopicker pick writes to.", "DIR")]) -> None:
    """Read and print."""
    from tomopicker.cli.progress import Reporter
    from tomopicker.cluster.status import status_lines

    with Reporter() as reporter:
        for line in status_lines(folder):
            reporter.log(line)
