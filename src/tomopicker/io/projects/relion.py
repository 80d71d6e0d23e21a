"""RELION 5 project files: the tomograms' sizes, the optimisation set, and the two-column import list.

Paths in them are relative to the project, which is the list's own folder or one above it.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame
from tomopicker.io.columns import Rows, to_strings
from tomopicker.io.particles.star import read_blocks, star_names, write_blocks
from tomopicker.io.recognition import is_star
from tomopicker.io.registry import read_head
from tomopicker.io.tomogram_names import strip_reconstruction

SIZES = ["rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ"]
PIXEL_SIZE = "rlnTomoTiltSeriesPixelSize"
BINNING = "rlnTomoTomogramBinning"
RECONSTRUCTED = ("rlnTomoReconstructedTomogram", "rlnTomoReconstructedTomogramDenoised")
PARTICLES_FILE, TOMOGRAMS_FILE = "rlnTomoParticlesFile", "rlnTomoTomogramsFile"
IMPORT_FILE = "rlnTomoImportParticleFile"


def is_tomogram_list(blocks: Mapping[str, pd.DataFrame]) -> bool:
    """Return True for the blocks of a tomograms.star or a tilt_series.star."""
    return _tomogram_block(blocks) is not None


def is_project(path: Path) -> bool:
    """Return True for a tomograms.star of RELION, without particles."""
    head = read_head(path)
    if b"rlnTomoSizeX" not in head or not is_star(path, head):
        return False
    blocks = read_blocks(path)
    has_picks = any("rlnCoordinateX" in block or "rlnCenteredCoordinateXAngst" in block for block in blocks.values())
    return is_tomogram_list(blocks) and not has_picks


def read_frames(path: Path | str) -> dict[str, Frame]:
    """Read the geometry of the tomograms in a RELION 5 tomograms.star.

    Parameters
    ----------
    path : Path
        tomograms.star, with ``rlnTomoSize{X,Y,Z}`` and ``rlnTomoTiltSeriesPixelSize``.

    Returns
    -------
    dict of str to Frame
        Unbinned size and pixel as in the file; shape and voxel size after ``rlnTomoTomogramBinning`` (1 if missing).

    Raises
    ------
    TomoPickerError
        If it is no list of tomograms, or a size is not a number.
    """
    source = str(path)
    block = _tomogram_block(read_blocks(Path(path)))
    if block is None:
        raise TomoPickerError(f"{source}: it states no sizes of tomograms (rlnTomoSizeX, Y, Z); give a tomograms.star")
    rows = Rows.counted(source, "row", len(block))
    if BINNING not in block:
        block = block.assign(**{BINNING: 1.0})
    frames = {}
    names = to_strings(block["rlnTomoName"])
    for i, (x, y, z, pixel, binning) in enumerate(rows.stack(block[[*SIZES, PIXEL_SIZE, BINNING]]).tolist()):
        if not (min(x, y, z, pixel) > 0 and max(x, y, z, pixel) < 1e9):
            raise rows.error(i, f": a size or pixel size of '{names[i]}' is not positive")
        factor = binning if 0 < binning < 1e6 else 1.0
        shape = round(z / factor), round(y / factor), round(x / factor)
        frames[names[i]] = Frame(shape, pixel * factor, (x, y, z), pixel)
    return frames


def has_binning(path: Path) -> bool:
    """Return True if a list of tomograms has their binning, so that their voxels are known."""
    return any(BINNING in block for block in read_blocks(path).values())


def reconstructions(path: Path) -> dict[str, Path]:
    """Return the file of each tomogram in a tomograms.star; empty if it names none.

    Raises `TomoPickerError` if a file it names does not exist.
    """
    block = _tomogram_block(read_blocks(path))
    column = next((name for name in RECONSTRUCTED if block is not None and name in block), None)
    if block is None or column is None:
        return {}
    names, files = to_strings(block["rlnTomoName"]), to_strings(block[column])
    return {name: find_listed(file, path) for name, file in zip(names, files, strict=True)}


def optimisation_set(blocks: Mapping[str, pd.DataFrame], path: Path) -> tuple[Path, Path | None] | None:
    """Return the files in an optimisation set: particles, and tomograms if it names any; None for any other file.

    Raises `TomoPickerError` if a file it names does not exist.
    """
    block = next((table for table in blocks.values() if PARTICLES_FILE in table and len(table)), None)
    if block is None:
        return None
    tomograms = str(block[TOMOGRAMS_FILE].iloc[0]) if TOMOGRAMS_FILE in block else ""
    particles = find_listed(str(block[PARTICLES_FILE].iloc[0]), path)
    return particles, find_listed(tomograms, path) if tomograms.strip() else None


def import_list(blocks: Mapping[str, pd.DataFrame], path: Path) -> list[tuple[str, Path]] | None:
    """List the tomograms and files of a RELION 5 import list; None for any other file.

    Raises `TomoPickerError` if it is empty, or a file it names does not exist.
    """
    block = next((table for table in blocks.values() if {"rlnTomoName", IMPORT_FILE} <= set(table.columns)), None)
    if block is None:
        return None
    if not len(block):
        raise TomoPickerError(f"{path}: no picks in this file; it lists no file of particles")
    files = [find_listed(file, path) for file in to_strings(block[IMPORT_FILE])]
    return list(zip(to_strings(block["rlnTomoName"]), files, strict=True))


def write_relion5_import_list(entries: Mapping[str, Path], path: Path) -> None:
    """Write the list that `relion_tomo_import_coordinates` takes: each tomogram and its file of particles.

    Paths are absolute, because RELION takes them relative to the folder it is started in.

    Raises `TomoPickerError` if a name is not valid in a STAR file, or the list cannot be written.
    """
    path = Path(path)
    files = [_absolute(file, path) for file in entries.values()]
    names = list(star_names(entries, strip_reconstruction, str(path)).values())
    write_blocks({"particles": pd.DataFrame({"rlnTomoName": names, IMPORT_FILE: files}, dtype=object)}, path)


def write_optimisation_set(particles: Path, tomograms: Path, path: Path) -> None:
    """Write the file that RELION 5's jobs take for particles and tomograms together; paths are absolute, as above.

    Raises `TomoPickerError` if a path has a blank, or the file cannot be written.
    """
    write_blocks({"": {PARTICLES_FILE: _absolute(particles, path), TOMOGRAMS_FILE: _absolute(tomograms, path)}}, path)


def _absolute(file: Path, source: Path) -> str:
    absolute = str(Path(file).absolute())
    if any(character.isspace() for character in absolute):
        raise TomoPickerError(f"{source}: RELION cannot follow '{file}', which has a blank in its path; rename it")
    return absolute


def _tomogram_block(blocks: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    needed = {"rlnTomoName", PIXEL_SIZE, *SIZES}
    return next((block for block in blocks.values() if needed <= set(block.columns)), None)


def find_listed(name: str, source: Path) -> Path:
    """Find a file relative to a list's folder, any folder above it or the current one, or by its bare name."""
    folder = source.absolute().parent
    for candidate in [*(base / name for base in (folder, *folder.parents)), Path(name), folder / Path(name).name]:
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):
            break
    raise TomoPickerError(
        f"{source}: it names '{name}', which does not exist; run in the project's folder or correct the path"
    )
