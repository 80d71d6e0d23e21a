"""Options whose values may be of one kind of particle: ``--picks ribosome=a.star``, ``--particle-diameter fas=270``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.errors import UsageError
from tomopicker.wording import wrong_value

if TYPE_CHECKING:
    from tomopicker.picks import Picks

Named = dict[str, list[Path]]


def files_by_kind(paths: Sequence[Path]) -> Named:
    """Part files by the kind that is named before them, ``KIND=FILE``; those without a name are under an empty one."""
    found: Named = {}
    for path in paths:
        kind, sign, file = str(path).partition("=")
        if not sign or "/" in kind or path.exists():
            kind, file = "", str(path)
        elif not kind or not file:
            raise UsageError(f"{path}: give KIND=FILE, such as ribosome=clicks.star")
        found.setdefault(_kind(kind), []).append(Path(file))
    return found


def read_by_kind(files: Named, read: "Callable[[list[Path]], Picks]") -> "Picks":
    """Read picks, and state the kind that stands before their file."""
    from tomopicker.picks import Picks

    parts = [(kind, read(paths)) for kind, paths in files.items()]
    return Picks.concatenate(part.with_kind(kind) if kind else part for kind, part in parts)


def lengths_by_kind(texts: Sequence[str], flag: str = "--particle-diameter") -> tuple[float | None, dict[str, float]]:
    """Read lengths in Å: one for all kinds, if it is given, and those of single kinds, ``KIND=Å``.

    Raises
    ------
    UsageError
        If one is no length, or is given twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        kind, sign, number = text.rpartition("=")
        try:
            length = float(number)
        except ValueError as error:
            raise UsageError(f"{flag}: {wrong_value('float_parsing', number, '')}") from error
        if not 0 < length < float("inf") or (sign and not kind):
            raise UsageError(f"{flag} {text} cannot be; give Å, such as 300, or of one kind, such as ribosome=300")
        if kind in found:
            raise UsageError(f"{flag}: {f'that of {kind}' if kind else 'it'} is given twice; give it once")
        found[_kind(kind)] = length
    return found.pop("", None), found


def _kind(name: str) -> str:
    from tomopicker.workflow.kinds.clicks import check_kind

    return check_kind(name) if name else ""
