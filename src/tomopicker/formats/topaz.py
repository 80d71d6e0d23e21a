"""Topaz in 3D and MiLoPYP: ``image_name x_coord y_coord z_coord score``, tabs between; read as other text columns are.

Voxels, 0 at the centre of the first; the image is the tomogram without its suffix. Topaz' own tables have no z, and are
refused for that.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.files import write_text
from tomopicker.formats.delimited import DECIMALS
from tomopicker.geometry import Frame, Unit, express
from tomopicker.picks import Picks


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write name and position, and the scores if there are any; nan, which pandas reads, where one has none."""
    columns: dict[str, object] = {"image_name": [" ".join(str(name).split()) for name in picks.tomograms]}
    for axis, values in zip("xyz", express(picks, frames, Unit.VOXEL).T, strict=True):
        columns[f"{axis}_coord"] = [f"{value:.{DECIMALS}f}" for value in values]
    if not np.isnan(picks.scores).all():
        columns["score"] = [f"{score:.7g}" for score in picks.scores]
    text = io.StringIO()
    pd.DataFrame(columns).to_csv(text, sep="\t", index=False, lineterminator="\n")
    write_text(path, text.getvalue())
