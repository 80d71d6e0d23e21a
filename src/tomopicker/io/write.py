"""Write picks in any format of the registry."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame
from tomopicker.io.particles.star import star_name, star_names
from tomopicker.io.registry import for_output, format_named
from tomopicker.io.tomogram_names import check_file_name, clean_name
from tomopicker.picks import Picks


def write_picks(picks: Picks, frames: Mapping[str, Frame], path: Path | str, format: str | None = None) -> None:
    """Write picks, whole or not at all; no picks make a file with its header and no rows.

    Parameters
    ----------
    picks : Picks
        Positions in Å; columns of `extra` are written after the known ones.
    frames : mapping of str to Frame
        The geometry of each tomogram named in the picks.
    path : Path
        The file.
    format : str, optional
        A name of `registry.FORMATS`; by the suffix if left out (RELION 5 for .star).

    Raises
    ------
    UsageError
        If the format is unknown.
    TomoPickerError
        If a tomogram's frame is missing, the file cannot be written, or holds one tomogram and there are several.
    """
    path = Path(path)
    entry = for_output(path, format)
    names = picks.tomogram_names
    if entry.single and len(names) > 1:
        problem = f"{entry.name} holds one tomogram per file, and these are picks of {len(names)}"
        raise UsageError(f"{path}: {problem}; give a folder, where one file per tomogram is written")
    missing = next((name for name in names if name not in frames), None)
    if missing is not None:
        raise TomoPickerError(f"{path}: the size and voxel size of tomogram '{missing}' are needed; give its file")
    entry.write(picks, frames, path)


def check_names(names: Iterable[str], format: str, source: Path | str) -> None:
    """Check that names of tomograms are valid in files of a format of `registry.FORMATS`, and as file names.

    Raises `TomoPickerError`: one line with `source`, where the names come from, the name and the reason.
    """
    names = list(names)
    for name in names:
        check_file_name(clean_name(name), source)
    if ".star" in format_named(format).suffixes:
        star_names(names, source=str(source))


def files_in(folder: Path, tomograms: Sequence[str], format: str) -> dict[str, Path]:
    """Return the file of a folder for each tomogram's picks.

    Raises `UsageError` if the format is unknown, or two tomograms would share a file, `TomoPickerError` if files cannot
    be named after a tomogram, or this format cannot hold its name.
    """
    entry = format_named(format)
    check_names(tomograms, format, folder)
    files = {name: folder / f"{clean_name(name)}{entry.ending or entry.suffixes[0]}" for name in tomograms}
    if len(set(files.values())) < len(files):
        raise UsageError(f"{folder}: two tomograms would share a file; rename one")
    return files


def naming_remark(format: str, tomograms: Sequence[str]) -> str | None:
    """Describe how tomograms are renamed in a STAR file, which holds no blanks; None if none is."""
    renamed = next((name for name in tomograms if star_name(name) != name), None)
    if renamed is None or ".star" not in format_named(format).suffixes:
        return None
    return f"STAR files hold no blanks or quotes: '{renamed}' is called '{star_name(renamed)}' in them"


def binning_remark(format: str, frames: Mapping[str, Frame], tomograms: Sequence[str]) -> str | None:
    """Describe the pixels of a RELION 4 file if the binning of a tomogram is unknown; else None.

    No other format of `registry.FORMATS` counts pixels of the tilt series without stating their size to others.
    """
    sizes = sorted({frames[name].voxel_size for name in tomograms if frames[name].unbinned_pixel_size is None})
    if format != "relion4" or not sizes:
        return None
    return (
        f"the coordinates count pixels of {' and '.join(f'{size:g}' for size in sizes)} Å, the voxels of the "
        "tomograms, and RELION 4 takes them for pixels of the tilt series; if the tomograms are binned, give "
        "'tomopicker convert --to relion4' the --binning"
    )
