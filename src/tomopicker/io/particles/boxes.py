"""Boxes of EMAN2 (``info/<tomogram>_info.json``) and of crYOLO (``.cbox``, ``EMAN_3D/*.box``), one tomogram per file.

EMAN2's ``boxes_3d`` are rows of x, y, z, method, score, class. With ``apix_unbin`` (since 2018-09) they count unbinned
pixels from the voxel size // 2 of the tomogram; without it they are its voxels from the first (e2spt_boxer.py:
``b / apix * apix_unbin + nx // 2``).

crYOLO's coordinates are voxels, 0 at the centre of the first. In CBOX, ``CoordinateX`` and ``Y`` are a box's corner,
so half its width is added; ``CoordinateZ`` is the section of its centre already (napari-boxmanager's cbox.py).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS
from tomopicker.io.columns import Rows, column_or_default, to_strings
from tomopicker.io.particles.star import choose_block, read_blocks, write_blocks
from tomopicker.io.text import read_json
from tomopicker.picks import Picks

EMAN2_BOX_SIZE = 64
"""Of a new class, as in e2spt_boxer.py."""
_EMAN2_DEFAULTS = {"x": 0.0, "y": 0.0, "z": 0.0, "method": "manual", "score": 0.0, "class": 0}
"""The fields of a box, and the values of those that are left out."""
_EXPECTED_EMAN2 = "not an EMAN2 info file; give info/<tomogram>_info.json"
CBOX_SIZE = 32.0
"""Voxels, of a box of unknown size: crYOLO shows boxes, and trains on their size."""
CBOX_CORNER, CBOX_SIZES = ["CoordinateX", "CoordinateY", "CoordinateZ"], ["Width", "Height", "Depth"]


def read_eman2(path: Path) -> PickTable:
    """Read EMAN2's boxes."""
    info = read_json(path, _EXPECTED_EMAN2)
    boxes = info.get("boxes_3d")
    if not isinstance(boxes, list) or not all(isinstance(box, list) and 3 <= len(box) <= 16 for box in boxes):
        raise TomoPickerError(f"{path}: no list 'boxes_3d' of rows x, y, z, … in it; box particles in EMAN2 first")
    rows = Rows.counted(path, "box", len(boxes))
    columns = {
        name: [(box[i] if i < len(box) else default) for box in boxes]
        for i, (name, default) in enumerate(_EMAN2_DEFAULTS.items())
    }
    methods = to_strings(columns.pop("method"))
    values = rows.stack(columns)
    coordinates, unit = values[:, :3], Unit.VOXEL
    if "apix_unbin" in info:
        coordinates, unit = coordinates * _unbinned_pixel_size(info, path), Unit.CENTER_VOXEL_ANGSTROM
    return rows.table(coordinates, unit, None, values[:, 3], {CLASS: values[:, 4], "method": methods})


def write_eman2(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write EMAN2's boxes; whatever else a file of this name holds (tilt angles, alignments) stays.

    Raises `TomoPickerError` if there is a file of this name that is not JSON.
    """
    info = read_json(path, _EXPECTED_EMAN2) if path.is_file() and path.stat().st_size else {}
    frame = next((frames[name] for name in picks.tomogram_names), None)
    if "apix_unbin" not in info and frame is not None:
        info["apix_unbin"] = frame.unbinned_pixel_size or frame.voxel_size
    unbinned = _unbinned_pixel_size(info, path) if "apix_unbin" in info else 1.0
    points = to_file_units(picks, frames, Unit.CENTER_VOXEL_ANGSTROM) / unbinned
    labels = column_or_default(picks, CLASS).astype(int).tolist()
    methods = picks.extra["method"] if "method" in picks.extra else ["tomopicker"] * len(picks)
    info["boxes_3d"] = [
        [*(round(value, 5) for value in point), method or "manual", float(f"{score:.7g}"), label]
        for point, method, score, label in zip(
            points.tolist(), to_strings(methods), np.nan_to_num(picks.scores), labels, strict=True
        )
    ]
    present = info.get("class_list")
    new = {str(i): {"name": f"particles_{i:02d}", "boxsize": EMAN2_BOX_SIZE} for i in sorted(set(labels))}
    info["class_list"] = {**new, **(present if isinstance(present, dict) else {})}
    write_text(path, json.dumps(info, indent=1) + "\n")


def _unbinned_pixel_size(info: dict[str, Any], path: Path) -> float:
    """Return Å of an unbinned pixel."""
    size = Rows(path, ["apix_unbin"]).numbers([info["apix_unbin"]], "apix_unbin")[0]
    if not 0 < size < 1e6:
        raise TomoPickerError(f"{path}: apix_unbin is {size:g} Å, not a pixel size; correct the file")
    return float(size)


def read_cbox(path: Path) -> PickTable:
    """Read crYOLO's CBOX."""
    needed = [*CBOX_CORNER, *CBOX_SIZES[:2]]
    block, notes = choose_block(read_blocks(path), needed, "cryolo", str(path))
    if block is None:
        raise TomoPickerError(f"{path}: no block with the columns {', '.join(needed)}; give crYOLO's .cbox")
    rows = Rows.counted(path, "row", len(block))
    x, y, z, width, height = rows.stack(block[needed]).T
    coordinates = np.stack([x + width / 2, y + height / 2, z], axis=1)
    scores = rows.numbers(block["Confidence"], "Confidence", blank=np.nan) if "Confidence" in block else None
    extra = block.drop(columns=[*CBOX_CORNER, "Confidence"], errors="ignore").reset_index(drop=True)
    return rows.table(coordinates, Unit.VOXEL, None, scores, extra, notes=notes)


def write_cbox(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write CBOX with the sizes that came with the picks, else of 32 voxels."""
    points = to_file_units(picks, frames, Unit.VOXEL)
    width, height, depth = (column_or_default(picks, name, CBOX_SIZE) for name in CBOX_SIZES)
    x, y, z = points.T
    optional = {name: column_or_default(picks, name, np.nan) for name in ("EstWidth", "EstHeight")}
    optional |= {"Confidence": picks.scores}
    optional |= {name: column_or_default(picks, name, np.nan) for name in ("NumBoxes", "Angle")}
    table: dict[str, object] = dict(zip(CBOX_CORNER, (x - width / 2, y - height / 2, z), strict=True))
    table |= dict(zip(CBOX_SIZES, (width, height, depth), strict=True))
    for name, values in optional.items():
        table[name] = pd.Series(["<NA>" if np.isnan(value) else f"{value:.7g}" for value in values], dtype=object)
    blocks: dict[str, pd.DataFrame | dict[str, object]] = {
        "global": {"cbox_format_version": "1.0"},
        "cryolo": pd.DataFrame(table),
        "cryolo_include": pd.DataFrame({"slice_index": np.unique(np.round(z))}),
    }
    write_blocks(blocks, path)
