"""crYOLO's CBOX: a STAR file of boxes, one tomogram a file.

``CoordinateX`` and ``Y`` are a box's **corner**, so half its width is added; ``CoordinateZ`` is the section of its
centre already (napari-boxmanager's cbox.py). Voxels, 0 at the centre of the first.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.formats import star
from tomopicker.formats.columns import carried, check_coordinates, names, numbers
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks

POSITION = ["CoordinateX", "CoordinateY", "CoordinateZ"]
SIZES = ["Width", "Height", "Depth"]
_KEPT = ["EstWidth", "EstHeight", "NumBoxes", "Angle"]
BOX_SIZE = 32.0
"""Voxels, of a box whose size nobody said: crYOLO shows boxes, and trains on their size."""
_MISSING = "<NA>"


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its suffix, or by the line that states its version."""
    return path.suffix.lower() == ".cbox" or (b"_cbox_format_version" in head and star.recognises(path, head))


def read(path: Path) -> PickTable:
    """Read boxes.

    Raises
    ------
    TomoPickerError
        If a column is missing or holds something that is no number.
    """
    source = str(path)
    needed = [*POSITION, *SIZES[:2]]
    block, notes = star.choose_block(star.read_blocks(path), needed, "cryolo", source)
    if block is None:
        raise TomoPickerError(f"{source}: no block with the columns {', '.join(needed)}; give crYOLO's .cbox")
    rows = [f"row {i + 1}" for i in range(len(block))]
    values = {name: numbers(block[name].tolist(), name, source, rows) for name in needed}
    x, y, z = (values[name] for name in POSITION)
    coordinates = np.stack([x + values["Width"] / 2, y + values["Height"] / 2, z], axis=1)
    check_coordinates(coordinates, source, rows)
    scores = np.full(len(block), np.nan)
    if "Confidence" in block:
        scores = numbers(block["Confidence"].tolist(), "Confidence", source, rows, blank=np.nan)
    extra = block[[name for name in block if name not in {*POSITION, "Confidence"}]]
    return PickTable(
        coordinates,
        Unit.VOXEL,
        names([""] * len(block)),
        scores,
        extra=extra.reset_index(drop=True),
        source=source,
        notes=notes,
    )


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write boxes of the size that came with the picks, else of 32 voxels."""
    n = len(picks)
    points = express(picks, frames, Unit.VOXEL)
    width, height, depth = (carried(picks.extra, name, n, default=BOX_SIZE) for name in SIZES)
    table: dict[str, object] = {
        **dict(zip(POSITION, (points - np.stack([width / 2, height / 2, np.zeros(n)], axis=1)).T, strict=True)),
        **dict(zip(SIZES, (width, height, depth), strict=True)),
    }
    for name in _KEPT[:2]:
        table[name] = _text(carried(picks.extra, name, n, default=np.nan))
    table["Confidence"] = _text(picks.scores)
    for name in _KEPT[2:]:
        table[name] = _text(carried(picks.extra, name, n, default=np.nan))
    sections = np.unique(np.round(points[:, 2]))
    blocks: dict[str, pd.DataFrame | dict[str, object]] = {
        "global": {"cbox_format_version": "1.0"},
        "cryolo": pd.DataFrame(table),
        "cryolo_include": pd.DataFrame({"slice_index": sections}),
    }
    star.write_blocks(blocks, path)


def _text(values: np.ndarray) -> pd.Series:
    return pd.Series([_MISSING if np.isnan(value) else f"{value:.7g}" for value in values], dtype=object)
