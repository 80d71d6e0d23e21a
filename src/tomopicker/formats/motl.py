"""The motive list of TOM, AV3, PyTom and Artiatomi: 20 numbers a particle, whatever file they stand in.

A particle lies at numbers 8-10 plus its shift, 11-13, in voxels of the tomogram; the centre of the first voxel is
(1, 1, 1), as ArtiaX and tom_emread have it. Angles are phi, psi, theta in numbers 17-19; 5 is the tomogram.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.formats import tomogram_index
from tomopicker.formats.angles import CLASS, checked, from_tom, orientations, relion_columns, to_tom
from tomopicker.formats.columns import carried, check_coordinates
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks

FIRST_VOXEL = (1.0, 1.0, 1.0)
WIDTH = 20
SCORE, TOMOGRAM, POSITION, SHIFT, CLASS_AT = 0, 4, slice(7, 10), slice(10, 13), 19
PHI_THETA_PSI = [16, 18, 17]
_OTHERS = [1, 2, 3, 5, 6, 13, 14, 15]
PARTICLE = 3


def as_table(motl: np.ndarray, path: Path, rows: list[str]) -> PickTable:
    """Understand a motive list.

    Parameters
    ----------
    motl : array of float, shape (n, 20)
        One row a particle.
    path : Path
        The file.
    rows : list of str
        What to call each row in a message.

    Raises
    ------
    TomoPickerError
        If a position or an angle is no number.
    """
    source = str(path)
    coordinates = motl[:, POSITION] + motl[:, SHIFT]
    check_coordinates(coordinates, source, rows)
    extra: dict[str, np.ndarray] = {}
    angles = motl[:, PHI_THETA_PSI]
    if angles.any():
        extra |= relion_columns(from_tom(checked(angles, source, rows)))
    extra[CLASS] = motl[:, CLASS_AT]
    extra |= {f"motl_{i + 1}": motl[:, i] for i in _OTHERS}
    return PickTable(
        coordinates,
        Unit.VOXEL,
        tomogram_index.named(motl[:, TOMOGRAM], path),
        motl[:, SCORE].copy(),
        extra=pd.DataFrame(extra),
        source=source,
        first_voxel=FIRST_VOXEL,
    )


def as_motl(picks: Picks, frames: Mapping[str, Frame], path: Path) -> np.ndarray:
    """Lay picks out as n rows of 20 numbers, shifts 0, clicks with the score 0; write ``<stem>.doc`` beside `path`."""
    n = len(picks)
    index = tomogram_index.numbered(picks.tomogram_names, path) if n else {}
    motl = np.zeros((n, WIDTH))
    motl[:, PARTICLE] = np.arange(1, n + 1)
    for i in _OTHERS:
        if f"motl_{i + 1}" in picks.extra:
            motl[:, i] = carried(picks.extra, f"motl_{i + 1}", n)
    motl[:, SCORE] = np.nan_to_num(picks.scores)
    motl[:, TOMOGRAM] = [index[name] for name in picks.tomograms]
    motl[:, POSITION] = express(picks, frames, Unit.VOXEL, first_voxel=FIRST_VOXEL)
    rotations = orientations(picks.extra)
    if rotations is not None:
        motl[:, PHI_THETA_PSI] = to_tom(rotations)
    motl[:, CLASS_AT] = carried(picks.extra, CLASS, n, default=1.0)
    return motl
