"""``tomopicker formats``: the table of file formats, as `tomopicker.formats.catalogue` has it."""

from typing import TYPE_CHECKING, Annotated, Literal

from tomopicker.cli.options import argument

if TYPE_CHECKING:
    from rich.table import Table

    from tomopicker.formats.catalogue import Format

HELP = """List the file formats that are read and written.

[bold]Examples[/bold]

  [cyan]tomopicker formats[/cyan]
  [cyan]tomopicker formats picks[/cyan]

The first column is the word that [cyan]convert --from[/cyan] and [cyan]--to[/cyan] take. Units are turned into each
other; angles and classes are carried where both sides have them. r: read, w: written. docs/formats.md says more of
each."""


def command(
    kind: Annotated[
        Literal["volume", "picks"] | None,
        argument("Tomograms or picks alone.", "[volume|picks]"),
    ] = None,
) -> None:
    """Print a paragraph a format."""
    from rich.console import Console

    from tomopicker.formats.catalogue import FORMATS

    chosen = [entry for entry in FORMATS if kind is None or entry.kind == kind]
    Console().print(_listed(sorted(chosen, key=lambda entry: (entry.kind != "volume", entry.name))))


def _listed(entries: "list[Format]") -> "Table":
    """Lay out a paragraph a format, which fits any width and breaks between words only."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(no_wrap=True)
    table.add_column()
    for entry in entries:
        facts = {"unit": entry.unit, "zero": entry.origin, "score": entry.score, "angles": entry.angles}
        if entry.kind == "volume":
            facts = {"voxel size": entry.unit}
        said = "; ".join(f"{name}: {value}" for name, value in facts.items() if value != "none")
        table.add_row(entry.name, access(entry), f"{entry.title} ({' '.join(entry.suffixes)})\n[dim]{said}[/dim]")
    return table


def access(entry: "Format") -> str:
    """Say in two letters whether a format is read and written."""
    return ("r" if entry.reader and not entry.refused else "-") + ("w" if entry.writer else "-")
