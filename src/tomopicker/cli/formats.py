"""``tomopicker formats``: the table of file formats, as `tomopicker.formats.catalogue` has it."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from tomopicker.formats.catalogue import Format

HELP = """List the file formats that are read and written.

[bold]Examples[/bold]

  [cyan]tomopicker formats[/cyan]
  [cyan]tomopicker formats picks[/cyan]

The first column is the word that [cyan]convert --from[/cyan] and [cyan]--to[/cyan] take. Units are turned into each
other; angles and classes are carried where both sides have them. docs/formats.md says more of each."""


def command(
    kind: Annotated[
        Literal["volume", "picks"] | None,
        typer.Argument(metavar="[volume|picks]", help="Tomograms or picks alone.", show_default=False),
    ] = None,
) -> None:
    """Print the table."""
    from rich.console import Console

    from tomopicker.formats.catalogue import FORMATS

    Console().print(_table([entry for entry in FORMATS if kind is None or entry.kind == kind]))


def _table(entries: "list[Format]") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), leading=0)
    for name in ("format", "files", "holds", "", "unit", "zero", "score", "angles"):
        table.add_column(name, overflow="fold", no_wrap=name in {"format", ""})
    for entry in sorted(entries, key=lambda entry: (entry.kind != "volume", entry.name)):
        table.add_row(
            entry.name, " ".join(entry.suffixes), entry.title, access(entry), entry.unit, entry.origin, entry.score,
            entry.angles,
        )  # fmt: skip
    return table


def access(entry: "Format") -> str:
    """Say in two letters whether a format is read and written."""
    return ("r" if entry.reader and not entry.refused else "-") + ("w" if entry.writer else "-")
