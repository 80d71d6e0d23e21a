"""Show the progress of a run of pick: done, running, failed and why, and the estimated end.

[bold]Example[/bold]

  [cyan]tomopicker status picks[/cyan]   while it runs and afterwards, from any machine that sees the folder

The folder's [cyan]pick.log[/cyan] has a line for each tomogram.
"""

from pathlib import Path

from tomopicker.cli.options import argument
from tomopicker.cli.progress import Reporter


def command(*, folder: Path = argument(..., "Output folder of tomopicker pick.", "DIR"), reporter: Reporter) -> None:
    """Print the state of a folder's run."""
    from tomopicker.cluster.journal import status_lines

    for line in status_lines(folder):
        reporter.log(line)
