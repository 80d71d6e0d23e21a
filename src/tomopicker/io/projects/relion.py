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
from tomopicker.io.registry import head_of
from tomopicker.io.tomogram_names import without_rec

SIZES = ["rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ"]
PIXEL_SIZE = "rlnTomoTiltSeriesPixelSize"
BINNING = "rlnTomoTomogramBinning"
RECONSTRUCTED = ("rlnTomoReconstructedTomogram", "rlnTomoReconstructedTomogramDenoised")


def is_tomogram_list(blocks: Mapping[str, pd.DataFrame]) -> bool:
    """Whether these are the blocks of a tomograms.star or a tilt_series.star."""
    return _tomogram_block(blocks) is not None


def is_project(path: Path) -> bool:
    """Whether a file is a tomograms.star of RELION, without particles."""
    head = head_of(path)
    if b"rlnTomoSizeX" not in head or not is_star(path, head):
        return False
    blocks = read_blocks(path)
    coordinates = {"rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"}
    centred = {f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"}
    has_picks = any(coordinates <= set(block.columns) or centred <= set(block.columns) for block in blocks.values())
    return is_tomogram_list(blocks) and not has_picks


def read_frames(path: Path | str) -> dict[str, Frame]:
    """Read the geometry of the tomograms that a RELION 5 tomograms.star lists.

    Parameters
    ----------
    path : Path
        tomograms.star, with ``rlnTomoSize{X,Y,Z}`` and ``rlnTomoTiltSeriesPixelSize``.

    Returns
    -------
    dict of str to Frame
        Unbinned size and pixel as stated; shape and voxel size after ``rlnTomoTomogramBinning`` (1 if not stated).

    Raises
    ------
    TomoPickerError
        If it is no list of tomograms, or a size is no number.
    """
    source = str(path)
    block = _tomogram_block(read_blocks(Path(path)))
    if block is None:
        raise TomoPickerError(f"{source}: it states no sizes of tomograms (rlnTomoSizeX, Y, Z); give a tomograms.star")
    rows = Rows.counted(source, "row", len(block))
    x, y, z, pixel = rows.stack(block[[*SIZES, PIXEL_SIZE]]).T
    binning = rows.numbers(block[BINNING].tolist() if BINNING in block else [1.0] * len(block), BINNING)
    frames = {}
    for i, name in enumerate(to_strings(block["rlnTomoName"].tolist())):
        size = float(x[i]), float(y[i]), float(z[i])
        if not (min(size) > 0 and pixel[i] > 0 and max(*size, pixel[i]) < 1e9):
            raise TomoPickerError(
                f"{source}: {rows.labels[i]}: a size or pixel size of '{name}' is not positive; correct the file"
            )
        factor = float(binning[i]) if 0 < binning[i] < 1e6 else 1.0
        shape = round(size[2] / factor), round(size[1] / factor), round(size[0] / factor)
        frames[name] = Frame(shape, float(pixel[i]) * factor, size, float(pixel[i]))
    return frames


def states_binning(path: Path) -> bool:
    """Whether a list of tomograms states their binning, so that their voxels are known."""
    return any(BINNING in block for block in read_blocks(path).values())


def reconstructions(path: Path) -> dict[str, Path]:
    """Find the file of each tomogram that a tomograms.star lists; empty if it names none.

    Raises `TomoPickerError` if a file it names is not there.
    """
    block = _tomogram_block(read_blocks(path))
    column = next((name for name in RECONSTRUCTED if block is not None and name in block), None)
    if block is None or column is None:
        return {}
    names, files = (to_strings(block[each].tolist()) for each in ("rlnTomoName", column))
    return {name: find_listed(file, path) for name, file in zip(names, files, strict=True)}


def optimisation_set(blocks: Mapping[str, pd.DataFrame], path: Path) -> tuple[Path, Path | None] | None:
    """Find the files that an optimisation set names: particles, and tomograms if it names any; None if it is none.

    Raises `TomoPickerError` if the particles it names are not there.
    """
    block = next((table for table in blocks.values() if "rlnTomoParticlesFile" in table and len(table)), None)
    if block is None:
        return None
    particles = str(block["rlnTomoParticlesFile"].iloc[0])
    tomograms = str(block["rlnTomoTomogramsFile"].iloc[0]) if "rlnTomoTomogramsFile" in block else ""
    return find_listed(particles, path), find_listed(tomograms, path) if tomograms.strip() else None


def import_list(blocks: Mapping[str, pd.DataFrame], path: Path) -> list[tuple[str, Path]] | None:
    """List the tomograms and files of a RELION 5 import list; None if it is none.

    Raises `TomoPickerError` if a file it names is not there.
    """
    column = "rlnTomoImportParticleFile"
    block = next((table for table in blocks.values() if {"rlnTomoName", column} <= set(table.columns)), None)
    if block is None:
        return None
    if not len(block):
        raise TomoPickerError(f"{path}: no picks in this file; it lists no file of particles")
    files = [find_listed(file, path) for file in to_strings(block[column].tolist())]
    return list(zip(to_strings(block["rlnTomoName"].tolist()), files, strict=True))


def write_relion5_import_list(entries: Mapping[str, Path], path: Path) -> None:
    """Write the list that `relion_tomo_import_coordinates` takes: each tomogram and its file of particles.

    Paths are written in full, because RELION takes them relative to the folder it is started in.

    Raises `TomoPickerError` if a name is not valid in a STAR file, or the list cannot be written.
    """
    path = Path(path)
    files = [_full_path(file, path) for file in entries.values()]
    names = star_names(entries, without_rec, str(path))
    table = {
        "rlnTomoName": pd.Series(list(names.values()), dtype=object),
        "rlnTomoImportParticleFile": pd.Series(files, dtype=object),
    }
    write_blocks({"particles": pd.DataFrame(table)}, path)


def write_optimisation_set(particles: Path, tomograms: Path, path: Path) -> None:
    """Write the file that RELION 5's jobs take for particles and tomograms together; paths in full, as above.

    Raises `TomoPickerError` if a path has a blank, or the file cannot be written.
    """
    files = {"rlnTomoParticlesFile": particles, "rlnTomoTomogramsFile": tomograms}
    row: dict[str, object] = {column: _full_path(file, path) for column, file in files.items()}
    write_blocks({"": row}, path)


def _full_path(file: Path, path: Path) -> str:
    full = str(Path(file).absolute())
    if any(character.isspace() for character in full):
        raise TomoPickerError(f"{path}: RELION cannot follow '{file}', which has a blank in its path; rename it")
    return full


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
        f"{source}: it names '{name}', which is not there; run in the project's folder or correct the path"
    )
