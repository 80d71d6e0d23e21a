"""List the file formats that are read and written.

[bold]Examples[/bold]

  [cyan]tomopicker formats[/cyan]
  [cyan]tomopicker formats picks[/cyan]

The first column is the word that [cyan]convert --from[/cyan] and [cyan]--to[/cyan] take. Units are converted;
angles and classes are kept where both formats have them. r: read, w: written. See docs/formats.md.
"""

from typing import Literal

from tomopicker.cli.options import argument


def command(
    *, kind: Literal["volume", "picks"] | None = argument(None, "Tomograms or picks alone.", "[volume|picks]")
) -> None:
    """Print a paragraph per format."""
    from rich.console import Console

    from tomopicker.io.registry import FORMATS
    from tomopicker.output.terminal import formats_table

    chosen = [entry for entry in FORMATS if kind is None or entry.kind == kind]
    Console().print(formats_table(sorted(chosen, key=lambda entry: (entry.kind != "volume", entry.name))))
