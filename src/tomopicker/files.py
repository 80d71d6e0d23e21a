"""Atomic writing of files: under a temporary name in the same folder, then renamed.

A full disk, or a folder that is missing or not writable, is one line that names the file. A process that is killed
leaves the old file or the new one. A power cut may leave an empty one, unless the file is durable, i.e. flushed to the
disk before it is renamed: models, checkpoints, records of finished work and the files in them are, at 15 ms per file.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tomopicker.errors import TomoPickerError, UsageError

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


@contextmanager
def atomic_path(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Return a temporary path next to `path`; rename it to `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        The file to be written; its folder is created if it is missing.
    durable : bool
        Flush the file to the disk before it is renamed, and its folder afterwards, to survive a power cut.

    Yields
    ------
    Path
        A temporary file with the same suffixes, removed if the block fails.

    Raises
    ------
    TomoPickerError
        If the file cannot be written (permissions, full disk, a folder of that name).
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        handle, name = tempfile.mkstemp(prefix=".tmp-", suffix="".join(path.suffixes), dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        if durable:
            _sync(temporary)
        temporary.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        if (
            temporary is not None
            and error.filename is not None
            and str(error.filename) not in {str(temporary), str(path)}
        ):
            raise  # About another file, such as one read within the block.
        reason = error.strerror or str(error)
        raise TomoPickerError(
            f"{path}: cannot be written ({reason}); choose another --output or free some space"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a text file whole or not at all; bytes of a path that are not UTF-8 are escaped as in JSON."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def make_durable(paths: Iterable[Path]) -> None:
    """Flush written files, and their names, to the disk.

    Raises
    ------
    TomoPickerError
        If they cannot be flushed: some file systems detect only then that they are full.
    """
    listed = list(paths)
    for path in listed:
        try:
            _sync(path)
        except OSError as error:
            raise TomoPickerError(f"{path}: cannot be written ({error.strerror}); free some space") from error
    for folder in {path.parent for path in listed}:
        _sync_folder(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Not all systems open folders.
        _sync(folder)


def refuse_to_replace(files: Iterable[Path], overwrite: bool) -> None:
    """Raise if a file exists, unless ``--overwrite`` was given.

    Raises
    ------
    UsageError
        Naming the first that exists.
    """
    for file in files:
        if file.exists() and not overwrite:
            raise UsageError(f"{file}: exists already; give --overwrite to replace it, or another name")


def check_writable(folder: Path, flag: str = "--output") -> None:
    """Check, before hours of work, that files can be written in a folder, which need not exist yet.

    Raises
    ------
    TomoPickerError
        If they cannot.
    """
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        if not nearest.is_dir():
            raise NotADirectoryError(20, "it is a file, not a folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(13, "permission denied")
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise TomoPickerError(f"{nearest}: cannot be written in ({error.strerror}); choose another {flag}") from error


def check_suffix(path: Path, suffixes: Sequence[str], what: str) -> None:
    """Refuse an output file whose suffix is not one of those listed; `what` names its content."""
    if path.suffix.lower() not in suffixes:
        listed = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
        raise UsageError(f"{path}: {what} needs a name that ends in {listed}")


def check_folder(folder: Path) -> None:
    """Check that ``--output`` is a folder that files can be written in, or can become one.

    Raises
    ------
    TomoPickerError
        If it is a file, or nothing can be written there.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give --output a folder")
    check_writable(folder)
