"""EMAN2's ``info/<tomogram>_info.json``: ``boxes_3d`` rows of x, y, z, method, score, class; one tomogram a file.

With ``apix_unbin`` (since 2018-09) boxes count unbinned pixels from the voxel size // 2 of the tomogram; without it
they are its voxels from the first (e2spt_boxer.py: ``b / apix * apix_unbin + nx // 2``).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame, PickTable, Unit, to_file_units
from tomopicker.io.angles import CLASS
from tomopicker.io.columns import Rows, column_or_default, to_strings
from tomopicker.io.text import read_json
from tomopicker.picks import Picks

_DEFAULTS = {"x": 0.0, "y": 0.0, "z": 0.0, ".": "manual", "s": 0.0, "c": 0}
"""The fields of a box, and their defaults where a box is shorter."""
_BOX_SIZE = 64
"""Of a new class, as e2spt_boxer.py has it."""
_OTHERWISE = "not an EMAN2 info file; give info/<tomogram>_info.json"


def read(path: Path) -> PickTable:
    """Read the boxes.

    Raises `TomoPickerError` if it is no JSON, has no boxes, or one is no row of numbers.
    """
    info = read_json(path, _OTHERWISE)
    boxes = info.get("boxes_3d")
    if not isinstance(boxes, list) or not all(isinstance(box, list) and 3 <= len(box) <= 16 for box in boxes):
        raise TomoPickerError(f"{path}: no list 'boxes_3d' of rows x, y, z, … in it; box particles in EMAN2 first")
    rows = Rows.counted(path, "box", len(boxes))
    columns = {
        name: [(box[i] if i < len(box) else default) for box in boxes]
        for i, (name, default) in enumerate(_DEFAULTS.items())
    }
    methods = to_strings(columns.pop("."))
    values = rows.stack(columns)
    coordinates, score, label = values[:, :3], values[:, 3], values[:, 4]
    unit = Unit.VOXEL
    if "apix_unbin" in info:
        coordinates, unit = coordinates * _pixel_size(info, path), Unit.CENTER_VOXEL_ANGSTROM
    return rows.table(coordinates, unit, None, score, {CLASS: label, "method": methods})


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write the boxes, and leave whatever else a file of this name holds (tilt angles, alignments) as it is.

    Raises `TomoPickerError` if there is a file of this name that is no JSON.
    """
    info = read_json(path, _OTHERWISE) if path.is_file() and path.stat().st_size else {}
    frame = next((frames[name] for name in picks.tomogram_names), None)
    if "apix_unbin" not in info and frame is not None:
        info["apix_unbin"] = frame.unbinned_pixel_size or frame.voxel_size
    unbinned = _pixel_size(info, path) if "apix_unbin" in info else 1.0
    points = to_file_units(picks, frames, Unit.CENTER_VOXEL_ANGSTROM) / unbinned
    labels = column_or_default(picks.extra, CLASS, len(picks)).astype(int).tolist()
    methods = picks.extra["method"].tolist() if "method" in picks.extra else ["tomopicker"] * len(picks)
    info["boxes_3d"] = [
        [*(round(value, 5) for value in point), method or "manual", float(f"{score:.7g}"), label]
        for point, method, score, label in zip(
            points.tolist(), to_strings(methods), np.nan_to_num(picks.scores), labels, strict=True
        )
    ]
    classes = info.get("class_list")
    known = classes if isinstance(classes, dict) else {}
    new = {str(label): {"name": f"particles_{label:02d}", "boxsize": _BOX_SIZE} for label in sorted(set(labels))}
    info["class_list"] = {**new, **known}
    write_text(path, json.dumps(info, indent=1) + "\n")


def _pixel_size(info: dict[str, Any], path: Path) -> float:
    """Read Å of an unbinned pixel."""
    size = Rows(path, ["apix_unbin"]).numbers([info["apix_unbin"]], "apix_unbin")[0]
    if not 0 < size < 1e6:
        raise TomoPickerError(f"{path}: apix_unbin is {size:g} Å, not a pixel size; correct the file")
    return float(size)
