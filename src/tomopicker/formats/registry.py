"""Finding the module for a file by its format's name, its content or its suffix; `catalogue` lists the formats.

A module that reads picks has ``recognises(path, head) -> bool`` and ``read(path) -> PickTable``; one that writes them
has ``write(picks, frames, path)``; one that opens tomograms has ``recognises(path, head) -> bool`` and
``open_volume(path, voxel_size=…, invert=…, stored=…) -> Tomogram``. Modules are imported when first used.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.formats.catalogue import BY_SUFFIX, FORMATS, Format

__all__ = ["FORMATS", "Format", "for_input", "for_output", "head_of", "module_of", "named", "reader_of"]

HEAD_BYTES = 65536


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
    raise UsageError(f"no format is called '{name}'; choose from {known}")


def for_output(path: Path, name: str | None = None) -> Format:
    """Choose the format to write picks in: the one named, else the one its suffix says (RELION 5 for .star).

    Raises
    ------
    UsageError
        If the format is unknown, holds no picks or cannot be written.
    """
    if name is None:
        suffix = path.suffix.lower()
        fits = [entry for entry in FORMATS if entry.kind == "picks" and entry.writer and suffix in entry.suffixes]
        if not fits:
            raise UsageError(f"{path}: '{path.suffix}' says no format of picks; name one with --to")
        return named(BY_SUFFIX[suffix]) if suffix in BY_SUFFIX else fits[0]
    entry = named(name)
    if entry.kind != "picks" or entry.writer is None:
        raise UsageError(f"{path}: picks cannot be written as '{name}'; choose another --to")
    return entry


def for_input(name: str) -> ModuleType:
    """Import the module that reads the format a user named.

    Raises
    ------
    UsageError
        If there is none, or it is not read as picks.
    """
    entry = named(name)
    if entry.kind != "picks" or entry.reader is None:
        raise UsageError(f"picks cannot be read as '{name}'; choose another --from, or leave it out")
    return module_of(entry.reader)


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
