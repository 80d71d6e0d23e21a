"""STAR files of programs other than RELION: boxes of crYOLO (CBOX) and motive lists of STOPGAP."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS, TOM, angles_or_zeros, columns_if_any
from tomopicker.io.columns import Rows, column_or_default
from tomopicker.io.particles import star, tomogram_index
from tomopicker.picks import Picks

CORNER = ["CoordinateX", "CoordinateY", "CoordinateZ"]
SIZES = ["Width", "Height", "Depth"]
BOX_SIZE = 32.0
"""Voxels, of a box whose size is not known: crYOLO shows boxes, and trains on their size."""
MOTIVE_LIST = "stopgap_motivelist"
ORIGIN = (1.0, 1.0, 1.0)
"""The centre of the first voxel, taken as in TOM, which STOPGAP derives from; its documentation does not state it."""
POSITION, SHIFT = ["orig_x", "orig_y", "orig_z"], ["x_shift", "y_shift", "z_shift"]
PHI_THETA_PSI = ["phi", "the", "psi"]
_KEPT = ["motl_idx", "object", "subtomo_num", "halfset"]


def read_cbox(path: Path) -> PickTable:
    """Read boxes of one tomogram, in voxels, 0 at the centre of the first.

    ``CoordinateX`` and ``Y`` are a box's corner, so half its width is added; ``CoordinateZ`` is the section of its
    centre already (napari-boxmanager's cbox.py). A `TomoPickerError` names a column that is missing or not numeric.
    """
    needed = [*CORNER, *SIZES[:2]]
    block, notes = star.choose_block(star.read_blocks(path), needed, "cryolo", str(path))
    if block is None:
        raise TomoPickerError(f"{path}: no block with the columns {', '.join(needed)}; give crYOLO's .cbox")
    rows = Rows.counted(path, "row", len(block))
    x, y, z, width, height = rows.stack(block[needed]).T
    coordinates = np.stack([x + width / 2, y + height / 2, z], axis=1)
    scores = None
    if "Confidence" in block:
        scores = rows.numbers(block["Confidence"].tolist(), "Confidence", blank=np.nan)
    extra = block.drop(columns=[*CORNER, "Confidence"], errors="ignore").reset_index(drop=True)
    return rows.table(coordinates, Unit.VOXEL, None, scores, extra, notes=notes)


def write_cbox(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write boxes of the size that came with the picks, else of 32 voxels."""
    n = len(picks)
    points = to_file_units(picks, frames, Unit.VOXEL)
    width, height, depth = (column_or_default(picks.extra, name, n, default=BOX_SIZE) for name in SIZES)
    corners = points - np.stack([width / 2, height / 2, np.zeros(n)], axis=1)
    kept = {
        name: _text(column_or_default(picks.extra, name, n, default=np.nan))
        for name in ("EstWidth", "EstHeight", "NumBoxes", "Angle")
    }
    table: dict[str, object] = dict(zip([*CORNER, *SIZES], [*corners.T, width, height, depth], strict=True))
    table |= {name: kept[name] for name in ("EstWidth", "EstHeight")}
    table["Confidence"] = _text(picks.scores)
    table |= {name: kept[name] for name in ("NumBoxes", "Angle")}
    blocks: dict[str, pd.DataFrame | dict[str, object]] = {
        "global": {"cbox_format_version": "1.0"},
        "cryolo": pd.DataFrame(table),
        "cryolo_include": pd.DataFrame({"slice_index": np.unique(np.round(points[:, 2]))}),
    }
    star.write_blocks(blocks, path)


def read_stopgap(path: Path) -> PickTable:
    """Read a motive list; the tomograms' names from ``<stem>.doc`` if it is there.

    A particle lies at its origin plus its shift, in voxels of the binned tomogram. A `TomoPickerError` names a column
    that is missing or not numeric.
    """
    needed = [*POSITION, "tomo_num"]
    block, notes = star.choose_block(star.read_blocks(path), needed, MOTIVE_LIST, str(path))
    if block is None:
        raise TomoPickerError(f"{path}: no block with the columns {', '.join(needed)}; give another file")
    rows = Rows.counted(path, "row", len(block))

    def column(name: str) -> np.ndarray:
        return rows.numbers(block[name].tolist(), name) if name in block else np.zeros(len(block))

    coordinates = np.stack([column(at) + column(shift) for at, shift in zip(POSITION, SHIFT, strict=True)], axis=1)
    angles = np.stack([column(name) for name in PHI_THETA_PSI], axis=1)
    extra: dict[str, object] = dict(columns_if_any(rows.check_angles(angles), TOM))
    if "class" in block:
        extra[CLASS] = column("class")
    used = {*POSITION, *SHIFT, *PHI_THETA_PSI, "class", "score", "tomo_num"}
    extra |= {str(name): block[name].to_numpy() for name in block if name not in used}
    tomograms = tomogram_index.name_tomograms(column("tomo_num"), path)
    scores = column("score") if "score" in block else None
    return rows.table(coordinates, Unit.VOXEL, tomograms, scores, extra, index_origin=ORIGIN, notes=notes)


def write_stopgap(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write a motive list with shifts of 0, and ``<stem>.doc`` next to it; clicks have the score 0."""
    n = len(picks)
    index = tomogram_index.number_tomograms(picks.tomogram_names, path)
    counted = np.arange(1, n + 1)
    kept: dict[str, object] = {"motl_idx": counted, "object": np.ones(n, int), "subtomo_num": counted}
    kept["halfset"] = pd.Series(["A" if i % 2 else "B" for i in counted], dtype=object)
    kept |= {name: picks.extra[name].to_numpy() for name in _KEPT if name in picks.extra}
    phi, theta, psi = angles_or_zeros(picks.extra, n, TOM).T
    columns: dict[str, object] = {
        "motl_idx": kept["motl_idx"],
        "tomo_num": np.array([index[name] for name in picks.tomograms], dtype=np.int64),
        **{name: kept[name] for name in _KEPT[1:]},
        **dict(zip(POSITION, to_file_units(picks, frames, Unit.VOXEL, index_origin=ORIGIN).T, strict=True)),
        "score": np.nan_to_num(picks.scores),
        **{name: np.zeros(n) for name in SHIFT},
        "phi": phi,
        "psi": psi,
        "the": theta,
        "class": column_or_default(picks.extra, CLASS, n, default=1.0).astype(np.int64),
    }
    star.write_blocks({MOTIVE_LIST: pd.DataFrame(columns)}, path)


def _text(values: np.ndarray) -> pd.Series:
    return pd.Series(["<NA>" if np.isnan(value) else f"{value:.7g}" for value in values], dtype=object)
