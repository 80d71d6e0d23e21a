"""Errors for the user: one line that names the file and the option that corrects it.

Any other exception is a bug and keeps its traceback, except for one of many files: the others must not wait for it.
"""

import errno
import traceback
from pathlib import Path

MACHINE_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE,
    errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
"""Errors of the machine, not bugs: full disk, missing permission, a name that is too long."""


class TomoPickerError(Exception):
    """The user's data or machine is at fault; the command exits with 1."""

    exit_code = 1


class UsageError(TomoPickerError):
    """The command was used wrongly; it exits with 2."""

    exit_code = 2


def is_out_of_memory(error: Exception) -> bool:
    """Return True if Python, numpy or torch failed to allocate memory, on a GPU or not."""
    # By name, because torch is slow to import and commands without it call this.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def machine_failure(error: Exception) -> str | None:
    """Describe a failure of the machine (disk, permissions, memory) in one line; None for any other error."""
    if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if is_out_of_memory(error):
        return "out of memory; close other programs, or use a machine (or --device) with more"
    return None


def failure_line(error: Exception, file: Path) -> str:
    """Describe in one line the failure of one of many files, with the place in the code if it is a bug."""
    if isinstance(error, TomoPickerError):
        return " ".join(str(error).split())
    if is_out_of_memory(error):
        return f"{file}: out of memory; close other programs, bin it, or use a machine (or --device) with more"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{file}: unexpected {message} ({Path(frame.filename).name}, line {frame.lineno}); please report it"
