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
    groups = _Optics(block, optics, rows)
    found = {
        name: _positive(rows.numbers(block[name].tolist(), name)) if name in block else None for name in PIXEL_SIZES
    }
    found["rlnDetectorPixelSize"] = _detector(found["rlnDetectorPixelSize"], found.pop("rlnMagnification"))
    stated = {f"{name} of the row": sizes for name, sizes in found.items() if sizes is not None}
    for name in ("rlnTomoTiltSeriesPixelSize", "rlnMicrographPixelSize", "rlnImagePixelSize"):
        if (sizes := groups.sizes(name)) is not None:
            stated[f"{name} of the optics group"] = sizes

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
    return sizes, groups.doubt() or _contradiction(stated, alike, rows.labels) or _unstated(sizes, rows.labels)


class _Optics:
    """The optics groups of a file, and which of them each row belongs to."""

    def __init__(self, block: pd.DataFrame, optics: pd.DataFrame, rows: Rows) -> None:
        self._optics, self._rows = optics, rows
        key = next(
            (name for name in ("rlnOpticsGroup", "rlnOpticsGroupName") if name in block and name in optics), None
        )
        self._of_rows = None if key is None else to_strings(block[key].tolist())
        self._known = [] if key is None else to_strings(optics[key].tolist()).tolist()

    def sizes(self, name: str) -> Scores | None:
        """Give each row the size its group states; None if groups state none, or which is meant is open."""
        if name not in self._optics or not len(self._optics):
            return None
        rows = Rows.counted(self._rows.source, "optics row", len(self._optics))
        sizes = _positive(rows.numbers(self._optics[name].tolist(), name))
        if self._of_rows is None:
            one = np.ptp(sizes) <= TOLERANCE * sizes.min()
            return np.full(len(self._rows), sizes[0]) if one else np.full(len(self._rows), np.nan)
        by_group = dict(zip(self._known, sizes, strict=True))
        return np.array([by_group.get(group, np.nan) for group in self._of_rows], np.float64)

    def doubt(self) -> str | None:
        """Explain why a row's group is not known; None if it is."""
        if self._of_rows is None:
            several = [name for name in PIXEL_SIZES if name in self._optics and self._optics[name].nunique() > 1]
            which = f"its {len(self._optics)} optics groups differ in {join_names(several)}, and no row names its group"
            return f"{which}; {REMEDY}" if several else None
        unknown = [i for i, group in enumerate(self._of_rows) if group not in self._known]
        if not unknown or not any(name in self._optics for name in PIXEL_SIZES):
            return None
        which = f"{self._rows.labels[unknown[0]]} is of optics group {self._of_rows[unknown[0]]}"
        return f"{which}, and data_optics has {join_names(self._known)} only; {REMEDY}"


def _detector(size: Scores | None, magnification: Scores | None) -> Scores | None:
    """Give the pixel of a detector in Å: without a magnification (pytom-match-pick) it is, with one it is in µm."""
    return size if size is None or magnification is None else size * 1e4 / magnification


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


def _unstated(sizes: Scores, rows: Sequence[str]) -> str | None:
    unknown = np.flatnonzero(np.isnan(sizes))
    if not 0 < len(unknown) < len(sizes):
        return None
    return f"{rows[unknown[0]]} states no pixel size, where others do; {REMEDY}"
