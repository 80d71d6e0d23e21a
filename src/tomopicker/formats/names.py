"""Names of tomograms: how a file is called, and which tomogram a name in a list of picks means.

Tools add folders, prefixes and suffixes to one and the same name (``rec_TS_01.mrc``, ``TS_01_13.48Apx.mrc``,
``TS_01.mrc.tomostar``); matching sees through those and never guesses between two.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tomopicker.errors import TomoPickerError

VOLUME_SUFFIXES = (".mrc", ".rec", ".map", ".st", ".mrcs")
COMPRESSION_SUFFIXES = (".gz", ".bz2")
OTHER_SUFFIXES = (".zarr", ".ome", ".hdf", ".h5", ".hdf5", ".tif", ".tiff", ".em")
LONGEST_NAME = 200
"""Bytes: a file system takes 255, and suffixes and a mark of the job are added."""
_NOT_A_NAME = re.compile(r"^\.{1,2}$|[/\\\x00-\x1f\x7f]")
_ENDING = re.compile(
    r"(\.(mrcs?|rec|map|st|tomostar|gz|bz2|star|hdf5?|h5|em|ome|zarr|tiff?)|_\d+(\.\d+)?apx|__bin\d+\w*)$",
    re.IGNORECASE,
)


def check_file_name(name: str, source: Path | str) -> str:
    """Refuse a name that cannot be a file's own name, before it becomes part of a path; give it back.

    Parameters
    ----------
    name : str
        Of a tomogram or a particle, as a file states it.
    source : Path or str
        What states it, for the message.

    Raises
    ------
    TomoPickerError
        If the name is empty, a path, not UTF-8, too long, or has control characters.
    """
    try:
        fits = 0 < len(name.encode("utf-8")) <= LONGEST_NAME and not _NOT_A_NAME.search(name)
    except UnicodeEncodeError:
        fits = False
    if not fits:
        shown = name.encode("unicode_escape").decode("ascii")[:60]
        raise TomoPickerError(
            f"{source}: the name '{shown}' cannot be that of a file: it must be plain text without slashes, of 1 to "
            f"{LONGEST_NAME} bytes; rename it"
        )
    return name


def tomogram_name(path: Path) -> str:
    """Name a tomogram after its file: ``TS_01.mrc.gz`` is ``TS_01``.

    In a copick project (``ExperimentRuns/TS_01/VoxelSpacing10.000/wbp.zarr``) the run is its name.
    """
    name = path.name
    if path.parent.name.startswith("VoxelSpacing") and path.parent.parent.parent.name == "ExperimentRuns":
        return path.parent.parent.name
    while True:
        stem, dot, suffix = name.rpartition(".")
        if not stem or f"{dot}{suffix}".lower() not in VOLUME_SUFFIXES + COMPRESSION_SUFFIXES + OTHER_SUFFIXES:
            return name
        name = stem


def match_name(name: str, candidates: Iterable[str], source: str = "picks") -> str:
    """Find the one candidate that a name means.

    Parameters
    ----------
    name : str
        As a file of picks states it.
    candidates : iterable of str
        Names of the tomograms at hand.
    source : str
        The file, for the message.

    Raises
    ------
    TomoPickerError
        If no candidate fits, or several do equally well; the message lists them.
    """
    listed = list(dict.fromkeys(candidates))
    found = matches(name, listed)
    if len(found) == 1:
        return found[0]
    if found:
        raise TomoPickerError(
            f"{source}: '{name}' may mean any of the tomograms {listing(found)}; rename them or the picks"
        )
    raise TomoPickerError(f"{source}: no tomogram is called '{name}'; those given are {listing(listed)}")


def matches(name: str, candidates: Sequence[str]) -> list[str]:
    """List the candidates a name may mean: equal ones, else equal without decoration, else whatever the case.

    A bare number, as motive lists have, means the names that end in it.
    """
    for key in (str, cleaned, lambda text: cleaned(text).lower()):
        found = [candidate for candidate in candidates if key(candidate) == key(name)]
        if found:
            return found
    if name.isdigit() and len(name) < 10:
        ends = {candidate: re.search(r"(\d{1,9})$", cleaned(candidate)) for candidate in candidates}
        return [candidate for candidate, end in ends.items() if end and int(end.group(1)) == int(name)]
    return []


def contained(text: str, candidates: Sequence[str]) -> list[str]:
    """List the candidates whose name stands in a text as a word: ``TS_01`` in ``clicks_TS_01_20``, not in ``TS_010``.

    The longest is meant where it holds the others; all are listed where others stand beside it.
    """
    found = {name: cleaned(name).lower() for name in candidates if _stands_in(cleaned(name).lower(), text.lower())}
    longest = max(found.values(), key=len, default="")
    rest = text.lower().replace(longest, "|") if longest else ""
    return [name for name, key in found.items() if key == longest or _stands_in(key, rest)]


def files_of(name: str, files: Sequence[Path]) -> list[Path]:
    """List the files that are called as a tomogram is, else those whose name has the tomogram's in it."""
    same = matches(name, [file.stem for file in files])
    return (
        [file for file in files if file.stem in same]
        or [file for file in files if matches(file.stem, [name])]
        or [file for file in files if contained(file.stem, [name])]
    )


def _stands_in(word: str, text: str) -> bool:
    return bool(word) and re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


def cleaned(name: str) -> str:
    """Strip folders, the prefix ``rec_``, suffixes of files, ``_13.48Apx`` and EMAN2's ``__bin4`` from a name."""
    text = name.strip().replace("\\", "/").rstrip("/").rpartition("/")[2]
    while (shorter := _ENDING.sub("", text)) and shorter != text:
        text = shorter
    return without_rec(text)


def without_rec(name: str) -> str:
    """Strip the prefix ``rec_`` that RELION 5 puts before the name of a tomogram when it names the tomogram's file."""
    return name[4:] if name.lower().startswith("rec_") and len(name) > 4 else name


def renamed(names: Iterable[str], rule: Callable[[str], str]) -> dict[str, str]:
    """Rename tomograms as a program calls them, by a rule; all keep their names if two would become one."""
    new = {name: rule(name) for name in names}
    return new if len(set(new.values())) == len(new) else {name: name for name in new}


def listing(names: Sequence[str], most: int = 8) -> str:
    """Write names for a message, the first few of many."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "none"
