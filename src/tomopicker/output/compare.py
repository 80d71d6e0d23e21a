"""What an evaluation compares: picks and ground truth in one unit, and the tomograms to evaluate."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomopicker import io
from tomopicker.errors import UsageError
from tomopicker.geometry import Frame
from tomopicker.io.classes import Mixed
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
        The picks and what was not probable enough, for the metrics of the ranking; the picks where only they
        are known.
    frames : mapping of str to Frame
        Of each tomogram evaluated.
    knows_voxel_size : bool
        False if positions are in voxels.
    """

    picks: Picks
    candidates: Picks
    truth: Picks
    frames: Mapping[str, Frame]
    knows_voxel_size: bool


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
        Of the coordinates; its classes are those of the truth, its format that of the picks.
    exclude : sequence of str
        Names of tomograms to leave out.

    Raises
    ------
    TomoPickerError
        If a file is missing or invalid, or no tomogram is left.
    """
    mine_files = files_of_picks(picks)
    recorded = frames_of_folder(picks if picks.is_dir() else picks.parent)
    if tomograms:
        frames = frames_of_tomograms(tomograms, reading)
    elif recorded:
        frames = recorded if picks.is_dir() or picks.stem == MERGED else _of_file(picks, recorded)
    else:
        frames = {}
    knows = bool(frames) or reading.voxel_size is not None
    if not frames:
        frames = _unsized(mine_files, truth, reading.voxel_size, units.format)
    mine = _read_or_none(mine_files, frames, units.of_any_class)
    files = _truth_files(truth, list(frames))
    of_truth = replace(units, format=None)
    known = _read_or_none(files, frames, of_truth, keeps_classes=bool(mine.kind_names))
    listed = [picks / CANDIDATES / f"{name}.csv" for name in recorded] if picks.is_dir() else []
    whole = bool(listed) and all(file.exists() for file in listed)
    candidates = _read_or_none(listed, frames, of_truth.of_any_class) if whole else mine
    return _restrict(Compared(mine, candidates, known, frames, knows), _excluded(exclude, list(frames)))


def sorted_paths(
    given: Sequence[Path], truth: Sequence[Path], tomograms: Sequence[Path]
) -> tuple[Path, list[Path], list[Path]]:
    """Sort the names of a command line into the picks, the truth and the tomograms.

    A shell turns ``--truth truth/*.csv`` into one option and bare names, before or behind PICKS: the picks are the only
    folder among the bare names, or else the first of them.
    """
    volumes, named = split_by_kind([path for path in given if not path.is_dir()])
    folders = [path for path in given if path.is_dir()]
    # What has no known suffix is taken as it was given: the error names it.
    mine = folders[0] if len(folders) == 1 else given[0]
    rest = [path for path in given if path != mine]
    return (
        mine,
        [*truth, *(path for path in rest if path in named or path in folders)],
        [*tomograms, *(path for path in rest if path in volumes)],
    )


def _read_or_none(
    files: Sequence[Path],
    frames: Mapping[str, Frame],
    units: CoordinateUnits,
    *,
    keeps_classes: bool = False,
) -> Picks:
    """Read picks; files with a header and no rows hold none, which is a result and no error."""
    filled = [file for file in files if not io.has_no_picks(file)]
    if not filled:
        return Picks.concatenate([])
    with warnings.catch_warnings():
        if keeps_classes:
            warnings.simplefilter("ignore", Mixed)
        return units.read(filled, frames, ignore_unknown=True)


def _of_file(file: Path, recorded: dict[str, Frame]) -> dict[str, Frame]:
    """Keep the tomogram that a file is named after, if there is one."""
    named = matches(file.stem, list(recorded))
    return {name: recorded[name] for name in named} if len(named) == 1 else recorded


def _unsized(
    files: Sequence[Path], truth: Sequence[Path], voxel_size: float | None, format: str | None
) -> dict[str, Frame]:
    """Frames from the flags alone: files in voxels need no more."""
    known = [file for path in truth for file in files_of_picks(path)]
    tables = [io.read_table(path, format) for path in files if not io.has_no_picks(path)]
    tables += [io.read_table(path) for path in known if not io.has_no_picks(path)]
    check_geometry(tables, voxel_size, None, has_shape_flag=False)
    mine = [table for table in tables if Path(table.source) in files] or tables
    return frames_from_flags(tomograms_in(mine), voxel_size, None)


def _truth_files(truth: Sequence[Path], names: list[str]) -> list[Path]:
    """List files of truth: as given, and from folders the ones named after a tomogram."""
    files: list[Path] = []
    for path in truth:
        if not path.is_dir():
            files.append(path)
            continue
        inside = files_of_picks(path)
        if frames_of_folder(path):
            files += inside  # Its rows name their tomograms.
            continue
        found = [file for name in names for file in _truth_of(name, inside, path)]
        if not found:
            raise UsageError(f"{path}: holds no file of picks named after {join_names(names)}; give the files")
        files += dict.fromkeys(found)
    return files


def _truth_of(name: str, inside: Sequence[Path], folder: Path) -> list[Path]:
    fits = files_of(name, inside)
    if len(fits) > 1:
        listed = ", ".join(file.name for file in fits[:4])
        raise UsageError(f"{folder}: the truth of {name} may be {listed}; give --truth the files themselves")
    return fits


def _excluded(exclude: Sequence[str], names: list[str]) -> set[str]:
    left_out = set()
    for name in exclude:
        found = matches(name, names)
        if not found:
            raise UsageError(f"--exclude {name}: no tomogram has this name; there are {join_names(names)}")
        left_out |= set(found)
    return left_out


def _restrict(found: Compared, left_out: set[str]) -> Compared:
    """Keep the tomograms that have truth; warn of picked ones that have none."""
    known = set(found.truth.tomogram_names)
    evaluated = {name: frame for name, frame in found.frames.items() if name in known - left_out}
    without = [name for name in found.picks.tomogram_names if name not in known | left_out]
    if without:
        warnings.warn(f"no truth is given for {join_names(without)}; not evaluated", stacklevel=3)
    if not evaluated:
        raise UsageError("nothing to evaluate: no tomogram has truth; check --truth and --exclude")

    def kept(part: Picks) -> Picks:
        return part.select(np.array([name in evaluated for name in part.tomograms.tolist()], dtype=bool))

    return Compared(kept(found.picks), kept(found.candidates), kept(found.truth), evaluated, found.knows_voxel_size)
