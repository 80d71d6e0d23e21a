"""Classes of picks: which a file holds, and the choice of some of them.

RELION numbers classes, the CZII challenge and others name the kind of particle; both are in a column of the picks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.io.angles import CLASS
from tomopicker.io.tomogram_names import join_names
from tomopicker.picks import KIND, Picks, class_name

COLUMNS = (
    KIND, CLASS, "class", "class_name", "class_id", "class_number", "particle_type", "object_name", "label",
)  # fmt: skip
"""Names of the column, the first that is there counts; in any case of letters."""


class Mixed(UserWarning):
    """Picks of several classes were read, and none was chosen."""


def choose_classes(picks: Picks, chosen: Sequence[str], source: str) -> Picks:
    """Keep the picks of some classes, by name or number; the source names the files, for messages.

    Raises `UsageError` if the picks have no classes, or none of one that is chosen.
    """
    classes = classes_of(picks)
    if classes is None:
        raise UsageError(f"--class {chosen[0]}: {source} states no classes of particles; leave the flag out")
    wanted = {name.strip().lower() for name in chosen}
    keep = np.array([name.lower() in wanted for name in classes], dtype=bool)
    unknown = wanted - {name.lower() for name in classes[keep]}
    if unknown:
        raise UsageError(f"--class {min(unknown)}: {source} has no such class, but {count_classes(classes)}")
    return picks.select(keep)


def with_kinds(picks: Picks, *, class_numbers: bool = False) -> Picks:
    """Take classes for kinds of particle, where the picks have no column ``kind`` yet.

    Parameters
    ----------
    class_numbers : bool
        Whether RELION's class numbers count: they may be conformations of one particle as well as particles.
    """
    if KIND in picks.extra:
        return picks
    column = _column(picks)
    classes = None if column is None or (column == CLASS and not class_numbers) else classes_of(picks)
    return picks if classes is None else picks.with_kind(classes)


def join_kinds(parts: Mapping[str, Picks], *, class_numbers: bool) -> Picks:
    """Join picks by kind of particle; under an empty name, a column may state their kinds.

    Parameters
    ----------
    class_numbers : bool
        Use classes, including RELION's numbers, as kinds where there is no column ``kind``.
    """
    named = [picks.with_kind(kind) if kind else picks for kind, picks in parts.items()]
    if class_numbers:
        named = [with_kinds(picks, class_numbers=True) for picks in named]
    return named[0] if len(named) == 1 else Picks.concatenate(named)


def mixture(picks: Picks) -> str | None:
    """List the classes of picks, if these are several; the column ``kind`` states kinds, which are no mixture."""
    classes = None if KIND in picks.extra else classes_of(picks)
    return None if classes is None or len(set(classes)) < 2 else count_classes(classes)


def count_classes(classes: np.ndarray) -> str:
    """List classes and how many picks each has, as in ``1 (40), 3 (12)``."""
    counts = Counter(classes.tolist())
    return join_names([f"{name or 'none'} ({count})" for name, count in sorted(counts.items())])


def classes_of(picks: Picks) -> np.ndarray | None:
    """Name the class of each pick, empty where none is stated; None if picks state no classes."""
    column = _column(picks)
    if column is None:
        return None
    out = np.empty(len(picks), dtype=object)
    out[:] = [class_name(value) for value in picks.extra[column].tolist()]
    return out


def _column(picks: Picks) -> str | None:
    """Return the name of the column of classes, as it is spelled."""
    by_label = {str(name).lower(): str(name) for name in reversed(list(picks.extra.columns))}
    return next((by_label[name.lower()] for name in COLUMNS if name.lower() in by_label), None)
