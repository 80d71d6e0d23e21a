"""RELION 5 particles: Å from the centre of the tomogram, size / 2 (fractional for odd sizes), as its C++ code has it.

The unbinned size and pixel are used where the frame knows them. Angles are left out unless the picks carry them:
RELION takes missing ones for zero.
"""

from collections.abc import Mapping
from pathlib import Path

from tomopicker.formats.names import without_rec
from tomopicker.formats.star import write_blocks
from tomopicker.formats.star_columns import particle_columns
from tomopicker.geometry import Frame, Unit, express
from tomopicker.picks import Picks


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write ``data_particles`` with ``rlnTomoName``, ``rlnCenteredCoordinate?Angst`` and the score."""
    coordinates = express(picks, frames, Unit.CENTRED_ANGSTROM)
    labels = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
    write_blocks(
        {"particles": particle_columns(picks, path, "rlnTomoName", labels, coordinates, rule=without_rec)}, path
    )
