"""EMAN2's ``info/<tomogram>_info.json``: ``boxes_3d`` rows of x, y, z, method, score, class; one tomogram a file.

With ``apix_unbin`` (since 2018-09) boxes count unbinned pixels from the voxel size // 2 of the tomogram; without it
they are its voxels from the first (e2spt_boxer.py: ``b / apix * apix_unbin + nx // 2``).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.formats.angles import CLASS
from tomopicker.formats.columns import carried, check_coordinates, names, numbers
from tomopicker.formats.textfile import read_text
from tomopicker.geometry import Frame, PickTable, Unit, express
from tomopicker.picks import Picks

_DEFAULTS = (0.0, 0.0, 0.0, "manual", 0.0, 0)
_BOX_SIZE = 64
"""Of a new class, as e2spt_boxer.py has it."""


def recognises(path: Path, head: bytes) -> bool:
    """Tell it by its suffix and its key."""
    return path.suffix.lower() == ".json" and (path.name.endswith("_info.json") or b"boxes_3d" in head)


def read(path: Path) -> PickTable:
    """Read the boxes.

    Raises
    ------
    TomoPickerError
        If it is no JSON, has no boxes, or one is no row of numbers.
    """
    source = str(path)
    info = _info(path)
    boxes = info.get("boxes_3d")
    if not isinstance(boxes, list) or not all(isinstance(box, list) and 3 <= len(box) <= 16 for box in boxes):
        raise TomoPickerError(f"{source}: no list 'boxes_3d' of rows x, y, z, … in it; box particles in EMAN2 first")
    rows = [f"box {i + 1}" for i in range(len(boxes))]
    columns = [[(box[i] if i < len(box) else default) for box in boxes] for i, default in enumerate(_DEFAULTS)]
    x, y, z, score, label = (numbers(columns[i], "xyz.sc"[i], source, rows) for i in (0, 1, 2, 4, 5))
    coordinates = np.stack([x, y, z], axis=1)
    unit = Unit.VOXEL
    if "apix_unbin" in info:
        coordinates, unit = coordinates * _pixel_size(info, path), Unit.MIDDLE_ANGSTROM
    check_coordinates(coordinates, source, rows)
    extra = pd.DataFrame({CLASS: label, "method": names(columns[3])})
    return PickTable(coordinates, unit, names([""] * len(boxes)), score, extra=extra, source=source)


def write(picks: Picks, frames: Mapping[str, Frame], path: Path) -> None:
    """Write the boxes, and leave whatever else a file of this name holds (tilt angles, alignments) as it is.

    Raises
    ------
    TomoPickerError
        If there is a file of this name that is no JSON.
    """
    info = _info(path) if path.is_file() and path.stat().st_size else {}
    frame = next((frames[name] for name in picks.tomogram_names), None)
    if "apix_unbin" not in info and frame is not None:
        info["apix_unbin"] = frame.unbinned_pixel_size or frame.voxel_size
    unbinned = _pixel_size(info, path) if "apix_unbin" in info else 1.0
    points = express(picks, frames, Unit.MIDDLE_ANGSTROM) / unbinned
    labels = carried(picks.extra, CLASS, len(picks)).astype(int).tolist()
    methods = names(picks.extra["method"].tolist()) if "method" in picks.extra else ["tomopicker"] * len(picks)
    info["boxes_3d"] = [
        [*(round(value, 5) for value in point), method or "manual", float(f"{score:.7g}"), label]
        for point, method, score, label in zip(
            points.tolist(), methods, np.nan_to_num(picks.scores), labels, strict=True
        )
    ]
    classes = info.get("class_list")
    known = classes if isinstance(classes, dict) else {}
    new = {str(label): {"name": f"particles_{label:02d}", "boxsize": _BOX_SIZE} for label in sorted(set(labels))}
    info["class_list"] = {**new, **known}
    write_text(path, json.dumps(info, indent=1) + "\n")


def _pixel_size(info: dict[str, Any], path: Path) -> float:
    size = numbers([info["apix_unbin"]], "apix_unbin", str(path), ["apix_unbin"])[0]
    if not 0 < size < 1e6:
        raise TomoPickerError(f"{path}: apix_unbin is {size:g} Å, which cannot be; mend the file")
    return float(size)


def _info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(read_text(path), parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise TomoPickerError(f"{path}: cannot be read as JSON ({str(error)[:80]}); mend it") from error
    if not isinstance(info, dict):
        raise TomoPickerError(f"{path}: not an EMAN2 info file; give info/<tomogram>_info.json")
    return info


def _whole(text: str) -> int | float:
    return int(text) if len(text) < 18 else float(text)
