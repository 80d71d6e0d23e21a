"""crYOLO's ``EMAN_3D/*.box``: centres, ``x y z``, voxels. EMAN's 2D boxes, ``x y width height``, are refused."""

from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.formats import coords
from tomopicker.formats.coords import write
from tomopicker.formats.textfile import read_text
from tomopicker.geometry import PickTable

__all__ = ["read", "recognises", "write"]


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its suffix."""
    return path.suffix.lower() == ".box"


def read(path: Path) -> PickTable:
    """Read centres.

    Raises
    ------
    TomoPickerError
        If these are boxes on a 2D image, or a line holds something that is no number.
    """
    first = next((line.split() for line in read_text(path).splitlines() if line.strip()), [])
    if len(first) > 3:
        raise TomoPickerError(f"{path}: these are boxes on a 2D image, without z; give crYOLO's .cbox or EMAN_3D/*.box")
    return coords.read(path)
