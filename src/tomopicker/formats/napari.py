"""napari's points as CSV: ``index,axis-0,axis-1,axis-2`` are z, y, x in voxels; read as other text columns are.

One tomogram a file. napari leaves a layer's scale out of its CSV, so these are voxels whatever the scale is.
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
    """Write z, y, x and the score."""
    points = express(picks, frames, Unit.VOXEL)[:, ::-1]
    columns: dict[str, object] = {"index": np.arange(len(picks), dtype=np.int64)}
    columns |= {f"axis-{i}": [f"{value:.{DECIMALS}f}" for value in column] for i, column in enumerate(points.T)}
    if not np.isnan(picks.scores).all():
        columns["score"] = ["" if np.isnan(score) else f"{score:.7g}" for score in picks.scores]
    text = io.StringIO()
    pd.DataFrame(columns).to_csv(text, index=False, lineterminator="\n")
    write_text(path, text.getvalue())
