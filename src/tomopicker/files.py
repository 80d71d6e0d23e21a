"""Writing without half-written files: everything goes to a temporary name in the same folder and is renamed.

A full disk, a missing folder or a forbidden one is one line that names the file.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tomopicker.errors import TomoPickerError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path next to `path`; rename it to `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        The file to be written; its folder is made if it is missing.

    Yields
    ------
    Path
        A temporary file with the same suffixes, gone if the block fails.

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
        temporary.replace(path)
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


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; bytes of a path that are not UTF-8 are escaped as JSON reads them."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def check_writable(folder: Path, flag: str = "--output") -> None:
    """Make sure, before hours are spent, that files can be written in a folder, which need not be there yet.

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
