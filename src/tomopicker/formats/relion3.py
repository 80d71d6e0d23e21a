"""RELION 3 particles: one block, voxels of the tomogram, 0 at the centre of the first, with their size in Å.

Unknown angles are left out. There is one triple of them, so RELION 5's subtomogram angles are composed with the
particle's.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomopicker.formats.angles import in_one_triple
from tomopicker.formats.star import write_blocks
from tomopicker.formats.star_columns import particle_columns
from tomopicker.geometry import Frame, Unit, express
from tomopicker.picks import Picks


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write one block with ``rlnMicrographName``, ``rlnCoordinate?``, the voxel size and the score."""
    write_named(picks, frames, path)


def write_named(
    picks: Picks, frames: Mapping[str, Frame], path: Path, *, rule: Callable[[str], str] = str, suffix: str = ""
) -> None:
    """Write RELION 3 particles, each tomogram called what a rule makes of its name, and a suffix."""
    picks = replace(picks, extra=in_one_triple(picks.extra, str(path)))
    size = np.array([frames[name].voxel_size for name in picks.tomograms], dtype=np.float64)
    more = {"rlnMagnification": np.full(len(picks), 10000.0), "rlnDetectorPixelSize": size, "rlnPixelSize": size}
    labels = [f"rlnCoordinate{axis}" for axis in "XYZ"]
    coordinates = express(picks, frames, Unit.VOXEL)
    particles = particle_columns(
        picks, path, "rlnMicrographName", labels, coordinates, more=more, rule=rule, suffix=suffix
    )
    write_blocks({"": particles}, path)
