"""Particles in STAR files: RELION 5, 4, 3.1 and 3.0, Warp, WarpTools, M, pytom-match-pick and napari-tomoslice.

What a coordinate counts follows from the columns (RELION's sources, Warp's documentation):

- ``rlnCenteredCoordinate?Angst``: Å from the tomogram's centre, size / 2 (RELION 5).
- ``rlnCoordinate?`` with ``rlnTomoName``: pixels of the tilt series (RELION 4); of ``rlnImagePixelSize`` if the name
  ends in ``.tomostar``, because WarpTools counts in the pixels it exports.
- ``rlnCoordinate?`` with ``rlnMicrographName``: pixels of the size in the file, whatever the tomogram's voxel.
- ``wrpCoordinate?1`` (the particles of an M species): Å from the first voxel. M's poses at later doses are not read.
- Without a pixel size: the tilt series' pixel if a project or ``--binning`` gives it, else the tomogram's voxel;
  but RELION 5's picker leaves voxels of the binned tomogram in ``annotations/<tomogram>_particles.star``, and Warp's
  template matching fractions of the tomogram's size, all between 0 and 1.

A particle lies at its coordinate minus its origin; RELION turns the origin by the subtomogram's angles first.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import PickTable, Unit
from tomopicker.io.angles import RELION, SUBTOMOGRAM_ANGLES
from tomopicker.io.columns import IMAGES, SCORE_COLUMNS, Rows, join_tables, to_strings
from tomopicker.io.particles import delimited
from tomopicker.io.particles.pixel_sizes import PIXEL_SIZES, find_pixel_sizes
from tomopicker.io.particles.star import ends_in_newline, list_blocks, read_blocks
from tomopicker.io.projects import relion
from tomopicker.io.recognition import is_star
from tomopicker.io.registry import read_head
from tomopicker.types import Positions, Scores

CENTRED = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
PIXELS = [f"rlnCoordinate{axis}" for axis in "XYZ"]
PLAIN = ["x", "y", "z"]
SPECIES = [f"wrpCoordinate{axis}1" for axis in "XYZ"]
NAMES = ("rlnTomoName", "rlnMicrographName", "wrpSourceName")
SCORES = ("rlnautopickfigureofmerit", "rlnlccmax", *SCORE_COLUMNS)
ORIGIN_ANGSTROM = [f"rlnOrigin{axis}Angst" for axis in "XYZ"]
ORIGIN_PIXELS = [f"rlnOrigin{axis}" for axis in "XYZ"]
_UNITS = {CENTRED[0]: Unit.CENTRED_ANGSTROM, PIXELS[0]: Unit.PIXEL, SPECIES[0]: Unit.ANGSTROM}
_SPECIES_POSE = re.compile(r"wrp(Coordinate[XYZ]|Angle(Rot|Tilt|Psi))\d*$")


def read(path: Path) -> PickTable:
    """Read particles from a STAR file, or from the files that an optimisation set or an import list names.

    Raises `TomoPickerError` if it holds no particles; the message lists the blocks and columns that it has.
    """
    blocks = read_blocks(path)
    if files := relion.optimisation_set(blocks, path):
        particles, tomograms = files
        frames = relion.read_frames(tomograms) if tomograms else {}
        return replace(_particles(read_blocks(particles), particles), frames=frames)
    if (entries := relion.import_list(blocks, path)) is not None:
        return join_tables([_listed(name, file, path) for name, file in entries], str(path))
    return _particles(blocks, path)


def _listed(name: str, file: Path, source: Path) -> PickTable:
    """Read one file of an import list; its tomogram is the one in the list, as in RELION."""
    table = _particles(read_blocks(file), file) if is_star(file, read_head(file)) else delimited.read(file)
    return replace(table, tomograms=np.full(len(table), name, dtype=object), source=str(source))


def _particles(blocks: Mapping[str, pd.DataFrame], path: Path) -> PickTable:
    blocks = {name: _as_relion(block) for name, block in blocks.items()}
    columns, chosen, notes = _find_particles(blocks, str(path))
    optics = blocks.get("optics", pd.DataFrame())
    # With one block per tomogram, blocks are named after their tomograms.
    tables = [
        _read_block(block, columns, optics, str(path), name if len(chosen) > 1 else "")
        for name, block in chosen.items()
    ]
    if not ends_in_newline(path):
        notes = (*notes, "its last line has no end, as in a file that was cut short; look at its last row")
    table = join_tables(tables, str(path))
    return _infer_unit(replace(table, notes=(*notes, *table.notes)), path, has_optics="optics" in blocks)


def _as_relion(block: pd.DataFrame) -> pd.DataFrame:
    """Rename columns of pytom-match-pick's first releases and of an M species to RELION's of the same meaning."""
    new = {name: f"rln{name[3:]}" for name in map(str, block) if name.startswith("ptm")}
    if "wrpCoordinateX1" in block or "wrpSourceName" in block:
        new |= {f"wrpCoordinate{axis}": f"wrpCoordinate{axis}1" for axis in "XYZ"}
        new |= {f"wrpAngle{angle}1": f"rlnAngle{angle}" for angle in ("Rot", "Tilt", "Psi")}
        new["wrpRandomSubset"] = "rlnRandomSubset"
    return block.rename(columns={old: name for old, name in new.items() if name not in block})


def _read_block(
    block: pd.DataFrame, columns: list[str], optics: pd.DataFrame, source: str, tomogram_of_block: str
) -> PickTable:
    rows = Rows.counted(source, f"data_{tomogram_of_block} row" if tomogram_of_block else "row", len(block))
    coordinates = rows.stack(block[columns])
    rows.check_coordinates(coordinates)
    tomogram = next((name for name in NAMES if name in block), None)
    tomograms = to_strings([tomogram_of_block] * len(block) if tomogram is None else block[tomogram])
    score = next((str(name) for word in SCORES for name in block if str(name).lower() == word), None)
    pixel_size, ambiguity = None, None
    if columns == PIXELS:
        pixel_size, ambiguity = find_pixel_sizes(block, optics, tomograms, rows)
    coordinates = coordinates - _shifts(block, columns, pixel_size, rows, ambiguity)
    used = {*columns, *CENTRED, *PIXELS, *ORIGIN_ANGSTROM, *ORIGIN_PIXELS, *PIXEL_SIZES, *IMAGES, tomogram, score}
    kept = [name for name in block if name not in used and not _SPECIES_POSE.match(str(name))]
    return rows.table(
        coordinates,
        _UNITS.get(columns[0], Unit.VOXEL),
        tomograms,
        None if score is None else rows.numbers(block[score], score, blank=np.nan),
        block[kept].reset_index(drop=True),
        pixel_size=pixel_size,
        ambiguity=ambiguity,
    )


def _infer_unit(table: PickTable, path: Path, *, has_optics: bool) -> PickTable:
    """Recognise files without a pixel size that count fractions (Warp) or voxels of the binned tomogram (RELION 5)."""
    has_size = table.pixel_size is None or not np.isnan(table.pixel_size).all()
    if table.unit is not Unit.PIXEL or has_size or table.ambiguity:
        return table
    names = {name for name in table.tomograms.tolist() if name}
    is_fraction = ((table.coordinates >= 0) & (table.coordinates <= 1)).all()
    stem, _, kind = path.stem.rpartition("_")
    if names and all(name.lower().endswith(".tomostar") for name in names) and is_fraction:
        unit, inferred = Unit.FRACTION, "taken as fractions of the tomogram, as Warp's template matching writes them"
    elif kind == "particles" and not has_optics and (path.parent.name == "annotations" or names <= {stem}):
        unit = Unit.VOXEL
        inferred = "taken as voxels of the binned tomogram, as RELION 5's picker writes its annotations"
    else:
        return table
    return replace(table, unit=unit, pixel_size=None, is_unit_stated=False, inferred=inferred)


def _find_particles(
    blocks: Mapping[str, pd.DataFrame], source: str
) -> tuple[list[str], dict[str, pd.DataFrame], tuple[str, ...]]:
    """Find the columns of coordinates, the blocks to read, and notes on what is not read.

    That is ``data_particles`` if it has coordinates, else every block that has the same columns of them. Centred
    columns come before the others.
    """
    columns_of: dict[str, list[str]] = {}
    for columns in (CENTRED, SPECIES, PIXELS, PLAIN):
        for name, block in blocks.items():
            if set(columns) <= set(block.columns):
                columns_of.setdefault(name, columns)
    if not columns_of:
        raise _no_particles(blocks, source)
    columns_of = {name: columns for name, columns in columns_of.items() if len(blocks[name])} or dict(
        [*columns_of.items()][:1]
    )
    if "particles" in columns_of:
        others = list_blocks({name: blocks[name] for name in columns_of}, "particles")
        notes = (f"data_particles is read; not read: {others}",) if len(columns_of) > 1 else ()
        return columns_of["particles"], {"particles": blocks["particles"]}, notes
    columns = next(iter(columns_of.values()))
    if any(other != columns for other in columns_of.values()):
        names = ", ".join(f"data_{name}: {others[0]}" for name, others in list(columns_of.items())[:4])
        raise TomoPickerError(f"{source}: its blocks count differently ({names}); write each to a file of its own")
    return columns, {name: blocks[name] for name in columns_of}, ()


def _no_particles(blocks: Mapping[str, pd.DataFrame], source: str) -> TomoPickerError:
    if relion.is_tomogram_list(blocks):
        remedy = "give its particles.star or optimisation_set.star as well"
        return TomoPickerError(f"{source}: it lists tomograms or tilt series, not particles; {remedy}")
    present = "; ".join(f"data_{name}: {', '.join(block.columns[:8])}" for name, block in list(blocks.items())[:4])
    return TomoPickerError(f"{source}: no columns rlnCoordinateX, Y and Z (or centred ones); found {present}")


def _shifts(
    block: pd.DataFrame, columns: list[str], pixel_size: Scores | None, rows: Rows, ambiguity: str | None
) -> Positions:
    """Return RELION's origins, turned by the subtomogram's angles, in the unit of the coordinates."""
    rotation = None
    if set(SUBTOMOGRAM_ANGLES) <= set(block.columns):
        rotation = RELION.rotations(rows.check_angles(rows.stack(block[list(SUBTOMOGRAM_ANGLES)])))
    unit = next((names for names in (ORIGIN_ANGSTROM, ORIGIN_PIXELS) if set(names) <= set(block.columns)), None)
    if unit is None:
        return np.zeros((len(block), 3))
    shifts = rows.stack(block[unit])
    if unit is ORIGIN_PIXELS and columns != PIXELS and shifts.any():
        raise TomoPickerError(
            f"{rows.source}: origins in pixels with coordinates in another unit; set rlnOriginX, Y and Z to 0"
        )
    shifts = shifts if rotation is None else rotation.apply(shifts)
    if unit is ORIGIN_PIXELS or columns in (CENTRED, SPECIES) or not shifts.any():
        return shifts
    if pixel_size is None or np.isnan(pixel_size).any():
        remedy = ambiguity or "add a column rlnPixelSize, or set the origins to 0"
        raise TomoPickerError(f"{rows.source}: origins in Å with coordinates in pixels of unknown size; {remedy}")
    in_pixels: Positions = shifts / pixel_size[:, None]
    return in_pixels
