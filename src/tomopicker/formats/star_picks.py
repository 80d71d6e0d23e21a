"""Particles in STAR files: RELION 5, 4, 3.1 and 3.0, Warp, WarpTools and M, and napari-tomoslice.

What a coordinate counts follows from the columns (RELION's sources, Warp's documentation):

- ``rlnCenteredCoordinate?Angst``: Å from the tomogram's centre, size / 2 (RELION 5).
- ``rlnCoordinate?`` with ``rlnTomoName``: pixels of the tilt series (RELION 4); of ``rlnImagePixelSize`` if the name
  ends in ``.tomostar``, because WarpTools counts in the pixels it exports.
- ``rlnCoordinate?`` with ``rlnMicrographName``: pixels of the size the file states, whatever the tomogram's voxel.
- No stated pixel size: the tilt series' pixel where a project or ``--bin-factor`` states it, else the tomogram's voxel.

A particle lies at its coordinate minus its origin; RELION turns the origin by the subtomogram's angles first.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.formats import relion_project
from tomopicker.formats.angles import SUBTOMOGRAM_ANGLES, checked, from_relion
from tomopicker.formats.columns import SCORE_COLUMNS, check_coordinates, joined, names, numbers
from tomopicker.formats.star import read_blocks, recognises
from tomopicker.geometry import Frame, PickTable, Unit
from tomopicker.types import Positions, Scores

__all__ = ["read", "recognises"]

CENTRED = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
PIXELS = [f"rlnCoordinate{axis}" for axis in "XYZ"]
PLAIN = ["x", "y", "z"]
SCORES = ("rlnautopickfigureofmerit", "rlnlccmax", *SCORE_COLUMNS)
ORIGIN_ANGSTROM = [f"rlnOrigin{axis}Angst" for axis in "XYZ"]
ORIGIN_PIXELS = [f"rlnOrigin{axis}" for axis in "XYZ"]
PIXEL_SIZES = [
    "rlnTomoTiltSeriesPixelSize",
    "rlnPixelSize",
    "rlnDetectorPixelSize",
    "rlnMagnification",
    "rlnMicrographPixelSize",
    "rlnImagePixelSize",
]


def read(path: Path) -> PickTable:
    """Read particles from a STAR file, or from the files that an optimisation set or an import list names.

    Raises
    ------
    TomoPickerError
        If it holds no particles (the blocks and columns found are listed), or bad ones (the row is named).
    """
    return _read(path, follow=True)


def _read(path: Path, follow: bool) -> PickTable:
    blocks = read_blocks(path)
    if follow and (target := relion_project.optimisation_set(blocks, path)):
        particles, tomograms = target
        frames = relion_project.read_frames(tomograms) if tomograms else {}
        return _particles(read_blocks(particles), str(particles), frames)
    if follow and (entries := relion_project.import_list(blocks, path)):
        return joined([_listed(name, file, path) for name, file in entries], str(path))
    return _particles(blocks, str(path), {})


def _listed(name: str, file: Path, source: Path) -> PickTable:
    """Read one file of an import list; the list says which tomogram it belongs to, as RELION has it."""
    from tomopicker.formats import delimited  # noqa: PLC0415  (text files in a STAR list are rare)
    from tomopicker.formats.registry import head_of  # noqa: PLC0415

    head = head_of(file)
    table = _read(file, follow=False) if recognises(file, head) else delimited.read(file)
    tomograms = np.empty(len(table), dtype=object)
    tomograms[:] = name
    return PickTable(
        table.coordinates, table.unit, tomograms, table.scores, table.pixel_size, table.extra, source=str(source)
    )


def _particles(blocks: Mapping[str, pd.DataFrame], source: str, frames: Mapping[str, Frame]) -> PickTable:
    block, columns = _find_particles(blocks, source)
    rows = [f"row {i + 1}" for i in range(len(block))]
    coordinates = _triple(block, columns, source, rows)
    check_coordinates(coordinates, source, rows)
    tomogram = next((name for name in ("rlnTomoName", "rlnMicrographName") if name in block), None)
    tomograms = names([""] * len(block) if tomogram is None else block[tomogram].tolist())
    score = next((str(name) for word in SCORES for name in block if str(name).lower() == word), None)
    pixel_size = None
    if columns == PIXELS:
        pixel_size = _pixel_sizes(block, blocks.get("optics", pd.DataFrame()), tomograms, source, rows)
    coordinates = coordinates - _origins(block, columns == PIXELS, pixel_size, source, rows)
    check_coordinates(coordinates, source, rows)
    used = {*columns, *CENTRED, *PIXELS, *ORIGIN_ANGSTROM, *ORIGIN_PIXELS, *PIXEL_SIZES, tomogram, score}
    return PickTable(
        coordinates,
        Unit.CENTRED_ANGSTROM if columns == CENTRED else Unit.PIXEL if columns == PIXELS else Unit.VOXEL,
        tomograms,
        np.full(len(block), np.nan) if score is None else numbers(block[score].tolist(), score, source, rows, np.nan),
        pixel_size,
        block[[name for name in block if name not in used]].reset_index(drop=True),
        frames,
        source,
    )


def _find_particles(blocks: Mapping[str, pd.DataFrame], source: str) -> tuple[pd.DataFrame, list[str]]:
    """Find the block with coordinates, `data_particles` first, and which columns those are, centred ones first."""
    ordered = sorted(blocks.items(), key=lambda item: item[0] != "particles")
    for columns in (CENTRED, PIXELS, PLAIN):
        for _, block in ordered:
            if set(columns) <= set(block.columns):
                return block, columns
    if relion_project.is_tomogram_list(blocks):
        remedy = "give its particles.star or optimisation_set.star as well"
        raise TomoPickerError(f"{source}: it lists tomograms or tilt series, not particles; {remedy}")
    found = "; ".join(f"data_{name}: {', '.join(block.columns[:8])}" for name, block in list(blocks.items())[:4])
    raise TomoPickerError(f"{source}: no columns rlnCoordinateX, Y and Z (or centred ones); found {found}")


def _triple(block: pd.DataFrame, columns: list[str], source: str, rows: list[str]) -> Positions:
    return np.stack([numbers(block[name].tolist(), name, source, rows) for name in columns], axis=1)


def _pixel_sizes(
    block: pd.DataFrame, optics: pd.DataFrame, tomograms: np.ndarray, source: str, rows: list[str]
) -> Scores:
    """State Å per pixel of each row, NaN where the file does not; the module says which column counts."""

    def of_row(name: str) -> Scores | None:
        return numbers(block[name].tolist(), name, source, rows) if name in block else None

    def of_optics(name: str) -> Scores | None:
        if name not in optics:
            return None
        sizes = numbers(optics[name].tolist(), name, source, [f"optics row {i + 1}" for i in range(len(optics))])
        if "rlnOpticsGroup" not in block or "rlnOpticsGroup" not in optics:
            return np.full(len(block), sizes[0]) if len(optics) == 1 else None
        by_group = dict(zip(names(optics["rlnOpticsGroup"].tolist()), sizes, strict=True))
        return np.array([by_group.get(group, np.nan) for group in names(block["rlnOpticsGroup"].tolist())], np.float64)

    def of_detector() -> Scores | None:
        size, magnification = of_row("rlnDetectorPixelSize"), of_row("rlnMagnification")
        # Without a magnification, pytom-match-pick puts Å there; with one, RELION 3 puts µm.
        return (
            size
            if size is None or magnification is None
            else size * 1e4 / np.where(magnification, magnification, np.nan)
        )

    warp = np.array([name.lower().endswith(".tomostar") for name in tomograms], dtype=bool)
    tilt_series = of_optics("rlnTomoTiltSeriesPixelSize"), of_row("rlnTomoTiltSeriesPixelSize")
    exported = of_optics("rlnImagePixelSize"), of_row("rlnImagePixelSize")
    original = of_row("rlnPixelSize"), of_detector(), of_optics("rlnMicrographPixelSize")
    as_relion = _first_known([*tilt_series, *original, *exported], len(block))
    as_warp = _first_known([*original[:2], *exported, *tilt_series], len(block))
    sizes = np.where(warp, as_warp, as_relion)
    return np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan)


def _first_known(columns: list[Scores | None], n: int) -> Scores:
    out = np.full(n, np.nan)
    for column in columns:
        if column is not None:
            out = np.where(np.isnan(out), column, out)
    return out


def _origins(
    block: pd.DataFrame, in_pixels: bool, pixel_size: Scores | None, source: str, rows: list[str]
) -> Positions:
    """State what to subtract, in the unit of the coordinates."""
    turn: Callable[[Positions], Positions] = np.asarray
    if set(SUBTOMOGRAM_ANGLES) <= set(block.columns):
        angles = _triple(block, [*SUBTOMOGRAM_ANGLES], source, rows)
        turn = from_relion(checked(angles, source, rows)).apply
    if set(ORIGIN_ANGSTROM) <= set(block.columns):
        shifts = turn(_triple(block, ORIGIN_ANGSTROM, source, rows))
        if not in_pixels:
            return shifts
        if not shifts.any():
            return np.zeros_like(shifts)
        if pixel_size is None or np.isnan(pixel_size).any():
            remedy = "add a column rlnPixelSize, or set the origins to 0"
            raise TomoPickerError(f"{source}: origins in Å beside coordinates in pixels of no stated size; {remedy}")
        in_pixel: np.ndarray = shifts / pixel_size[:, None]
        return in_pixel
    if in_pixels and set(ORIGIN_PIXELS) <= set(block.columns):
        return turn(_triple(block, ORIGIN_PIXELS, source, rows))
    return np.zeros((len(block), 3))
