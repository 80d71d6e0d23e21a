"""Tomograms by number: the list ``<stem>.doc``, one ``number name`` per line.

Dynamo calls it a table map; motive lists and STOPGAP have numbers but no such list, and get one here.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.io.text import read_text
from tomopicker.io.tomogram_names import clean_name

SUFFIX = ".doc"
_LINE = re.compile(r"\s*(\d{1,9})\s+(\S.*?)\s*$")


def name_tomograms(numbers: np.ndarray, path: Path) -> list[str]:
    """Name the tomograms that a file of picks numbers: by the list next to it, else by the number itself.

    Parameters
    ----------
    numbers : array of float, shape (n,)
        Those in the file.
    path : Path
        The file; ``<stem>.doc`` in its folder is read, else the only ``.doc`` in its folder.
    """
    names = _read_list(path)
    return [names.get(number, f"{number:.9g}") for number in numbers.tolist()]


def number_tomograms(names: Sequence[str], path: Path) -> dict[str, int]:
    """Number tomograms, and write the list next to a file of picks, if there are any.

    The number at the end of each name is used if they all have one, none 0 and no two the same, else they are counted
    from 1.

    Raises `TomoPickerError` if a name is not valid in the list.
    """
    if not names:
        return {}
    matches = [re.search(r"(\d{1,6})$", clean_name(name)) for name in names]
    own = {int(match.group(1)) if match else 0: None for match in matches}
    numbers = dict(
        zip(names, own if len(own) == len(names) and 0 not in own else range(1, len(names) + 1), strict=True)
    )
    for name in names:
        if not name or name != " ".join(name.split()):
            raise TomoPickerError(
                f"{path}: the tomogram name '{name}' is not valid in its list of tomograms; rename it"
            )
    target = path.with_suffix(SUFFIX)
    if target.exists():
        _read_list(path)  # Raises if it is not such a list, which must not be overwritten.
    write_text(target, "".join(f"{number} {name}\n" for name, number in numbers.items()))
    return numbers


def _read_list(path: Path) -> dict[float, str]:
    own = path.with_suffix(SUFFIX)
    lists = [own] if own.is_file() else sorted(path.parent.glob(f"*{SUFFIX}"))
    if len(lists) != 1 or not lists[0].is_file():
        return {}
    try:
        matches = [_LINE.match(line) for line in read_text(lists[0]).splitlines() if line.strip()]
        if not all(matches):
            raise TomoPickerError(f"{own}: not a list of tomograms; write 'number name' in each line, or remove it")
    except TomoPickerError:
        if lists[0] == own:
            raise
        return {}
    return {float(match.group(1)): match.group(2) for match in matches if match}
