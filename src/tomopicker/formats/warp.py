"""Warp and M particles: RELION 3's block, each tomogram called ``<series>.tomostar``; Warp reads no centred columns."""

from collections.abc import Mapping
from pathlib import Path

from tomopicker.formats.names import cleaned
from tomopicker.formats.relion3 import write_named
from tomopicker.geometry import Frame
from tomopicker.picks import Picks


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write voxels of the tomogram, 0 at the centre of the first; give Warp their size as ``--coords_angpix``."""
    write_named(picks, frames, path, rule=cleaned, suffix=".tomostar")
