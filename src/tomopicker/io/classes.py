"""Classes of picks: those in a file, and the selection of some of them.

RELION numbers classes; the CZII challenge and others name the kind of particle. Both are in a column of the picks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.io.angles import CLASS
from tomopicker.io.tomogram_names import join_names
from tomopicker.picks import KIND, Picks, class_name

CLASS_COLUMNS = (
    KIND, CLASS, "class", "class_name", "class_id", "class_number", "particle_type", "object_name", "label",
)  # fmt: skip
"""Names of the column, in any case of letters; the first that is present counts."""


class MixedClassesWarning(UserWarning):
    """Picks of several classes were read, and none was chosen."""


def choose_classes(picks: Picks, chosen: Sequence[str], source: str) -> Picks:
    """Select the picks of some classes, by name or number; `source` names the files, for messages.

    Raises `UsageError` if the picks have no classes, or none of one that is chosen.
    """
    classes = _classes(picks)
    if classes is None:
        raise UsageError(f"--class {chosen[0]}: {source} states no classes of particles; leave the flag out")
    names = {name.strip().lower() for name in chosen}
    keep = np.array([name.lower() in names for name in classes], dtype=bool)
    unknown = names - {name.lower() for name in classes[keep]}
    if unknown:
        raise UsageError(f"--class {min(unknown)}: {source} has no such class, but {_count_classes(classes)}")
    return picks.select(keep)


def with_kinds(picks: Picks, *, class_numbers: bool = False) -> Picks:
    """Use classes as kinds of particle, if the picks have no column ``kind`` yet.

    Parameters
    ----------
    class_numbers : bool
        Use RELION's class numbers too: they may be conformations of one particle as well as particles.
    """
    column = _column(picks)
    if KIND in picks.extra or column is None or (column == CLASS and not class_numbers):
        return picks
    classes = _classes(picks)
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
    """List the classes of picks if there are several; None for kinds (column ``kind``), which are no mixture."""
    classes = None if KIND in picks.extra else _classes(picks)
    return None if classes is None or len(set(classes)) < 2 else _count_classes(classes)


def _count_classes(classes: np.ndarray) -> str:
    """List classes and how many picks each has, as in ``1 (40), 3 (12)``."""
    return join_names([f"{name or 'none'} ({count})" for name, count in sorted(Counter(classes.tolist()).items())])


def _classes(picks: Picks) -> np.ndarray | None:
    """Return the class of each pick, empty if none is stated; None if picks state no classes."""
    column = _column(picks)
    return None if column is None else np.array([class_name(value) for value in picks.extra[column]], dtype=object)


def _column(picks: Picks) -> str | None:
    """Return the name of the column of classes, as it is spelled."""
    by_label = {str(name).lower(): str(name) for name in reversed(list(picks.extra.columns))}
    return next((by_label[name.lower()] for name in CLASS_COLUMNS if name.lower() in by_label), None)
