"""Lists of coordinates without a header: ``x y z``, or a label before them (DeepETPicker's class, IMOD's contour).

TomoTwin, DeepETPicker, RELION's import and many scripts use them; voxels, 0 at the centre of the first.
"""

from collections.abc import Mapping
from pathlib import Path

from tomopicker.files import write_text
from tomopicker.formats.angles import CLASS
from tomopicker.formats.delimited import DECIMALS, read_columns
from tomopicker.formats.textfile import UTF16_MARKS
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks

_HEADERS = {4: (CLASS, "x", "y", "z"), 5: ("object", CLASS, "x", "y", "z")}


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its suffix: a label in front of x cannot be told from x by its value."""
    return path.suffix.lower() == ".coords" and (b"\0" not in head or head[:2] in UTF16_MARKS)


def read(path: Path) -> PickTable:
    """Read three columns, or four with a label first.

    Raises
    ------
    TomoPickerError
        If a line has another number of columns, or one that is no number.
    """
    return read_columns(path, _HEADERS)


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write x, y and z alone: RELION's import takes columns after the third for angles."""
    write_points(picks, frames, path, first_voxel=(0.0, 0.0, 0.0))


def write_points(
    picks: Picks, frames: Mapping[str, Frame], path: Path, *, first_voxel: tuple[float, float, float]
) -> None:
    """Write x, y and z in voxels, counted from what the file calls the first."""
    points = express(picks, frames, Unit.VOXEL, first_voxel=first_voxel)
    write_text(path, "".join(" ".join(f"{value:.{DECIMALS}f}" for value in point) + "\n" for point in points))
