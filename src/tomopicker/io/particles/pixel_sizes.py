"""The size of the pixels that coordinates of a STAR file count, and whether what the file states of it agrees.

A file may state it in half a dozen columns, of the row or of its optics group. Which one counts follows from the tool
that wrote the file (see `relion_read`). Columns that mean the same and differ contradict each other: the user then
has to give the size.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tomopicker.io.columns import Rows, to_strings
from tomopicker.io.tomogram_names import join_names
from tomopicker.types import Scores

PIXEL_SIZES = [
    "rlnTomoTiltSeriesPixelSize",
    "rlnPixelSize",
    "rlnDetectorPixelSize",
    "rlnMagnification",
    "rlnMicrographPixelSize",
    "rlnImagePixelSize",
]
TOLERANCE = 0.01
REMEDY = "give --picks-pixel-size"


def find_pixel_sizes(
    block: pd.DataFrame, optics: pd.DataFrame, tomograms: np.ndarray, rows: Rows
) -> tuple[Scores, str | None]:
    """Find Å per pixel of each row of a block of particles.

    Parameters
    ----------
    block, optics : DataFrame
        The particles, and their optics groups; the latter may be empty.
    tomograms : array of str, shape (n,)
        Those ending in ``.tomostar`` are Warp's, which counts the pixels that it exports.
    rows : Rows
        Of the block.

    Returns
    -------
    sizes : array of float, shape (n,)
        Å per pixel of each row, NaN where nothing is stated.
    doubt : str or None
        Why that is ambiguous or contradictory, and the option that gives it.

    Raises
    ------
    TomoPickerError
        If a size is no number.
    """
    found = {name: _positive(rows.numbers(block[name].tolist(), name)) for name in PIXEL_SIZES if name in block}
    magnification = found.pop("rlnMagnification", None)
    if magnification is not None and "rlnDetectorPixelSize" in found:
        # Without a magnification (pytom-match-pick) it is in Å, with one the detector's own in µm.
        found["rlnDetectorPixelSize"] = found["rlnDetectorPixelSize"] * 1e4 / magnification
    of_groups, doubt = _of_optics_groups(block, optics, rows)
    stated = {f"{name} of the row": sizes for name, sizes in found.items()}
    stated |= {f"{name} of the optics group": sizes for name, sizes in of_groups.items()}

    def first(*columns: str) -> Scores:
        out = np.full(len(block), np.nan)
        for column in columns:
            for name, sizes in stated.items():
                if name.startswith(f"{column} "):
                    out = np.where(np.isnan(out), sizes, out)
        return out

    tilt_series, image = "rlnTomoTiltSeriesPixelSize", "rlnImagePixelSize"
    detector, micrograph = "rlnDetectorPixelSize", "rlnMicrographPixelSize"
    warp = np.array([name.lower().endswith(".tomostar") for name in tomograms], dtype=bool)
    as_relion = first(tilt_series, "rlnPixelSize", detector, micrograph, image)
    as_warp = first("rlnPixelSize", detector, image, tilt_series)
    sizes = np.where(warp, as_warp, as_relion)
    alike = [[tilt_series], [image], ["rlnPixelSize", detector, micrograph]]
    if not warp.any():
        alike.append([tilt_series, "rlnPixelSize"])
    doubt = doubt or _contradiction(stated, alike, rows.labels)
    unknown = np.flatnonzero(np.isnan(sizes))
    if not doubt and 0 < len(unknown) < len(sizes):
        doubt = f"{rows.labels[unknown[0]]} states no pixel size, where others do; {REMEDY}"
    return sizes, doubt


def _of_optics_groups(block: pd.DataFrame, optics: pd.DataFrame, rows: Rows) -> tuple[dict[str, Scores], str | None]:
    """Return what the optics group of each row states, by column, and why a row's group is not known; None if it is."""
    columns = ("rlnTomoTiltSeriesPixelSize", "rlnMicrographPixelSize", "rlnImagePixelSize") if len(optics) else ()
    groups = Rows.counted(rows.source, "optics row", len(optics))
    sizes = {name: _positive(groups.numbers(optics[name].tolist(), name)) for name in columns if name in optics}
    stating = [name for name in PIXEL_SIZES if name in optics]
    key = next((name for name in ("rlnOpticsGroup", "rlnOpticsGroupName") if name in block and name in optics), None)
    if key is None:
        one = {name: each[0] if np.ptp(each) <= TOLERANCE * each.min() else np.nan for name, each in sizes.items()}
        several = [name for name in stating if optics[name].nunique() > 1]
        which = f"its {len(optics)} optics groups differ in {join_names(several)}, and no row names its group"
        return {
            name: np.full(len(block), size) for name, size in one.items()
        }, f"{which}; {REMEDY}" if several else None
    of_rows, known = to_strings(block[key].tolist()), to_strings(optics[key].tolist()).tolist()
    number = {group: i for i, group in enumerate(known)}
    at = [number.get(group, -1) for group in of_rows]
    found = {name: np.append(each, np.nan)[at] for name, each in sizes.items()}
    if -1 not in at or not stating:
        return found, None
    which = f"{rows.labels[at.index(-1)]} is of optics group {of_rows[at.index(-1)]}"
    return found, f"{which}, and data_optics has {join_names(known)} only; {REMEDY}"


def _positive(sizes: Scores) -> Scores:
    return np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan)


def _contradiction(stated: dict[str, Scores], alike: Sequence[Sequence[str]], rows: Sequence[str]) -> str | None:
    """Find two statements that mean the same and differ."""
    for group in alike:
        mine = [(name, sizes) for name, sizes in stated.items() if name.split()[0] in group]
        for i, (name, sizes) in enumerate(mine):
            for other, others in mine[i + 1 :]:
                # NaN, where one is not stated, compares as no contradiction.
                differ = np.flatnonzero(np.abs(sizes - others) > TOLERANCE * np.minimum(sizes, others))
                if len(differ):
                    row = differ[0]
                    both = f"{name} states {sizes[row]:g} Å, {other} {others[row]:g} Å"
                    return f"{rows[row]} states two sizes of its pixels ({both}); {REMEDY}"
    return None
