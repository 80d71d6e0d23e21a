"""Options whose values may be of one kind of particle: ``--picks ribosome=a.star``, ``--particle-diameter fas=270``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from tomopicker.cli.options import INPUT, option
from tomopicker.errors import UsageError
from tomopicker.wording import wrong_value

FLAG = "--particle-diameter"


def diameter_option(words: str = "") -> Any:
    """Declare the diameters of one kind of particle, or of several; `words` describe the default."""
    return option(
        ..., "Diameter of the particle. Repeat it for several kinds.", FLAG, "-d", unit="[KIND=]Å", words=words,
        panel=INPUT,
    )  # fmt: skip


ParticleDiameters = Annotated[list[str], diameter_option()]


def diameters_by_kind(given: Sequence[str]) -> tuple[float | None, dict[str, float]]:
    """Read ``Å`` and ``KIND=Å``: the common diameter, if given (the last one counts), and those of single kinds, in Å.

    Raises `UsageError` if one is not a number, or that of a kind is not positive or given twice.
    """
    common, found = None, dict[str, float]()
    for text in given:
        kind, sign, number = text.rpartition("=")
        try:
            length = float(number)
        except ValueError as error:
            raise UsageError(f"{FLAG}: {wrong_value('float_parsing', number, '')}") from error
        if not sign:
            common = length
            continue
        _check_kind(kind)
        if not 0 < length < float("inf"):
            raise UsageError(f"{FLAG} {text} is invalid; give a positive number")
        if kind in found:
            raise UsageError(f"{FLAG}: the diameter of {kind} is given twice; give it once")
        found[kind] = length
    return common, found


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
