"""RELION 4 particles: pixels of the tilt series, 0 at the centre of the first, one optics group a pixel size.

The pixel size is the frame's unbinned one. Where only the tomogram's voxel is known, that is the pixel, and the
optics block says so; RELION 4 itself reads coordinates as unbinned pixels whatever the block says, so a project
whose tomograms are binned needs frames from its own files.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.formats.names import without_rec
from tomopicker.formats.star import write_blocks
from tomopicker.formats.star_columns import particle_columns
from tomopicker.geometry import Frame, Unit, express
from tomopicker.picks import Picks


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write ``data_optics`` and ``data_particles`` with ``rlnTomoName``, ``rlnCoordinate?`` and the score."""
    used = {name: frames[name] for name in picks.tomogram_names} or dict(frames)
    pixel = {name: frame.unbinned_pixel_size or frame.voxel_size for name, frame in used.items()}
    groups = {size: number for number, size in enumerate(dict.fromkeys(pixel.values()), start=1)}
    optics = pd.DataFrame(
        {
            "rlnOpticsGroup": list(groups.values()),
            "rlnOpticsGroupName": [f"opticsGroup{number}" for number in groups.values()],
            "rlnTomoTiltSeriesPixelSize": list(groups),
        }
    )
    labels = [f"rlnCoordinate{axis}" for axis in "XYZ"]
    coordinates = express(picks, frames, Unit.PIXEL)
    more = {"rlnOpticsGroup": np.array([groups[pixel[name]] for name in picks.tomograms], dtype=np.int64)}
    particles = particle_columns(picks, path, "rlnTomoName", labels, coordinates, more=more, rule=without_rec)
    write_blocks({"optics": optics, "particles": particles}, path)
