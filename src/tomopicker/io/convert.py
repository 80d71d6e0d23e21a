"""Conversion of picks: files of any format in, the geometry that source and target need, files of one format out."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.files import refuse_to_replace
from tomopicker.geometry import Frame, PickTable
from tomopicker.io.frames import check_geometry, frames_from_flags, frames_of_tomograms, tomograms_in, with_binning
from tomopicker.io.projects.relion import write_optimisation_set, write_relion5_import_list
from tomopicker.io.read_options import DEFAULT_OPTIONS, CoordinateUnits, ReadOptions
from tomopicker.io.registry import Format
from tomopicker.io.tomogram_names import join_names, matches
from tomopicker.io.write import binning_remark, files_in, naming_remark, write_picks
from tomopicker.parsing import check_positive
from tomopicker.picks import Picks
from tomopicker.types import Shape

IMPORT_LIST = "relion5_import.star"


@dataclass(frozen=True)
class TomogramGeometry:
    """Geometry of the tomograms, from the command line.

    Parameters
    ----------
    tomograms : sequence of Path
        Their files, folders of them, or a tomograms.star.
    reading : ReadOptions
        How their files are read; the voxel size also serves without files.
    shape : Shape, optional
        (z, y, x) in voxels.
    binning : float, optional
        Pixels of the tilt series in the width of a voxel.
    recorded : mapping of str to Frame
        Geometry in the record of the folder of picks.
    """

    tomograms: Sequence[Path] = ()
    reading: ReadOptions = DEFAULT_OPTIONS
    shape: Shape | None = None
    binning: float | None = None
    recorded: Mapping[str, Frame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_positive("--voxel-size", self.reading.voxel_size)
        check_positive("--binning", self.binning)
        if (self.reading.dataset or self.reading.axes) and not self.tomograms:
            raise UsageError("--dataset and --axes apply to files of tomograms; give --tomograms too")


def read_all(
    sources: Sequence[Path],
    geometry: TomogramGeometry,
    entry: Format,
    target: Path,
    *,
    units: CoordinateUnits,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> tuple[Picks, dict[str, Frame]]:
    """Read picks to be written to `target` in the format `entry`, and the frames of their tomograms.

    Parameters
    ----------
    sources : sequence of Path
        Files of picks, in `units`.
    entry, target : Format and Path
        Of the target; the latter for messages.
    shift : tuple of float
        (x, y, z) in voxels, added to every position.

    Raises
    ------
    TomoPickerError
        If a size that either format needs is unknown, or two files hold picks of one tomogram.
    """
    tables = [units.read_table(path) for path in sources]
    frames = _frames(tables, geometry, entry, target)
    frames = frames if geometry.binning is None else with_binning(frames, geometry.binning)
    files = _files_of_known(sources, tables, list(frames))
    parts = [units.read([path], frames, ignore_unknown=True, shift=shift) for path in files]
    file_of: dict[str, Path] = {}
    for file, part in zip(files, parts, strict=True):
        for name in part.tomogram_names:
            if (other := file_of.setdefault(name, file)) != file:
                raise UsageError(
                    f"{file}: {other.name} in the same folder has picks of '{name}' too; give one file as IN"
                )
    return Picks.concatenate(parts), frames


def write_all(
    picks: Picks, frames: Mapping[str, Frame], target: Path, entry: Format, geometry: TomogramGeometry, overwrite: bool
) -> list[str]:
    """Write picks to a file, or to a folder (a target without suffix) with one file per tomogram.

    RELION 5 gets its import list in a folder, and an optimisation set next to a file if one tomograms.star was given.

    Returns
    -------
    list of str
        Limitations of the target format, one line each.

    Raises
    ------
    TomoPickerError
        If a file cannot be written, or exists and `overwrite` is False.
    """
    if is_folder(target):
        write_folder(picks, frames, target, entry.name, overwrite)
    else:
        projects = [path for path in geometry.tomograms if path.suffix.lower() == ".star"]
        sets = [target.with_name(f"{target.stem}_optimisation_set.star")]
        sets = sets if entry.name == "relion5" and len(projects) == 1 else []
        refuse_to_replace([target, *sets], overwrite)
        write_picks(picks, frames, target, entry.name)
        for path in sets:
            write_optimisation_set(target, projects[0], path)
    names = picks.tomogram_names
    remarks = (binning_remark(entry.name, frames, names), naming_remark(entry.name, names))
    return [f"{target}: {remark}" for remark in remarks if remark]


def is_folder(target: Path) -> bool:
    """Return True if a target is a folder of files."""
    return target.is_dir() or not target.suffix


def write_folder(picks: Picks, frames: Mapping[str, Frame], target: Path, format: str, overwrite: bool) -> list[Path]:
    """Write one file per tomogram, and RELION 5's import list; return the files, that list first.

    Raises `TomoPickerError` if a file cannot be written, or exists and `overwrite` is False.
    """
    if format == "relion5" and not np.isnan(picks.scores).all():
        # RELION's importer requires the same columns in all files of its list: missing scores become zeros.
        picks = replace(picks, scores=np.nan_to_num(picks.scores))
    files = files_in(target, picks.tomogram_names, format)
    import_list = [target / IMPORT_LIST] if format == "relion5" else []
    refuse_to_replace([*files.values(), *import_list], overwrite)
    for name, file in files.items():
        write_picks(picks.in_tomogram(name), frames, file, format)
    for path in import_list:
        write_relion5_import_list(files, path)
    return [*import_list, *files.values()]


def _files_of_known(sources: Sequence[Path], tables: Sequence[PickTable], known: Sequence[str]) -> list[Path]:
    """List the files with picks of known tomograms, all if there are none; a warning names the others."""
    names_in = {path: set(table.tomograms.tolist()) for path, table in zip(sources, tables, strict=True)}
    files = [path for path, names in names_in.items() if any(not name or matches(name, known) for name in names)]
    for path in sources:
        if files and path not in files:
            names = join_names(sorted(names_in[path]))
            warnings.warn(f"{path}: left out, it has picks of tomograms that were not given: {names}", stacklevel=3)
    return files or list(sources)


def _frames(tables: Sequence[PickTable], geometry: TomogramGeometry, entry: Format, target: Path) -> dict[str, Frame]:
    """Return the frames of the tomograms; raises `UsageError`, which names the flag, if one is unknown."""
    size, shape = geometry.reading.voxel_size, geometry.shape
    if geometry.tomograms:
        return frames_of_tomograms(geometry.tomograms, geometry.reading)
    if geometry.recorded and size is None and shape is None:
        return dict(geometry.recorded)
    in_files = {name: frame for table in tables for name, frame in table.frames.items()}
    if all(set(in_files) >= set(table.tomograms.tolist()) for table in tables):
        return in_files
    reason = f"{target}: {entry.name} counts {entry.unit} from the {entry.origin}"
    check_geometry(tables, size, shape, needs=dict.fromkeys(entry.needs, reason))
    return frames_from_flags(tomograms_in(tables), size, shape)
