"""Options of the command line, each declared once: type, unit, help, default and panel.

Those that are settings are declared in `tomopicker.config`. Options that belong together form an `OptionGroup`: a
command with a parameter of that type takes all of them (`with_groups`).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.io.coordinate_units import CoordinateUnits
    from tomopicker.io.volumes.arrays import ReadOptions
    from tomopicker.picking.selection import Selection
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram

INPUT, PICKING, MORE = "Input", "Picking", "More"
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

    Raises
    ------
    UsageError
        If it is not three finite numbers.
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

    Raises
    ------
    UsageError
        If it is not three whole numbers, or one is less than `least`.
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
        default="as in picks.json next to the picks", panel=INPUT,
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
    str | None,
    option("Format of the picks.", "--from", unit="FORMAT", default="recognised by content", panel=INPUT),
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


@dataclass(frozen=True)
class TomogramOptions(OptionGroup):
    """How the files of tomograms are read."""

    voxel_size: VoxelSize = None
    dataset: Dataset = None
    axes: Axes = None

    def __post_init__(self) -> None:
        check_positive("--voxel-size", self.voxel_size)
        _ = self.stored  # Refuses invalid axes.

    @property
    def stored(self) -> "ReadOptions":
        """Array and axes."""
        from tomopicker.io.volumes.arrays import ReadOptions

        return ReadOptions(self.dataset, self.axes)

    def open(self, paths: list[Path], reporter: "Reporter", *, invert: bool = False) -> "list[Tomogram]":
        """Open the tomograms at paths, files or folders; suspicious headers are printed."""
        from tomopicker import io

        return [self.open_one(path, reporter, invert=invert) for path in io.volume_files(paths)]

    def open_one(self, path: Path, reporter: "Reporter", *, invert: bool = False) -> "Tomogram":
        """Open one tomogram; suspicious headers are printed."""
        from tomopicker import io

        tomogram = io.open_tomogram(path, voxel_size=self.voxel_size, invert=invert, options=self.stored)
        for warning in tomogram.warnings:
            reporter.warn(warning)
        return tomogram


@dataclass(frozen=True)
class CoordinateOptions(OptionGroup):
    """Unit and format of picks, and which classes are read."""

    from_format: FromFormat = None
    picks_unit: PicksUnit = None
    picks_pixel_size: PicksPixelSize = None
    classes: Classes = None

    @property
    def units(self) -> "CoordinateUnits":
        """For the readers."""
        from tomopicker.io.coordinate_units import CoordinateUnits

        return CoordinateUnits(self.picks_unit, self.picks_pixel_size, tuple(self.classes or ()), self.from_format)


@dataclass(frozen=True)
class PickedInput(OptionGroup):
    """Picks and their tomograms."""

    picks: PicksFile
    tomograms: Tomograms
    coordinates: CoordinateOptions
    reading: TomogramOptions
    invert: Invert = False

    def read(
        self, reporter: "Reporter", *, check_inside: bool = True, keeps_classes: bool = False
    ) -> "tuple[list[Tomogram], Picks]":
        """Open the tomograms and read their picks; picks of other tomograms are left out with a warning.

        Raises
        ------
        TomoPickerError
            If a file is missing or invalid, or a pick lies outside and `check_inside`.
        """
        from tomopicker.cli.inputs import read_picks
        from tomopicker.output.find import files_of_picks

        opened = self.reading.open(self.tomograms, reporter, invert=self.invert)
        found = read_picks(
            files_of_picks(self.picks), opened, reporter, self.coordinates.units,
            check_inside=check_inside, keeps_classes=keeps_classes,
        )  # fmt: skip
        return opened, found


@dataclass(frozen=True)
class SelectionOptions(OptionGroup):
    """Which candidates become picks."""

    threshold: Annotated[
        float | None,
        option(
            "Minimum probability of a pick.", unit="P", default="the best expected F1 of each tomogram", panel=PICKING
        ),
    ] = None
    target_precision: Annotated[
        float | None,
        option("As many picks as keep the expected precision at P or above.", unit="P", panel=PICKING),
    ] = None
    target_fdr: Annotated[
        float | None,
        option("As many picks as keep the expected false discovery rate at Q or below.", unit="Q", panel=PICKING),
    ] = None
    max_particles: Annotated[
        int | None, option("Keep only the N best of each tomogram.", unit="N", default="all", panel=PICKING)
    ] = None

    def cut(self) -> "Selection":
        """Combine the options.

        Raises
        ------
        UsageError
            If one is out of range, or two of the first three are given.
        """
        from tomopicker.picking.selection import Selection

        shares = {
            "--threshold": self.threshold, "--target-precision": self.target_precision, "--target-fdr": self.target_fdr,
        }  # fmt: skip
        given = {name: value for name, value in shares.items() if value is not None}
        for name, value in given.items():
            if not 0 <= value <= 1:
                raise UsageError(f"{name} {value:g} is invalid; give a probability between 0 and 1")
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
        if self.max_particles is not None and self.max_particles < 1:
            raise UsageError(f"--max-particles {self.max_particles} is invalid; give 1 or more, or leave it out")
        precision = self.target_precision if self.target_fdr is None else 1 - self.target_fdr
        return Selection(self.threshold, precision, self.max_particles)
