"""Values that a user types: ``X,Y,Z``, ``NAME=VALUE``, ``KIND=FILE``, a tolerance.

An error names the option and shows an example.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from tomopicker.errors import UsageError
from tomopicker.wording import wrong_value

_NOT_IN_KINDS = re.compile(r"[\s/\\=,'\"#]")
"""Characters that the name of a kind cannot have: it is part of file names, of STAR and CSV, and of flags."""


def three_numbers(text: str, flag: str, example: str = "0.5,0.5,0") -> tuple[float, float, float]:
    """Read ``X,Y,Z``.

    Raises `UsageError` if it is not three finite numbers.
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} {text}: give three numbers, X,Y,Z, such as {example}") from error
    if not all(abs(number) < float("inf") for number in (x, y, z)):
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


def named_values(
    texts: Sequence[str], example: str, flag: str = "--set", taken: Collection[str] = ()
) -> dict[str, str]:
    """Read ``NAME=VALUE`` options; names that another option has given (`taken`) are refused.

    Raises `UsageError` if there is no ``=``, or a name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{flag} {text}: give NAME=VALUE, such as {example}")
        if name in taken or name in found:
            raise UsageError(f"{flag} {text}: is given twice")
        found[name] = value
    return found


def check_positive(flag: str, value: float | None) -> None:
    """Refuse a number that is not positive and finite."""
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"{flag} {value:g} is invalid; give a positive number")


def parse_tolerance(text: str) -> tuple[float, bool]:
    """Read a tolerance: the number, and whether it is in Å rather than voxels.

    Raises `UsageError` if it is neither.
    """
    read = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?\d+)?)\s*(|v|vox|voxels?|px|pixels?|a|å|ang|angstroms?)\s*", text.lower())
    try:
        length = float(read.group(1)) if read else 0.0
    except ValueError:
        length = 0.0
    if read is None or not 0 < length < float("inf"):
        raise UsageError(f"--tolerance {text}: give voxels such as 10 or 10vox, or Å such as 135A")
    return length, read.group(2).startswith(("a", "å"))


def check_kind(kind: str) -> str:
    """Refuse a name of a kind of particle that files and flags cannot have; give it back."""
    if not kind or _NOT_IN_KINDS.search(kind) or kind.startswith((".", "-")):
        raise UsageError(f"'{kind}' cannot name a kind of particle; use letters, digits, - and _, such as 'ribosome'")
    return kind


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
            raise UsageError(f"--particle-diameter: {wrong_value('float_parsing', number, '')}") from error
        if not sign:
            common = length
            continue
        if not 0 < length < float("inf"):
            raise UsageError(f"--particle-diameter {text} is invalid; give a positive number")
        if check_kind(kind) in found:
            raise UsageError(f"--particle-diameter: the diameter of {kind} is given twice; give it once")
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
        found.setdefault(check_kind(kind) if kind else "", []).append(Path(file))
    return found
