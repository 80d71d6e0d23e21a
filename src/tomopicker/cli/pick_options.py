"""The options of ``pick`` that no other command has."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tomopicker.cli.options import MORE, PICKING

COPICK = "copick"

ModelFile = Annotated[
    Path, typer.Option("--model", "-m", metavar="MODEL", help="From tomopicker train.", show_default=False)
]
OutputFolder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.", show_default=False)
]
SomeTomograms = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[TOMOGRAM]...",
        help="Tomograms, or folders of them: MRC, OME-Zarr, HDF5, TIFF, EM.",
        show_default=False,
    ),
]
MinDistance = Annotated[
    float | None,
    typer.Option(
        metavar="Å",
        help="Least distance of two picks.  [dim]\\[default: 0.7 particle diameters; paper: 0.5][/dim]",
        rich_help_panel=PICKING,
    ),
]
StarFormat = Annotated[
    Literal["relion5", "relion4", "relion3", "warp"],
    typer.Option(help="Whose STAR files to write; warp is for Warp and M.", rich_help_panel=PICKING),
]
SaveScores = Annotated[
    bool,
    typer.Option(
        "--save-scores",
        help="Write TOMOGRAM_scores.mrc too: the scores at the resolution the network works at, float32.",
        rich_help_panel=PICKING,
    ),
]
Pictures = Annotated[
    bool,
    typer.Option(
        "--pictures/--no-pictures",
        help="Draw the picks of each tomogram in its fullest section: TOMOGRAM.png.",
        rich_help_panel=PICKING,
    ),
]
Copick = Annotated[
    Path | None,
    typer.Option(
        metavar="CONFIG",
        help="Configuration of a copick project: picks in its tomograms and writes its picks too.",
        rich_help_panel=COPICK,
    ),
]
CopickTomogram = Annotated[
    str | None,
    typer.Option(metavar="TYPE[@Å]", help="Which tomogram of each run, such as wbp@10.", rich_help_panel=COPICK),
]
CopickObject = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The particle as the project names it.  [dim]\\[default: the only one][/dim]",
        rich_help_panel=COPICK,
    ),
]
CopickSession = Annotated[
    str, typer.Option(metavar="ID", help="Session of the picks; their user is tomopicker.", rich_help_panel=COPICK)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Pick again what is done already.", rich_help_panel=MORE)]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed", help="Try again what failed before, though the file is the same.", rich_help_panel=MORE
    ),
]
