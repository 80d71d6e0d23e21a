"""Options of the command line, each declared once: type, unit, help, default and panel.

Those that are settings are declared in `tomopicker.config`. Options that belong together form an `OptionGroup` (see
`groups`): a command with a parameter of that type takes all of them (`with_groups`).
"""

import inspect
from collections.abc import Callable
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tomopicker.errors import UsageError

INPUT, PICKING, CLUSTER, MORE = "Input", "Picking", "Many machines", "More"
VOLUMES = "MRC, OME-Zarr, HDF5, TIFF, EM."


def option(
    help: str, *flags: str, unit: str | None = None, default: str = "", panel: str | None = None, **more: Any
) -> Any:
    """Declare an option.

    Parameters
    ----------
    help : str
        What it does.
    flags : str
        Its names, if not that of the parameter.
    unit : str, optional
        Unit of a number, or a word for the value.
    default : str
        The default in words, where the value is not self-explanatory.
    panel : str, optional
        Of the help.
    """
    note = f"  [dim]\\[default: {default}][/dim]" if default else ""
    more.setdefault("show_default", not default)
    return typer.Option(*flags, help=help + note, metavar=unit, rich_help_panel=panel, **more)


def switch(help: str, flag: str, panel: str | None = None) -> Any:
    """Declare an option without a value."""
    return option(help, flag, panel=panel)


def argument(help: str, name: str) -> Any:
    """Declare an argument."""
    return typer.Argument(help=help, metavar=name, show_default=False)


def help_text(text: str) -> str:
    """Join the lines of each paragraph, so that the terminal wraps them; indented lines stay as they are."""
    return "\n\n".join(
        paragraph if paragraph.startswith("  ") else paragraph.replace("\n", " ") for paragraph in text.split("\n\n")
    )


class OptionGroup:
    """Options that a command, or another group, takes together."""


def with_groups(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of each `OptionGroup` among its parameters, in the place of the group."""
    parameters = inspect.signature(command).parameters
    groups = {
        name: with_groups(each.annotation)
        for name, each in parameters.items()
        if isinstance(each.annotation, type) and issubclass(each.annotation, OptionGroup)
    }
    members = {name: inspect.signature(group).parameters for name, group in groups.items()}

    @wraps(command, updated=())
    def called(**given: Any) -> Any:
        for name, group in groups.items():
            given[name] = group(**{member: given.pop(member) for member in members[name]})
        return command(**given)

    flat = [each for name, own in parameters.items() for each in (members[name].values() if name in members else [own])]
    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in flat]
    called.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    called.__annotations__ = {}  # Typer reads these too, and they would be the command's.
    return called


def three_numbers(text: str, flag: str) -> tuple[float, float, float]:
    """Read ``X,Y,Z``.

    Raises `UsageError` if it is not three finite numbers.
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} {text}: give three numbers, X,Y,Z, such as 0.5,0.5,0") from error
    if not (isfinite(x) and isfinite(y) and isfinite(z)):
        raise UsageError(f"{flag} {text}: give three finite numbers, X,Y,Z")
    return x, y, z


def size_in_voxels(text: str, least: int = 1) -> tuple[int, int, int]:
    """Read a size in voxels, x first, as the shape (z, y, x).

    Raises `UsageError` if it is not three whole numbers, or one is less than `least`.
    """
    try:
        x, y, z = (int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise UsageError(f"--shape {text}: give three whole numbers of voxels, X,Y,Z, such as 960,928,500") from error
    if min(x, y, z) < least:
        raise UsageError(f"--shape {text}: each size must be at least {least} voxel{'s' * (least > 1)}, X,Y,Z")
    return z, y, x


def check_positive(flag: str, value: float | None) -> None:
    """Refuse a number that is not positive and finite."""
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"{flag} {value:g} is invalid; give a positive number")


Tomograms = Annotated[list[Path], argument(f"Tomograms, or folders of them: {VOLUMES}", "TOMOGRAM")]
SomeTomograms = Annotated[list[Path] | None, argument(f"Tomograms, or folders of them: {VOLUMES}", "[TOMOGRAM]...")]
TomogramList = Annotated[
    list[Path] | None,
    option(
        "The tomograms, a folder of them, or a RELION 5 tomograms.star: for sizes and names.", unit="PATH",
        default="as in the picks.json of a folder of picks", panel=INPUT,
    ),
]  # fmt: skip
PicksFile = Annotated[Path, argument("File of picks, or a folder.", "PICKS")]
OutputFolder = Annotated[Path, option("Folder to write to.", "--output", "-o", unit="DIR")]
ParticleDiameter = Annotated[
    float, option("Diameter of the particle.", "--particle-diameter", "-d", unit="Å", panel=INPUT)
]
VoxelSize = Annotated[
    float | None, option("Voxel size of the tomograms.", unit="Å", default="as in their headers", panel=INPUT)
]
Invert = Annotated[bool, switch("Protein is bright in the tomograms. Usually it is dark.", "--invert", INPUT)]
Dataset = Annotated[
    str | None,
    option("Array of an HDF5 or Zarr file that holds several.", unit="NAME", default="the only one", panel=INPUT),
]
Axes = Annotated[
    str | None,
    option(
        "Order of the axes in the file, slowest first.", unit="ZYX", default="as the file states, else zyx", panel=INPUT
    ),
]
FromFormat = Annotated[
    str | None, option("Format of the picks.", "--from", unit="FORMAT", default="recognised by content", panel=INPUT)
]
PicksUnit = Annotated[
    Literal["voxel", "angstrom", "fraction"] | None,
    option("Unit of the coordinates of picks.", default="as their files state; plain CSV: voxel", panel=INPUT),
]
PicksPixelSize = Annotated[
    float | None,
    option(
        "Size of the pixels that the coordinates of picks count.", unit="Å",
        default="as their files state, else the tomogram's voxels", panel=INPUT,
    ),
]  # fmt: skip
Classes = Annotated[
    list[str] | None,
    option(
        "Take only the picks of this class, a name or a number; repeat it for several.", "--class", unit="NAME",
        default="all", panel=INPUT,
    ),
]  # fmt: skip
Binning = Annotated[
    float | None, option("Pixels of the tilt series per voxel of the tomograms.", "--binning", unit="B")
]
MASK = (
    "Where the specimen is. auto: the lamella is detected; none: everywhere; or an MRC that is 1 in it, for several "
    "tomograms a folder of masks named after them."
)
Mask = Annotated[str | None, option(MASK, unit="auto|none|FILE", default="auto; paper: none", panel=INPUT)]
PickMask = Annotated[str | None, option(MASK, "--mask", unit="auto|none|FILE", default="as in training", panel=PICKING)]
Pictures = Annotated[
    bool,
    option(
        "Draw the picks of each tomogram in its fullest section: TOMOGRAM.png.",
        "--pictures/--no-pictures",
        panel=PICKING,
    ),
]
Seed = Annotated[int, option("Seed of everything random.", unit="N", min=0)]
Device = Annotated[str | None, option("cpu, cuda, cuda:1, mps.", unit="NAME", default="the best available", panel=MORE)]
Resume = Annotated[bool, switch("Continue from the checkpoints of an interrupted run.", "--resume", MORE)]
Overwrite = Annotated[bool, switch("Replace existing output.", "--overwrite", MORE)]
StartAnew = Annotated[bool, switch("Replace existing output, or discard an interrupted run.", "--overwrite", MORE)]
DryRun = Annotated[
    bool, switch("Print what would be done, refuse what would be refused, write nothing.", "--dry-run", MORE)
]
