"""TomoTwin's ``.tloc``: a Python pickle, which can run whatever code its maker wished; it is refused, never loaded."""

from pathlib import Path
from typing import NoReturn

from tomopicker.errors import TomoPickerError

_PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its suffix, or a pickle by its first bytes."""
    return path.suffix.lower() in {".tloc", ".pkl", ".pickle"} or head.startswith(_PICKLE)


def read(path: Path) -> NoReturn:
    """Refuse.

    Raises
    ------
    TomoPickerError
        Always; it says what to give instead.
    """
    remedy = "give the .coords or .cbox that tomotwin_pick.py wrote beside it"
    raise TomoPickerError(f"{path}: it is a Python pickle, which may run code when it is read; {remedy}")
