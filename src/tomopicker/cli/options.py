"""Arguments and options that several commands share, each written down once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

INPUT, PICKING, MORE = "Input", "Picking", "More"

Tomograms = Annotated[
    list[Path],
    typer.Argument(
        metavar="TOMOGRAM",
        help="Tomograms, or folders of them: MRC, OME-Zarr, HDF5, TIFF, EM.",
        show_default=False,
    ),
]
PicksFile = Annotated[Path, typer.Argument(metavar="PICKS", help="File of picks, or a folder.", show_default=False)]
FromFormat = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FORMAT",
        help="Format of PICKS.  [dim]\\[default: told by content][/dim]",
        rich_help_panel=INPUT,
    ),
]
VoxelSize = Annotated[
    float | None,
    typer.Option(
        metavar="Å", help="Voxel size of the tomograms.  [dim]\\[default: their headers'][/dim]", rich_help_panel=INPUT
    ),
]
Invert = Annotated[
    bool,
    typer.Option("--invert", help="Protein is bright in the tomograms. Usually it is dark.", rich_help_panel=INPUT),
]
PickInvert = Annotated[
    bool | None,
    typer.Option(
        "--invert/--no-invert",
        help="Protein is bright in the tomograms.  [dim]\\[default: as in training][/dim]",
        rich_help_panel=INPUT,
        show_default=False,
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Array of an HDF5 or Zarr file that holds several.  [dim]\\[default: the only one][/dim]",
        rich_help_panel=INPUT,
    ),
]
Axes = Annotated[
    str | None,
    typer.Option(
        metavar="ZYX",
        help="Order of the axes in the file, slowest first.  [dim]\\[default: as it says, else zyx][/dim]",
        rich_help_panel=INPUT,
    ),
]
PicksUnit = Annotated[
    Literal["voxel", "angstrom", "fraction"] | None,
    typer.Option(
        help="What the coordinates of picks count.  [dim]\\[default: as their files say; plain CSV: voxel][/dim]",
        rich_help_panel=INPUT,
    ),
]
PicksPixelSize = Annotated[
    float | None,
    typer.Option(
        metavar="Å",
        help="Size of the pixels that the coordinates of picks count.  [dim]\\[default: as their files say, else the "
        "tomogram's voxels][/dim]",
        rich_help_panel=INPUT,
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="NAME",
        help="Take only the picks of this class, a name or a number; repeat it for several.  "
        "[dim]\\[default: all][/dim]",
        rich_help_panel=INPUT,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="cpu, cuda, cuda:1, mps.  [dim]\\[default: the best there is][/dim]", rich_help_panel=MORE
    ),
]
