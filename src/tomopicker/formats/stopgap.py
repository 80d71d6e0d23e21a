"""STOPGAP motive lists: a STAR file with ``orig_x``, ``x_shift`` and the angles of TOM.

A particle lies at its origin plus its shift, in voxels of the binned tomogram. The centre of the first voxel is taken
as (1, 1, 1): STOPGAP is MATLAB and a child of TOM; its pages do not say.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.formats import star, tomogram_index
from tomopicker.formats.angles import CLASS, checked, from_tom, orientations, relion_columns, to_tom
from tomopicker.formats.columns import carried, check_coordinates, numbers
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks

FIRST_VOXEL = (1.0, 1.0, 1.0)
BLOCK = "stopgap_motivelist"
POSITION = ["orig_x", "orig_y", "orig_z"]
SHIFT = ["x_shift", "y_shift", "z_shift"]
PHI_THETA_PSI = ["phi", "the", "psi"]
_KEPT = ["motl_idx", "object", "subtomo_num", "halfset"]


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its columns."""
    return b"_orig_x" in head and star.recognises(path, head)


def read(path: Path) -> PickTable:
    """Read a motive list; the tomograms' names from ``<stem>.doc`` if it is there.

    Raises
    ------
    TomoPickerError
        If a column is missing or holds something that is no number.
    """
    source = str(path)
    needed = [*POSITION, "tomo_num"]
    block, notes = star.choose_block(star.read_blocks(path), needed, BLOCK, source)
    if block is None:
        raise TomoPickerError(f"{source}: no block with the columns {', '.join(needed)}; give another file")
    rows = [f"row {i + 1}" for i in range(len(block))]

    def column(name: str) -> np.ndarray:
        return numbers(block[name].tolist(), name, source, rows) if name in block else np.zeros(len(block))

    coordinates = np.stack([column(at) + column(shift) for at, shift in zip(POSITION, SHIFT, strict=True)], axis=1)
    check_coordinates(coordinates, source, rows)
    angles = np.stack([column(name) for name in PHI_THETA_PSI], axis=1)
    extra: dict[str, object] = {}
    if angles.any():
        extra |= relion_columns(from_tom(checked(angles, source, rows)))
    if "class" in block:
        extra[CLASS] = column("class")
    used = {*POSITION, *SHIFT, *PHI_THETA_PSI, "class", "score", "tomo_num"}
    extra |= {str(name): block[name].to_numpy() for name in block if name not in used}
    return PickTable(
        coordinates,
        Unit.VOXEL,
        tomogram_index.named(column("tomo_num"), path),
        column("score") if "score" in block else np.full(len(block), np.nan),
        extra=pd.DataFrame(extra, index=range(len(block))),
        source=source,
        first_voxel=FIRST_VOXEL,
        notes=notes,
    )


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a motive list with shifts of 0, and ``<stem>.doc`` beside it; clicks have the score 0."""
    n = len(picks)
    index = tomogram_index.numbered(picks.tomogram_names, path) if n else {}
    counted = np.arange(1, n + 1)
    kept: dict[str, object] = {"motl_idx": counted, "object": np.ones(n, int), "subtomo_num": counted}
    kept["halfset"] = pd.Series(["A" if i % 2 else "B" for i in counted], dtype=object)
    kept |= {name: picks.extra[name].to_numpy() for name in _KEPT if name in picks.extra}
    rotations = orientations(picks.extra)
    angles = np.zeros((n, 3)) if rotations is None else to_tom(rotations)
    columns: dict[str, object] = {
        "motl_idx": kept["motl_idx"],
        "tomo_num": np.array([index[name] for name in picks.tomograms], dtype=np.int64),
        **{name: kept[name] for name in _KEPT[1:]},
        **dict(zip(POSITION, express(picks, frames, Unit.VOXEL, first_voxel=FIRST_VOXEL).T, strict=True)),
        "score": np.nan_to_num(picks.scores),
        **{name: np.zeros(n) for name in SHIFT},
        **{name: angles[:, PHI_THETA_PSI.index(name)] for name in ("phi", "psi", "the")},
        "class": carried(picks.extra, CLASS, n, default=1.0).astype(np.int64),
    }
    star.write_blocks({BLOCK: pd.DataFrame(columns)}, path)
