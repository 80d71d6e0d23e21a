"""Input of an evaluation: picks and ground truth in one unit, and the tomograms to evaluate."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomopicker import io
from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
from tomopicker.io.classes import MixedClassesWarning
from tomopicker.io.frames import check_geometry, frames_from_flags, frames_of_tomograms, tomograms_in
from tomopicker.io.read_options import AS_STATED, DEFAULT_OPTIONS, CoordinateUnits, ReadOptions
from tomopicker.io.tomogram_names import files_of, join_names, matches
from tomopicker.output.find import files_of_picks, frames_of_folder, split_by_kind
from tomopicker.output.layout import CANDIDATES, MERGED
from tomopicker.picks import Picks


@dataclass(frozen=True)
class Compared:
    """Picks and truth of the same tomograms.

    Parameters
    ----------
    picks, truth : Picks
        In Å; in voxels where no voxel size is known.
    candidates : Picks
        The picks and less probable positions, for the metrics of the ranking; the picks where only they are known.
    frames : mapping of str to Frame
        Geometry of each tomogram to evaluate.
    knows_voxel_size : bool
        False if positions are in voxels.
    """

    picks: Picks
    candidates: Picks
    truth: Picks
    frames: Mapping[str, Frame]
    knows_voxel_size: bool

    def map(self, function: Callable[[Picks], Picks]) -> "Compared":
        """Apply a function to picks, candidates and truth."""
        return replace(
            self, picks=function(self.picks), candidates=function(self.candidates), truth=function(self.truth)
        )


def gather(
    picks: Path,
    truth: Sequence[Path],
    *,
    tomograms: Sequence[Path] = (),
    reading: ReadOptions = DEFAULT_OPTIONS,
    units: CoordinateUnits = AS_STATED,
    exclude: Sequence[str] = (),
) -> Compared:
    """Read picks and truth, and leave out tomograms that have no truth or are excluded.

    Parameters
    ----------
    picks : Path
        A file, or a folder of ``tomopicker pick`` or any other.
    truth : sequence of Path
        Files and folders; files of a folder are matched to tomograms by name.
    tomograms : sequence of Path
        The tomograms, for sizes and names; without them, the record next to the picks or the voxel size of `reading`.
    reading : ReadOptions
        How tomograms are read.
    units : CoordinateUnits
        Units of the coordinates; its classes apply to the truth, its format to the picks.
    exclude : sequence of str
        Names of tomograms to leave out.

    Raises
    ------
    TomoPickerError
        If a file is missing or invalid, or no tomogram is left.
    """
    files = files_of_picks(picks)
    recorded = frames_of_folder(picks if picks.is_dir() else picks.parent)
    if tomograms:
        frames = frames_of_tomograms(tomograms, reading)
    elif picks.is_dir() or picks.stem == MERGED:
        frames = recorded
    else:
        named = matches(picks.stem, list(recorded))
        frames = {named[0]: recorded[named[0]]} if len(named) == 1 else recorded
    knows_voxel_size = bool(frames) or reading.voxel_size is not None
    if not frames:
        frames = _frames_without_tomograms(files, truth, reading.voxel_size, units.format)
    read = _read(files, frames, units.of_any_class)
    of_truth = replace(units, format=None)
    known = _read(_truth_files(truth, list(frames)), frames, of_truth, keeps_classes=bool(read.kind_names))
    of_candidates = [picks / CANDIDATES / f"{name}.csv" for name in recorded] if picks.is_dir() else []
    has_candidates = bool(of_candidates) and all(file.exists() for file in of_candidates)
    candidates = _read(of_candidates, frames, of_truth.of_any_class) if has_candidates else read

    excluded = set[str]()
    for name in exclude:
        if not (named := matches(name, list(frames))):
            raise UsageError(f"--exclude {name}: no tomogram has this name; there are {join_names(list(frames))}")
        excluded.update(named)
    with_truth = set(known.tomogram_names)
    evaluated = {name: frame for name, frame in frames.items() if name in with_truth - excluded}
    without = [name for name in read.tomogram_names if name not in with_truth | excluded]
    if without:
        warnings.warn(f"no truth is given for {join_names(without)}; not evaluated", stacklevel=2)
    if not evaluated:
        raise UsageError("nothing to evaluate: no tomogram has truth; check --truth and --exclude")
    compared = Compared(read, candidates, known, evaluated, knows_voxel_size)
    return compared.map(lambda part: part.select(np.isin(part.tomograms.astype(str), list(evaluated))))


def sorted_paths(
    given: Sequence[Path], truth: Sequence[Path], tomograms: Sequence[Path]
) -> tuple[Path, list[Path], list[Path]]:
    """Sort the paths of a command line into the picks, the truth and the tomograms.

    A shell turns ``--truth truth/*.csv`` into one option and bare names, before or behind PICKS: the picks are the only
    folder among the bare names, or else the first of them. Paths with unknown suffixes are kept as given, for the error
    to name.
    """
    volumes, named = split_by_kind([path for path in given if not path.is_dir()])
    folders = [path for path in given if path.is_dir()]
    picks = folders[0] if len(folders) == 1 else given[0]
    rest = [path for path in given if path != picks]
    return (
        picks,
        [*truth, *(path for path in rest if path in named or path in folders)],
        [*tomograms, *(path for path in rest if path in volumes)],
    )


def _read(
    files: Sequence[Path],
    frames: Mapping[str, Frame],
    units: CoordinateUnits,
    *,
    keeps_classes: bool = False,
) -> Picks:
    """Read picks; files with a header and no rows are valid and have none."""
    filled = [file for file in files if not io.has_no_picks(file)]
    if not filled:
        return Picks.concatenate([])
    with warnings.catch_warnings():
        if keeps_classes:
            warnings.simplefilter("ignore", MixedClassesWarning)
        return units.read(filled, frames, ignore_unknown=True)


def _frames_without_tomograms(
    files: Sequence[Path], truth: Sequence[Path], voxel_size: float | None, format: str | None
) -> dict[str, Frame]:
    """Return frames from the voxel size alone, which is enough for coordinates in voxels."""
    of_truth = [file for path in truth for file in files_of_picks(path)]
    tables = [io.read_table(path, format) for path in files if not io.has_no_picks(path)]
    every = tables + [io.read_table(path) for path in of_truth if not io.has_no_picks(path)]
    check_geometry(every, voxel_size, None, has_shape_flag=False)
    return frames_from_flags(tomograms_in(tables or every), voxel_size, None)


def _truth_files(truth: Sequence[Path], names: list[str]) -> list[Path]:
    """List files of truth: those given, and in folders those named after a tomogram."""
    files: list[Path] = []
    for path in truth:
        inside = files_of_picks(path)
        if not path.is_dir() or frames_of_folder(path):  # Rows of a folder of picks name their tomograms.
            files += inside
            continue
        found: list[Path] = []
        for name in names:
            named = files_of(name, inside)
            if len(named) > 1:
                listed = ", ".join(file.name for file in named[:4])
                raise UsageError(f"{path}: the truth of {name} may be {listed}; give --truth the files themselves")
            found += named
        if not found:
            raise UsageError(f"{path}: holds no file of picks named after {join_names(names)}; give the files")
        files += dict.fromkeys(found)
    return files
