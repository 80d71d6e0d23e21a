"""Options whose values may be of one kind of particle: ``--picks ribosome=a.star``, ``--particle-diameter fas=270``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tomopicker.cli.options import INPUT, option
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.wording import wrong_value

if TYPE_CHECKING:
    from tomopicker.io.coordinate_units import CoordinateUnits
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram

FLAG = "--particle-diameter"
FilesByKind = Mapping[str, Sequence[Path]]
"""Files by the kind of particle that is named before them; without a name, under an empty one."""


class Diameter(NamedTuple):
    """A diameter in Å, and the kind of particle that it is of; of all others if that is empty."""

    kind: str
    length: float


def read_diameter(text: str) -> Diameter:
    """Read ``Å`` or ``KIND=Å``."""
    kind, sign, number = text.rpartition("=")
    try:
        length = float(number)
    except ValueError as error:
        raise typer.BadParameter(wrong_value("float_parsing", number, "")) from error
    if sign:
        _check_kind(kind)
        if not 0 < length < float("inf"):
            raise UsageError(f"{FLAG} {text} is invalid; give a positive number")
    return Diameter(kind, length)


def diameter_option(default: str = "") -> Any:
    """Declare the diameters of one kind of particle, or of several."""
    help = "Diameter of the particle. Repeat it for several kinds."
    return option(help, FLAG, "-d", unit="[KIND=]Å", default=default, panel=INPUT, parser=read_diameter)


ParticleDiameters = Annotated[list[Diameter], diameter_option()]


def diameters_by_kind(given: Sequence[Diameter]) -> tuple[float | None, dict[str, float]]:
    """Separate the common diameter, if given (the last one counts), from those of single kinds, in Å.

    Raises `UsageError` if that of a kind is given twice.
    """
    found: dict[str, float] = {}
    for kind, length in given:
        if kind and kind in found:
            raise UsageError(f"{FLAG}: the diameter of {kind} is given twice; give it once")
        found[kind] = length
    return found.pop("", None), found


def files_by_kind(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Group files by kind, ``KIND=FILE``.

    Raises `UsageError` if a kind or a file is missing, or a name cannot be that of a kind.
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        kind, sign, file = str(path).partition("=")
        if not sign or "/" in kind or path.exists():
            kind, file = "", str(path)
        elif not kind or not file:
            raise UsageError(f"{path}: give KIND=FILE, such as ribosome=clicks.star")
        else:
            _check_kind(kind)
        found.setdefault(kind, []).append(Path(file))
    return found


def listed(files: FilesByKind) -> list[Path]:
    """List the files of all kinds."""
    return [file for paths in files.values() for file in paths]


def read_by_kind(
    files: FilesByKind,
    tomograms: "Sequence[Tomogram]",
    *,
    reporter: Reporter,
    units: "CoordinateUnits",
    keeps_classes: bool = False,
    takes_classes: bool = True,
    class_numbers: bool = False,
) -> "Picks":
    """Read picks whose kind is named before their file or in a column.

    `files` may be folders. Classes count as kinds where no column ``kind`` states these (`takes_classes`), and RELION's
    class numbers, too (`class_numbers`); the others are as for `tomopicker.cli.groups.read_picks`.
    """
    from tomopicker.cli.groups import read_picks
    from tomopicker.io.classes import with_kinds
    from tomopicker.output.find import files_of_picks
    from tomopicker.picks import Picks

    parts = []
    for kind, paths in files.items():
        inside = [file for path in paths for file in files_of_picks(path)]
        found = read_picks(inside, tomograms, reporter, units, keeps_classes=keeps_classes or class_numbers)
        if kind:
            found = found.with_kind(kind)
        elif takes_classes:
            found = with_kinds(found, class_numbers=True) if class_numbers else found
        parts.append(found)
    return parts[0] if len(parts) == 1 else Picks.concatenate(parts)


def _check_kind(kind: str) -> None:
    from tomopicker.pipeline.kinds import check_kind

    check_kind(kind)
