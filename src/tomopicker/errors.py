"""The errors a user is meant to read: one line that names the file and the flag that mends it.

Anything else that escapes a command is a bug and keeps its traceback.
"""


class TomoPickerError(Exception):
    """Something went wrong with the user's data or machine; the command exits with 1."""

    exit_code = 1


class UsageError(TomoPickerError):
    """The command was asked for something that cannot be; it exits with 2."""

    exit_code = 2
