"""Options whose values may be of one kind of particle: ``--picks ribosome=a.star``, ``--particle-diameter fas=270``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from tomopicker.cli.options import INPUT, option
from tomopicker.errors import UsageError
from tomopicker.wording import wrong_value

FLAG = "--particle-diameter"


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


def diameter_option(words: str = "") -> Any:
    """Declare the diameters of one kind of particle, or of several; `words` describe the default."""
    help = "Diameter of the particle. Repeat it for several kinds."
    return option(..., help, FLAG, "-d", unit="[KIND=]Å", words=words, panel=INPUT, parser=read_diameter)


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
    """Group files by kind, ``KIND=FILE``; without a name, under an empty one.

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


def _check_kind(kind: str) -> None:
    from tomopicker.pipeline.kinds import check_kind

    check_kind(kind)
