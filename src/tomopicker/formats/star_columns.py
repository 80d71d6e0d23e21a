"""The columns that every STAR file of particles shares when written: name, coordinates, score, and what came along."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.formats.pixel_sizes import PIXEL_SIZES
from tomopicker.formats.star import star_names
from tomopicker.formats.star_picks import (
    CENTRED,
    ORIGIN_ANGSTROM,
    ORIGIN_PIXELS,
    PIXELS,
    PLAIN,
)
from tomopicker.picks import Picks
from tomopicker.types import Positions

SCORE = "rlnAutopickFigureOfMerit"


def particle_columns(
    picks: Picks,
    path: Path,
    name_label: str,
    labels: Sequence[str],
    coordinates: Positions,
    *,
    more: Mapping[str, np.ndarray] | None = None,
    rule: Callable[[str], str] = str,
    suffix: str = "",
) -> pd.DataFrame:
    """Lay out one row a pick: name, coordinates, score (if any is known), `more`, then the other columns of the picks.

    Tomograms are called what `rule` makes of their names, and `suffix`. Columns of the picks that would contradict
    these (stale coordinates, origins, pixel sizes, optics) are left out.
    """
    stale = {*CENTRED, *PIXELS, *PLAIN, *ORIGIN_ANGSTROM, *ORIGIN_PIXELS, *PIXEL_SIZES, SCORE, "rlnOpticsGroup"}
    called = star_names(picks.tomogram_names, rule, str(path))
    columns: dict[str, object] = {
        name_label: pd.Series([called[name].removesuffix(suffix) + suffix for name in picks.tomograms], dtype=object)
    }
    columns |= dict(zip(labels, coordinates.T, strict=True))
    if not len(picks) or not np.isnan(picks.scores).all():
        columns[SCORE] = np.asarray(picks.scores, dtype=np.float64)
    columns |= dict(more or {})
    for column in picks.extra.columns:
        if (
            str(column) not in stale
            and str(column) not in columns
            and str(column) not in {"rlnTomoName", "rlnMicrographName"}
        ):
            columns[str(column)] = picks.extra[column].to_numpy()
    return pd.DataFrame(columns, columns=list(columns))
