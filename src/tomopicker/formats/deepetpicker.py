"""DeepETPicker's lists: ``class x y z`` between tabs, voxels, 0 at the centre of the first (it indexes arrays)."""

from collections.abc import Mapping
from pathlib import Path

from tomopicker.files import write_text
from tomopicker.formats.angles import CLASS
from tomopicker.formats.columns import carried
from tomopicker.formats.delimited import DECIMALS
from tomopicker.geometry import Frame, Unit, express
from tomopicker.picks import Picks


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write class (1 if none is known), x, y and z."""
    classes = carried(picks.extra, CLASS, len(picks), default=1.0)
    points = express(picks, frames, Unit.VOXEL)
    lines = [
        "\t".join([f"{label:.0f}", *(f"{value:.{DECIMALS}f}" for value in point)])
        for label, point in zip(classes, points, strict=True)
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))
