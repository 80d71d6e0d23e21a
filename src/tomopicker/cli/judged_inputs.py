"""What ``evaluate`` compares: picks and truth in one unit, and the tomograms that are to be judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomopicker import formats
from tomopicker.cli.frames import check_known, frames_from_flags, named_tables, stated_frames
from tomopicker.cli.inputs import AS_STATED, Counted, read_picks, split_by_kind
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.folder.find import files_of_picks, frames_of_folder
from tomopicker.folder.layout import MERGED
from tomopicker.folder.one_tomogram import CANDIDATES
from tomopicker.formats.names import files_of, listing, matches
from tomopicker.formats.stored import AS_FOUND, Stored
from tomopicker.geometry import Frame
from tomopicker.picks import Picks


@dataclass(frozen=True)
class Compared:
    """Picks and truth of the same tomograms.

    Parameters
    ----------
    picks, truth : Picks
        In Å; in voxels where no voxel size is known.
    candidates : Picks
        The picks and what was not probable enough, for the figures that judge the ranking; the picks where only they
        are known.
    frames : mapping of str to Frame
        Of each tomogram judged.
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
    reporter: Reporter,
    *,
    tomograms: Sequence[Path] = (),
    voxel_size: float | None = None,
    counted: Counted = AS_STATED,
    exclude: Sequence[str] = (),
    stored: Stored = AS_FOUND,
) -> Compared:
    """Read picks and truth, and leave out what cannot or shall not be judged.

    Raises
    ------
    TomoPickerError
        If a file is missing or odd, or nothing is left to judge.
    """
    mine_files = files_of_picks(picks)
    recorded = frames_of_folder(picks if picks.is_dir() else picks.parent)
    if tomograms:
        frames = stated_frames(tomograms, voxel_size, reporter, stored)
    elif recorded:
        frames = recorded if picks.is_dir() or picks.stem == MERGED else _of_file(picks, recorded)
    else:
        frames = {}
    knows = bool(frames) or voxel_size is not None
    if not frames:
        frames = _unsized(mine_files, truth, voxel_size)
    of_any_class = replace(counted, classes=())
    mine = _read_or_none(mine_files, frames, reporter, of_any_class)
    files = _truth_files(truth, list(frames))
    known = _read_or_none(files, frames, reporter, counted, keeps_classes=bool(mine.kind_names))
    listed = [picks / CANDIDATES / f"{name}.csv" for name in recorded] if picks.is_dir() else []
    whole = bool(listed) and all(file.exists() for file in listed)
    candidates = _read_or_none(listed, frames, reporter, of_any_class) if whole else mine
    return _restrict(mine, candidates, known, frames, _excluded(exclude, list(frames)), knows, reporter)


def sorted_paths(
    given: Sequence[Path], truth: Sequence[Path], tomograms: Sequence[Path]
) -> tuple[Path, list[Path], list[Path]]:
    """Part the names of a command line into the picks, the truth and the tomograms.

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
    reporter: Reporter,
    counted: Counted,
    *,
    keeps_classes: bool = False,
) -> Picks:
    """Read picks; files with a header and no rows hold none, which is a result and no error."""
    filled = [file for file in files if not formats.has_no_picks(file)]
    if not filled:
        return Picks.concatenate([])
    return read_picks(filled, frames, reporter, counted, ignore_unknown=True, keeps_classes=keeps_classes)


def _of_file(file: Path, recorded: dict[str, Frame]) -> dict[str, Frame]:
    """Keep the tomogram that a file is named after, if there is one."""
    named = matches(file.stem, list(recorded))
    return {name: recorded[name] for name in named} if len(named) == 1 else recorded


def _unsized(files: Sequence[Path], truth: Sequence[Path], voxel_size: float | None) -> dict[str, Frame]:
    """Frames where only the flags say anything: files in voxels need no more."""
    known = [file for path in truth for file in files_of_picks(path)]
    tables = [formats.read_table(path) for path in [*files, *known] if not formats.has_no_picks(path)]
    check_known(tables, voxel_size, None, has_shape_flag=False)
    mine = [table for table in tables if Path(table.source) in files] or tables
    return frames_from_flags(named_tables(mine), voxel_size, None)


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
            raise UsageError(f"{path}: holds no file of picks named after {listing(names)}; give the files")
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
            raise UsageError(f"--exclude {name}: no tomogram is called so; there are {listing(names)}")
        left_out |= set(found)
    return left_out


def _restrict(
    picks: Picks,
    candidates: Picks,
    truth: Picks,
    frames: Mapping[str, Frame],
    left_out: set[str],
    knows: bool,
    reporter: Reporter,
) -> Compared:
    """Keep the tomograms that have truth; say which of the picks' have none."""
    judged = [name for name in frames if name in set(truth.tomogram_names) - left_out]
    without = [name for name in picks.tomogram_names if name not in truth.tomogram_names and name not in left_out]
    if without:
        reporter.warn(f"no truth is given for {listing(without)}; not judged")
    if not judged:
        raise UsageError("nothing is left to judge: no tomogram has truth; check --truth and --exclude")

    def kept(part: Picks) -> Picks:
        return part.select(np.array([name in judged for name in part.tomograms.tolist()], dtype=bool))

    return Compared(kept(picks), kept(candidates), kept(truth), {name: frames[name] for name in judged}, knows)
