"""Names of tomograms: from files, and matched with the names in lists of picks.

Tools add folders, prefixes and suffixes to one and the same name (``rec_TS_01.mrc``, ``TS_01_13.48Apx.mrc``,
``TS_01.mrc.tomostar``); matching ignores those and never guesses between two.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io.recognition import COMPRESSION_SUFFIXES, VOLUME_SUFFIXES

OTHER_SUFFIXES = (".zarr", ".ome", ".hdf", ".h5", ".hdf5", ".tif", ".tiff", ".em")
LONGEST_NAME = 200
"""Bytes: a file system takes 255, and suffixes and a mark of the job are added."""
_NOT_A_NAME = re.compile(r"^\.{1,2}$|[/\\\x00-\x1f\x7f]")
_ENDING = re.compile(
    r"(\.(mrcs?|rec|map|st|tomostar|gz|bz2|star|hdf5?|h5|em|ome|zarr|tiff?)|_\d+(\.\d+)?apx|__bin\d+\w*)$",
    re.IGNORECASE,
)
_RECONSTRUCTION = re.compile(r"^(?:rec_)?(.+?)(?:_vol|_full_rec|_rec)?$", re.IGNORECASE | re.DOTALL)


def check_file_name(name: str, source: Path | str) -> str:
    """Refuse a name of a tomogram or particle that cannot be a file's own name, before it becomes part of a path.

    It is given back; a `TomoPickerError` names the source of one that is empty, a path, not UTF-8, too long, or has
    control characters.
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


class NamedFile(type(Path())):  # type: ignore[misc]
    """The path of a volume whose tomogram is named by a list or by its folder, not by the file.

    Attributes
    ----------
    tomogram : str or None
        The name; by the file's name if None.
    frame : Frame or None
        What a list states of its geometry; a shape of 0 where only the voxel size is stated.
    """

    tomogram: str | None = None
    frame: Frame | None = None

    def named(self, tomogram: str | None, frame: Frame | None = None) -> "NamedFile":
        """Give it a name, and what is stated of its geometry."""
        self.tomogram, self.frame = tomogram, frame
        return self

    def absolute(self) -> "NamedFile":
        """Make it absolute; it keeps its name."""
        return NamedFile(super().absolute()).named(self.tomogram, self.frame)

    def __reduce__(self) -> tuple[object, ...]:
        return _named_file, (str(self), self.tomogram, self.frame)


def _named_file(path: str, tomogram: str | None, frame: Frame | None) -> NamedFile:
    """Make a file of its state, when it arrives in another process."""
    file = NamedFile(path)
    file.tomogram, file.frame = tomogram, frame
    return file


def by_folder(files: Sequence[Path]) -> list[Path]:
    """Name files of one name after their folders (``TS_01/full_rec.mrc`` is ``TS_01``).

    As many folders are taken as distinguish all of them; paths of one file keep one name.
    """
    alike: dict[str, list[Path]] = {}
    for file in files:
        alike.setdefault(tomogram_name(file), []).append(file)
    out: list[Path] = []
    for file in files:
        same = {other.absolute(): None for other in alike[tomogram_name(file)]}
        if len({other.resolve() for other in same}) < 2 or isinstance(file, NamedFile):
            out.append(file)
            continue
        for depth in range(1, 4):
            called = {other: "_".join(other.parent.parts[-depth:]).strip("/") for other in same}
            if len(set(called.values())) == len(same) and all(called.values()):
                out.append(NamedFile(file).named(called[file.absolute()]))
                break
        else:
            out.append(file)
    return out


