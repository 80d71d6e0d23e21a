"""Parsers of command-line values: ``X,Y,Z``, ``NAME=VALUE``, ``KIND=FILE``, a tolerance.

Errors name the option and show an example.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from tomopicker.errors import UsageError
from tomopicker.wording import wrong_value

_INVALID_IN_KIND = re.compile(r"[\s/\\=,'\"#]")
"""Characters that cannot be in the name of a kind, which is part of file names, STAR, CSV and options."""


def three_numbers(text: str, flag: str, example: str = "0.5,0.5,0") -> tuple[float, float, float]:
    """Parse ``X,Y,Z``.

    Raises `UsageError` if it is not three finite numbers.
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} {text}: give three numbers, X,Y,Z, such as {example}") from error
    if not all(abs(number) < float("inf") for number in (x, y, z)):
        raise UsageError(f"{flag} {text}: give three finite numbers, X,Y,Z")
    return x, y, z


def size_in_voxels(text: str, minimum: int = 1) -> tuple[int, int, int]:
    """Parse a size in voxels, x first, to the shape (z, y, x).

    Raises `UsageError` if it is not three whole numbers, or one is less than `minimum`.
    """
    try:
        x, y, z = (int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise UsageError(f"--shape {text}: give three whole numbers of voxels, X,Y,Z, such as 960,928,500") from error
    if min(x, y, z) < minimum:
        raise UsageError(f"--shape {text}: each size must be at least {minimum} voxel{'s' * (minimum > 1)}, X,Y,Z")
    return z, y, x


def named_values(
    texts: Sequence[str], example: str, flag: str = "--set", taken: Collection[str] = ()
) -> dict[str, str]:
    """Parse ``NAME=VALUE`` options.

    Raises `UsageError` if there is no ``=``, or a name is given twice, here or by another option (`taken`).
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{flag} {text}: give NAME=VALUE, such as {example}")
        if name in taken or name in values:
            raise UsageError(f"{flag} {text}: is given twice")
        values[name] = value
    return values


def check_positive(flag: str, value: float | None) -> None:
    """Raise `UsageError` if a number is given that is not positive and finite."""
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"{flag} {value:g} is invalid; give a positive number")


def parse_tolerance(text: str) -> tuple[float, bool]:
    """Parse a tolerance: the number, and True if it is in Å, not voxels.

    Raises `UsageError` if it is neither.
    """
    match = re.fullmatch(
        r"\s*([0-9.]+(?:e[+-]?\d+)?)\s*(|v|vox|voxels?|px|pixels?|a|å|ang|angstroms?)\s*", text.lower()
    )
    try:
        length = float(match.group(1)) if match else 0.0
    except ValueError:
        length = 0.0
    if match is None or not 0 < length < float("inf"):
        raise UsageError(f"--tolerance {text}: give voxels such as 10 or 10vox, or Å such as 135A")
    return length, match.group(2).startswith(("a", "å"))


def check_kind(kind: str) -> str:
    """Return the name of a kind of particle; raise `UsageError` if files or options cannot contain it."""
    if not kind or _INVALID_IN_KIND.search(kind) or kind.startswith((".", "-")):
        raise UsageError(f"'{kind}' cannot name a kind of particle; use letters, digits, - and _, such as 'ribosome'")
    return kind


def diameters_by_kind(given: Sequence[str]) -> tuple[float | None, dict[str, float]]:
    """Parse ``Å`` and ``KIND=Å`` to the common diameter (the last one given; None for none) and those of kinds, in Å.

    Raises `UsageError` if one is not a number, or that of a kind is not positive or is given twice.
    """
    common, of_kind = None, dict[str, float]()
    for text in given:
        kind, sign, number = text.rpartition("=")
        try:
            length = float(number)
        except ValueError as error:
            raise UsageError(f"--particle-diameter: {wrong_value('float_parsing', number, '')}") from error
        if not sign:
            common = length
            continue
        if not 0 < length < float("inf"):
            raise UsageError(f"--particle-diameter {text} is invalid; give a positive number")
        if check_kind(kind) in of_kind:
            raise UsageError(f"--particle-diameter: the diameter of {kind} is given twice; give it once")
        of_kind[kind] = length
    return common, of_kind


def files_by_kind(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Group ``KIND=FILE`` by kind; files without a kind are under an empty name.

    Raises `UsageError` if a kind or a file is missing, or a name is invalid.
    """
    files: dict[str, list[Path]] = {}
    for path in paths:
        kind, sign, file = str(path).partition("=")
        if not sign or "/" in kind or path.exists():
            kind, file = "", str(path)
        elif not kind or not file:
            raise UsageError(f"{path}: give KIND=FILE, such as ribosome=clicks.star")
        files.setdefault(check_kind(kind) if kind else "", []).append(Path(file))
    return files
