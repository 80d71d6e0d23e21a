"""Names of tomograms: taken from files, and matched with the names in lists of picks.

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

FILE_SUFFIXES = (
    *VOLUME_SUFFIXES, *COMPRESSION_SUFFIXES, ".zarr", ".ome", ".hdf", ".h5", ".hdf5", ".tif", ".tiff", ".em",
)  # fmt: skip
"""Suffixes that are no part of a tomogram's name."""
MAX_NAME_BYTES = 200
"""A file system allows 255; suffixes and the mark of a job are added."""
MAX_FOLDERS = 3
"""Maximum number of folders that a tomogram is named after."""
_NOT_A_NAME = re.compile(r"^\.{1,2}$|[/\\\x00-\x1f\x7f]")
_ENDING = re.compile(
    r"(\.(mrcs?|rec|map|st|tomostar|gz|bz2|star|hdf5?|h5|em|ome|zarr|tiff?)|_\d+(\.\d+)?apx|__bin\d+\w*)$",
    re.IGNORECASE,
)
_RECONSTRUCTION = re.compile(r"^(?:rec_)?(.+?)(?:_vol|_full_rec|_rec)?$", re.IGNORECASE | re.DOTALL)


def check_file_name(name: str, source: Path | str) -> str:
    """Return the name of a tomogram or particle if it can be part of a path.

    Raises `TomoPickerError`, which names the source, if it is empty, a path, not UTF-8, too long, or has control
    characters.
    """
    try:
        is_valid = 0 < len(name.encode("utf-8")) <= MAX_NAME_BYTES and not _NOT_A_NAME.search(name)
    except UnicodeEncodeError:
        is_valid = False
    if not is_valid:
        shown = name.encode("unicode_escape").decode("ascii")[:60]
        raise TomoPickerError(
            f"{source}: the name '{shown}' cannot be that of a file: it must be plain text without slashes, of 1 to "
            f"{MAX_NAME_BYTES} bytes; rename it"
        )
    return name


class NamedFile(type(Path())):  # type: ignore[misc]
    """The path of a volume whose tomogram is named by a list or by its folder, not by the file.

    Attributes
    ----------
    tomogram : str or None
        The name; by the file's name if None.
    frame : Frame or None
        Its geometry in the list; a shape of 0 if the list has the voxel size only.
    """

    tomogram: str | None = None
    frame: Frame | None = None

    def named(self, tomogram: str | None, frame: Frame | None = None) -> "NamedFile":
        """Set the name and the geometry, and return the file."""
        self.tomogram, self.frame = tomogram, frame
        return self

    def absolute(self) -> "NamedFile":
        """Return the absolute path, of the same name."""
        return NamedFile(super().absolute()).named(self.tomogram, self.frame)

    def __reduce__(self) -> tuple[object, ...]:
        return _unpickle, (str(self), self.tomogram, self.frame)


def _unpickle(path: str, tomogram: str | None, frame: Frame | None) -> NamedFile:
    return NamedFile(path).named(tomogram, frame)


def by_folder(files: Sequence[Path]) -> list[Path]:
    """Name files of one name after their folders (``TS_01/full_rec.mrc`` is ``TS_01``).

    As many folders are used as distinguish all of them; paths of one file keep one name.
    """
    of_name: dict[str, dict[Path, None]] = {}
    for file in files:
        of_name.setdefault(tomogram_name(file), {})[file.absolute()] = None
    return [
        file if isinstance(file, NamedFile) else _after_folder(file, list(of_name[tomogram_name(file)]))
        for file in files
    ]


def _after_folder(file: Path, namesakes: Sequence[Path]) -> Path:
    """Name a file so that its namesakes differ; unchanged if they are one file, or their folders have one name."""
    if len({path.resolve() for path in namesakes}) > 1:
        for depth in range(1, MAX_FOLDERS + 1):
            names = {path: "_".join(path.parent.parts[-depth:]).strip("/") for path in namesakes}
            if len(set(names.values())) == len(namesakes) and all(names.values()):
                return NamedFile(file).named(names[file.absolute()])
    return file