def tomogram_name(path: Path) -> str:
    """Name a tomogram after its file: ``TS_01.mrc.gz`` is ``TS_01``; a `NamedFile` has a name of its own.

    Bytes of the file's name that are not UTF-8 are read as Latin-1, as on old file systems.

    In a copick project (``ExperimentRuns/TS_01/VoxelSpacing10.000/wbp.zarr``) the run is its name.
    """
    if isinstance(path, NamedFile) and path.tomogram is not None:
        return path.tomogram
    name = readable(path.name)
    if path.parent.name.startswith("VoxelSpacing") and path.parent.parent.parent.name == "ExperimentRuns":
        return path.parent.parent.name
    while True:
        stem, dot, suffix = name.rpartition(".")
        if not stem or f"{dot}{suffix}".lower() not in VOLUME_SUFFIXES + COMPRESSION_SUFFIXES + OTHER_SUFFIXES:
            return name
        name = stem


def readable(name: str) -> str:
    """Decode bytes of a file's name that are not UTF-8 as Latin-1, so that it can be printed and written."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


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
            f"{source}: '{name}' may mean any of the tomograms {join_names(found)}; rename them or the picks"
        )
    raise TomoPickerError(f"{source}: no tomogram is named '{name}'; those given are {join_names(listed)}")


def matches(name: str, candidates: Sequence[str]) -> list[str]:
    """List the candidates a name may mean: equal ones, else equal without decoration, else whatever the case.

    A bare number, as motive lists have, means the names that end in it.
    """
    # STAR files hold no blanks: 'Position 5' is written as 'Position_5'.
    for key in (str, cleaned, lambda text: cleaned(text).lower(), lambda text: "_".join(cleaned(text).lower().split())):
        found = [candidate for candidate in candidates if key(candidate) == key(name)]
        if found:
            return found
    if name.isdigit() and len(name) < 10:
        ends = {candidate: re.search(r"(\d{1,9})$", cleaned(candidate)) for candidate in candidates}
        return [candidate for candidate, end in ends.items() if end and int(end.group(1)) == int(name)]
    return []


def contained(text: str, candidates: Sequence[str]) -> list[str]:
    """List the candidates whose name occurs in a text as a word: ``TS_01`` in ``clicks_TS_01_20``, not in ``TS_010``.

    The longest is meant where it holds the others; all are listed where others occur as well.
    """
    found = {name: cleaned(name).lower() for name in candidates if _occurs_in(cleaned(name).lower(), text.lower())}
    longest = max(found.values(), key=len, default="")
    rest = text.lower().replace(longest, "|") if longest else ""
    return [name for name, key in found.items() if key == longest or _occurs_in(key, rest)]


def files_of(name: str, files: Sequence[Path]) -> list[Path]:
    """List the files named after a tomogram, else those whose name contains the tomogram's."""
    same = matches(name, [file.stem for file in files])
    return (
        [file for file in files if file.stem in same]
        or [file for file in files if matches(file.stem, [name])]
        or [file for file in files if contained(file.stem, [name])]
    )


def _occurs_in(word: str, text: str) -> bool:
    return bool(word) and re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


def cleaned(name: str) -> str:
    """Strip folders, the prefix ``rec_``, suffixes of files, ``_13.48Apx`` and EMAN2's ``__bin4`` from a name."""
    text = name.strip().replace("\\", "/").rstrip("/").rpartition("/")[2]
    while (shorter := _ENDING.sub("", text)) and shorter != text:
        text = shorter
    return without_rec(text)


def without_rec(name: str) -> str:
    """Strip what programs add to the name of a tilt series when they name its reconstruction.

    That is RELION 5's prefix ``rec_``, AreTomo's ``_Vol``, and IMOD's ``_rec`` and ``_full_rec``.
    """
    return _RECONSTRUCTION.sub(lambda found: found.group(1), name)


def rename_unique(names: Iterable[str], rule: Callable[[str], str]) -> dict[str, str]:
    """Rename tomograms as a program calls them, by a rule; all keep their names if two would become one."""
    new = {name: rule(name) for name in names}
    return new if len(set(new.values())) == len(new) else {name: name for name in new}


def join_names(names: Sequence[str], most: int = 8) -> str:
    """Write names for a message, the first few of many."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "none"
