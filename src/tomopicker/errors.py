"""The errors a user is meant to read: one line that names the file and the flag that mends it.

Anything else that escapes a command is a bug and keeps its traceback, but for what happens to one of many files: the
others must not wait for it to be mended.
"""

import errno
import traceback
from pathlib import Path

MACHINE_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE,
    errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
"""Errors of the machine, which are no bugs: a full disk, a forbidden file, a name that it does not take."""


class TomoPickerError(Exception):
    """Something went wrong with the user's data or machine; the command exits with 1."""

    exit_code = 1


class UsageError(TomoPickerError):
    """The command was used wrongly; it exits with 2."""

    exit_code = 2


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, numpy or torch, on a GPU or not, failed to allocate memory."""
    # By its name: torch is slow to import, and commands without it call this.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def machine_failure(error: Exception) -> str | None:
    """Describe in a line a failure of the machine: disk, permissions, memory; None for any other error."""
    if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if is_out_of_memory(error):
        return "out of memory; close other programs, or use a machine (or --device) with more"
    return None


def failure_line(error: Exception, file: Path) -> str:
    """Say in a line what went wrong with one of many files; of a bug, where in the program it happened."""
    if isinstance(error, TomoPickerError):
        return " ".join(str(error).split())
    if is_out_of_memory(error):
        return f"{file}: out of memory; close other programs, bin it, or use a machine (or --device) with more"
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{file}: unexpected {message} ({Path(place.filename).name}, line {place.lineno}); please report it"