def tomogram_name(path: Path) -> str:
    """Return the name of a tomogram from its file: ``TS_01.mrc.gz`` is ``TS_01``; a `NamedFile` has its own.

    Bytes of the file's name that are not UTF-8 are read as Latin-1, as on old file systems.

    In a copick project (``ExperimentRuns/TS_01/VoxelSpacing10.000/wbp.zarr``) it is the run.
    """
    if isinstance(path, NamedFile) and path.tomogram is not None:
        return path.tomogram
    if path.parent.name.startswith("VoxelSpacing") and path.parent.parent.parent.name == "ExperimentRuns":
        return path.parent.parent.name
    name = decode_name(path.name)
    while True:
        stem, dot, suffix = name.rpartition(".")
        if not stem or f"{dot}{suffix}".lower() not in FILE_SUFFIXES:
            return name
        name = stem


def decode_name(name: str) -> str:
    """Decode bytes of a file's name that are not UTF-8 as Latin-1, so that it can be printed and written."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


def match_name(name: str, candidates: Iterable[str], source: str = "picks") -> str:
    """Return the one tomogram that a name in a file of picks means.

    Parameters
    ----------
    name : str
    candidates : iterable of str
        Names of the available tomograms.
    source : str
        The file, for the message.

    Raises
    ------
    TomoPickerError
        If no candidate fits, or several do equally well; the message lists them.
    """
    candidates = list(dict.fromkeys(candidates))
    fits = matches(name, candidates)
    if len(fits) > 1:
        raise TomoPickerError(
            f"{source}: '{name}' may mean any of the tomograms {join_names(fits)}; rename them or the picks"
        )
    if not fits:
        raise TomoPickerError(f"{source}: no tomogram is named '{name}'; those given are {join_names(candidates)}")
    return fits[0]


def matches(name: str, candidates: Sequence[str]) -> list[str]:
    """List the candidates a name may mean: equal ones, else equal without decoration, else in any case of letters.

    A bare number, as in motive lists, means the names that end in it.
    """

    def lower(text: str) -> str:
        return clean_name(text).lower()

    # STAR files hold no blanks: 'Position 5' is written as 'Position_5'.
    for key in (str, clean_name, lower, lambda text: "_".join(lower(text).split())):
        fits = [candidate for candidate in candidates if key(candidate) == key(name)]
        if fits:
            return fits
    if name.isdigit() and len(name) < 10:
        ends = {candidate: re.search(r"(\d{1,9})$", clean_name(candidate)) for candidate in candidates}
        return [candidate for candidate, end in ends.items() if end and int(end.group(1)) == int(name)]
    return []


def contained(text: str, candidates: Sequence[str]) -> list[str]:
    """List the candidates whose name occurs in a text as a word: ``TS_01`` in ``clicks_TS_01_20``, not in ``TS_010``.

    A name within a longer one does not count; all are listed if others occur as well.
    """
    text = text.lower()
    keys = {name: key for name in candidates if _occurs_in(key := clean_name(name).lower(), text)}
    longest = max(keys.values(), key=len, default="")
    rest = text.replace(longest, "|") if longest else ""
    return [name for name, key in keys.items() if key == longest or _occurs_in(key, rest)]


def files_of(name: str, files: Sequence[Path]) -> list[Path]:
    """List the files named after a tomogram, else those whose name contains the tomogram's."""
    stems = matches(name, [file.stem for file in files])
    return (
        [file for file in files if file.stem in stems]
        or [file for file in files if matches(file.stem, [name])]
        or [file for file in files if contained(file.stem, [name])]
    )


def _occurs_in(word: str, text: str) -> bool:
    return bool(word) and re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


def clean_name(name: str) -> str:
    """Strip folders, the prefix ``rec_``, suffixes of files, ``_13.48Apx`` and EMAN2's ``__bin4`` from a name."""
    text = name.strip().replace("\\", "/").rstrip("/").rpartition("/")[2]
    while (shorter := _ENDING.sub("", text)) and shorter != text:
        text = shorter
    return strip_reconstruction(text)


def strip_reconstruction(name: str) -> str:
    """Strip what programs add to the name of a tilt series when they name its reconstruction.

    That is RELION 5's prefix ``rec_``, AreTomo's ``_Vol``, and IMOD's ``_rec`` and ``_full_rec``.
    """
    return _RECONSTRUCTION.sub(r"\1", name)


def rename_unique(names: Iterable[str], rule: Callable[[str], str]) -> dict[str, str]:
    """Map names to new ones by a rule; to themselves if two would become one."""
    new = {name: rule(name) for name in names}
    return new if len(set(new.values())) == len(new) else {name: name for name in new}


def join_names(names: Sequence[str], limit: int = 8) -> str:
    """Join names for a message, the first few of many."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "none"
