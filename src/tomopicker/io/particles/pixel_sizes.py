"""The size of the pixels that coordinates of a STAR file count, and contradictions about it.

A file may state it in half a dozen columns, of the row or of its optics group. Which one counts follows from the tool
that wrote the file (see `relion_read`). If columns that mean the same differ, the user has to give the size.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from tomopicker.io.columns import Rows, to_strings
from tomopicker.io.tomogram_names import join_names
from tomopicker.types import Scores

TILT_SERIES, PIXEL, DETECTOR = "rlnTomoTiltSeriesPixelSize", "rlnPixelSize", "rlnDetectorPixelSize"
MICROGRAPH, IMAGE, MAGNIFICATION = "rlnMicrographPixelSize", "rlnImagePixelSize", "rlnMagnification"
PIXEL_SIZES = [TILT_SERIES, PIXEL, DETECTOR, MAGNIFICATION, MICROGRAPH, IMAGE]
RELION_ORDER = [TILT_SERIES, PIXEL, DETECTOR, MICROGRAPH, IMAGE]
WARP_ORDER = [PIXEL, DETECTOR, IMAGE, TILT_SERIES]
"""The first column that is present counts, of the row before that of the optics group."""
SYNONYMS = [{TILT_SERIES}, {IMAGE}, {PIXEL, DETECTOR, MICROGRAPH}]
OPTICS_COLUMNS = [TILT_SERIES, MICROGRAPH, IMAGE]
TOLERANCE = 0.01
REMEDY = "give --picks-pixel-size"


def find_pixel_sizes(
    block: pd.DataFrame, optics: pd.DataFrame, tomograms: np.ndarray, rows: Rows
) -> tuple[Scores, str | None]:
    """Determine Å per pixel for each row of a block of particles.

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
        Å per pixel of each row, NaN where none is stated.
    ambiguity : str or None
        Why the size is ambiguous or contradictory, and the option that gives it.

    Raises
    ------
    TomoPickerError
        If a size is not a number.
    """
    of_rows = {name: _positive(rows.numbers(block[name], name)) for name in PIXEL_SIZES if name in block}
    magnification = of_rows.pop(MAGNIFICATION, None)
    if magnification is not None and DETECTOR in of_rows:
        # Without a magnification (pytom-match-pick) it is in Å, with one the detector's own in µm.
        of_rows[DETECTOR] = of_rows[DETECTOR] * 1e4 / magnification
    of_groups, ambiguity = _of_optics_groups(block, optics, rows)
    sizes = {(name, "row"): values for name, values in of_rows.items()}
    sizes |= {(name, "optics group"): values for name, values in of_groups.items()}

    def first(order: list[str]) -> Scores:
        values = [sizes[name, place] for name in order for place in ("row", "optics group") if (name, place) in sizes]
        columns = [np.full(len(block), np.nan), *values]
        return pd.DataFrame(dict(enumerate(columns))).bfill(axis=1)[0].to_numpy(np.float64)

    is_warp = np.array([name.lower().endswith(".tomostar") for name in tomograms], dtype=bool)
    chosen = np.where(is_warp, first(WARP_ORDER), first(RELION_ORDER))
    synonyms = SYNONYMS if is_warp.any() else [*SYNONYMS, {TILT_SERIES, PIXEL}]
    ambiguity = ambiguity or _contradiction(sizes, synonyms, rows)
    unknown = np.flatnonzero(np.isnan(chosen))
    if not ambiguity and 0 < len(unknown) < len(chosen):
        ambiguity = f"{rows.labels[unknown[0]]} states no pixel size, where others do; {REMEDY}"
    return chosen, ambiguity


def _of_optics_groups(block: pd.DataFrame, optics: pd.DataFrame, rows: Rows) -> tuple[dict[str, Scores], str | None]:
    """Return the sizes of each row's optics group, by column, and why a row's group is unknown; None if it is known."""
    groups = Rows.counted(rows.source, "optics row", len(optics))
    sizes = {name: _positive(groups.numbers(optics[name], name)) for name in OPTICS_COLUMNS if name in optics}
    sizes = sizes if len(optics) else {}
    in_optics = [name for name in PIXEL_SIZES if name in optics]
    key = next((name for name in ("rlnOpticsGroup", "rlnOpticsGroupName") if name in block and name in optics), None)
    if key is None:
        differing = [name for name in in_optics if optics[name].nunique() > 1]
        common = {
            name: np.full(len(block), values[0] if np.ptp(values) <= TOLERANCE * values.min() else np.nan)
            for name, values in sizes.items()
        }
        ambiguity = (
            f"its {len(optics)} optics groups differ in {join_names(differing)}, and no row names its group; {REMEDY}"
        )
        return common, ambiguity if differing else None
    row_groups, names = to_strings(block[key]), to_strings(optics[key]).tolist()
    number = {group: i for i, group in enumerate(names)}
    index = [number.get(group, -1) for group in row_groups]
    of_rows = {name: np.append(values, np.nan)[index] for name, values in sizes.items()}
    if -1 not in index or not in_optics:
        return of_rows, None
    row = index.index(-1)
    unknown = f"{rows.labels[row]} is of optics group {row_groups[row]}"
    return of_rows, f"{unknown}, and data_optics has {join_names(names)} only; {REMEDY}"


def _positive(sizes: Scores) -> Scores:
    return np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan)


def _contradiction(sizes: dict[tuple[str, str], Scores], synonyms: list[set[str]], rows: Rows) -> str | None:
    """Describe the first two columns that mean the same and differ; None if there are none."""
    for group in synonyms:
        for (a, place_a), (b, place_b) in combinations([key for key in sizes if key[0] in group], 2):
            one, other = sizes[a, place_a], sizes[b, place_b]
            # Comparisons with NaN (not stated) are False.
            differing = np.flatnonzero(np.abs(one - other) > TOLERANCE * np.minimum(one, other))
            if len(differing):
                row = differing[0]
                both = f"{a} of the {place_a} states {one[row]:g} Å, {b} of the {place_b} {other[row]:g} Å"
                return f"{rows.labels[row]} states two sizes of its pixels ({both}); {REMEDY}"
    return None
