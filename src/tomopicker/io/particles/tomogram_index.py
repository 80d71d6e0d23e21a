"""Tomograms by number: the list ``<stem>.doc``, one ``number name`` a line.

Dynamo calls it a table map; motive lists and STOPGAP have numbers but no such list, and get one here.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.io.text import read_text
from tomopicker.io.tomogram_names import cleaned

SUFFIX = ".doc"
_LINE = re.compile(r"\s*(\d{1,9})\s+(\S.*?)\s*$")


def name_tomograms(numbers: np.ndarray, path: Path) -> np.ndarray:
    """Name the tomograms that a file of picks numbers: by the list next to it, else by the number itself.

    Parameters
    ----------
    numbers : array of float, shape (n,)
        As the file states them.
    path : Path
        The file; ``<stem>.doc`` in its folder is read, else the only ``.doc`` in its folder.
    """
    known = _read_list(path)
    out = np.empty(len(numbers), dtype=object)
    out[:] = [known.get(number, f"{number:.9g}") for number in numbers.tolist()]
    return out


def number_tomograms(names: Sequence[str], path: Path) -> dict[str, int]:
    """Number tomograms, and write the list next to a file of picks, if there are any.

    The number at the end of each name is used if they all have one, none 0 and no two the same, else they are counted
    from 1.

    Raises `TomoPickerError` if a name is not valid in the list.
    """
    if not names:
        return {}
    stated = [re.search(r"(\d{1,6})$", cleaned(name)) for name in names]
    own = [int(match.group(1)) for match in stated if match]
    distinct = len(own) == len(names) and len(set(own)) == len(own) and 0 not in own
    numbers = dict(zip(names, own if distinct else range(1, len(names) + 1), strict=True))
    for name in names:
        if not name or name != " ".join(name.split()):
            raise TomoPickerError(
                f"{path}: the tomogram name '{name}' is not valid in its list of tomograms; rename it"
            )
    target = path.with_suffix(SUFFIX)
    if target.exists():
        _read_list(path)  # An existing file that is not such a list is not overwritten: this raises.
    write_text(target, "".join(f"{number} {name}\n" for name, number in numbers.items()))
    return numbers


def _read_list(path: Path) -> dict[float, str]:
    own = path.with_suffix(SUFFIX)
    found = [own] if own.is_file() else sorted(path.parent.glob(f"*{SUFFIX}"))
    if len(found) != 1 or not found[0].is_file():
        return {}
    try:
        lines = [line for line in read_text(found[0]).splitlines() if line.strip()]
    except TomoPickerError:
        if found[0] == own:
            raise
        return {}
    matched = [_LINE.match(line) for line in lines]
    if all(matched):
        return {float(match.group(1)): match.group(2) for match in matched if match}
    if found[0] == own:
        raise TomoPickerError(f"{own}: not a list of tomograms; write 'number name' in each line, or remove it")
    return {}
