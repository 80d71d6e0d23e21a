"""The list of file formats: what each holds, who reads and writes it, in which unit and from which origin.

A new format is one module and one row here. A module that reads picks has ``recognises(path, head) -> bool`` and
``read(path) -> PickTable``; one that writes them has ``write(picks, frames, path)``; one that opens tomograms has
``recognises(path, head) -> bool`` and ``open_volume(path, voxel_size=…, invert=…) -> Tomogram``. Modules are imported
when first used.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

from tomopicker.errors import TomoPickerError, UsageError

HEAD_BYTES = 65536


@dataclass(frozen=True)
class Format:
    """One row of the registry.

    Parameters
    ----------
    name : str
        The word a user gives (``--format relion5``).
    kind : "volume" or "picks"
        What it holds.
    suffixes : tuple of str
        Lower case, with the dot; the first is the one written.
    title : str
        What it is, for the list of formats.
    reader, writer : str, optional
        Modules of this package; None where it is not read or not written.
    unit, origin, score : str
        The unit of its coordinates, where they start, and where the score stands, in words.
    """

    name: str
    kind: Literal["volume", "picks"]
    suffixes: tuple[str, ...]
    title: str
    reader: str | None
    writer: str | None
    unit: str
    origin: str = "centre of the first voxel"
    score: str = "none"


FORMATS: tuple[Format, ...] = (
    Format(
        "mrc",
        "volume",
        (".mrc", ".rec", ".map", ".st", ".mrcs"),
        "MRC 2014, IMOD and older; gzip or bzip2",
        "mrc",
        "mrc",
        "Å in the header",
    ),
    Format(
        "relion5",
        "picks",
        (".star",),
        "RELION 5 particles, optimisation set, import list",
        "star_picks",
        "relion5",
        "Å",
        "centre of the tomogram, size / 2",
        "rlnAutopickFigureOfMerit",
    ),
    Format(
        "relion4",
        "picks",
        (".star",),
        "RELION 4 particles",
        "star_picks",
        "relion4",
        "pixels of the tilt series",
        score="rlnAutopickFigureOfMerit",
    ),
    Format(
        "relion3",
        "picks",
        (".star",),
        "RELION 3 particles, one block",
        "star_picks",
        "relion3",
        "pixels of rlnPixelSize",
        score="rlnAutopickFigureOfMerit",
    ),
    Format(
        "warp",
        "picks",
        (".star",),
        "Warp and M particles, <series>.tomostar",
        "star_picks",
        "warp",
        "pixels of rlnPixelSize",
        score="rlnAutopickFigureOfMerit",
    ),
    Format(
        "csv",
        "picks",
        (".csv", ".txt", ".tsv", ".coords"),
        "text columns, with or without a header",
        "delimited",
        "delimited",
        "voxels, or Å where the header says so",
        score="column score",
    ),
)


def named(name: str) -> Format:
    """Find a format by the word a user gave.

    Raises
    ------
    UsageError
        If there is none; the message lists those that can be written.
    """
    for entry in FORMATS:
        if entry.name == name.lower():
            return entry
    known = ", ".join(entry.name for entry in FORMATS if entry.writer and entry.kind == "picks")
    raise UsageError(f"no format is called '{name}'; choose --format from {known}")


def for_output(path: Path, name: str | None = None) -> Format:
    """Choose the format to write picks in: the one named, else the first that has its suffix (RELION 5 for .star).

    Raises
    ------
    UsageError
        If the format is unknown, holds no picks or cannot be written.
    """
    if name is None:
        fits = [entry for entry in FORMATS if entry.kind == "picks" and path.suffix.lower() in entry.suffixes]
        if not fits:
            raise UsageError(f"{path}: '{path.suffix}' says no format of picks; name one with --format")
        return fits[0]
    entry = named(name)
    if entry.kind != "picks" or entry.writer is None:
        raise UsageError(f"{path}: picks cannot be written as '{name}'; choose another --format")
    return entry


def reader_of(kind: Literal["volume", "picks"], path: Path, head: bytes) -> ModuleType | None:
    """Import the first module that recognises a file by its name and its first bytes; None if none does."""
    for name in dict.fromkeys(entry.reader for entry in FORMATS if entry.kind == kind and entry.reader):
        module = module_of(name)
        if module.recognises(path, head):
            return module
    return None


@cache
def module_of(name: str) -> ModuleType:
    """Import a module of this package."""
    return import_module(f"tomopicker.formats.{name}")


def head_of(path: Path) -> bytes:
    """Read a file's first bytes.

    Raises
    ------
    TomoPickerError
        If it is missing, a folder, empty or unreadable.
    """
    try:
        if path.is_dir():
            raise TomoPickerError(f"{path}: it is a folder; give the file in it")
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise TomoPickerError(f"{path}: no such file; check the path") from error
    except (OSError, ValueError) as error:
        raise TomoPickerError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not head:
        raise TomoPickerError(f"{path}: the file is empty; give another")
    return head
