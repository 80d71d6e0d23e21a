"""Files of picks in a folder, for commands that take a folder of picks."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame
from tomopicker.io import has_no_picks, read_table
from tomopicker.io.projects.tomogram_lists import is_list
from tomopicker.io.registry import FORMATS
from tomopicker.io.tomogram_names import join_names
from tomopicker.io.volumes.em import is_em_volume
from tomopicker.output.layout import IMPORT_LIST, MERGED, OPTIMISATION_SET, RECORD
from tomopicker.output.record import read_record, recorded_frames

TRUTH, SETTINGS = "truth", "settings"
"""Folders written by ``tomopicker simulate`` next to its tomograms."""


def is_picks_file(path: Path) -> bool:
    """Return True if a path has a suffix of picks; an EM file is opened, as it may be a volume."""
    suffixes = {suffix for entry in FORMATS if entry.kind == "picks" for suffix in entry.suffixes}
    suffix = path.suffix.lower()
    return suffix in suffixes and not path.is_dir() and not (suffix == ".em" and is_em_volume(path))


def split_by_kind(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Separate tomograms (first) from files of picks (second) by suffix and content.

    A shell turns ``--picks clicks/*.csv`` into one option and bare names: those are picks too.
    """
    picks = [path for path in paths if is_picks_file(path) and not is_list(path)]
    return [path for path in paths if path not in picks], picks


def tomograms_and_picks(paths: Sequence[Path], *, only_picks: bool) -> tuple[list[Path], list[Path]]:
    """Separate tomograms from the files of picks that a shell lists after ``--picks``.

    Raises `UsageError` if there is no tomogram, or unless `only_picks`, as files may belong to another option.
    """
    volumes, stray = split_by_kind(paths)
    if stray and not only_picks:
        raise UsageError(
            f"{stray[0]}: are these --picks, --negatives or --validation-picks? repeat the flag before each file"
        )
    if not volumes:
        raise UsageError("no tomogram is given; name the ones clicked in before --picks")
    return volumes, stray


def files_of_picks(path: Path, *, each: bool = False) -> list[Path]:
    """List the files of picks given by a path: the file itself, or those of a folder without copies.

    In a folder of ``tomopicker pick`` these are its CSV files; in one of ``tomopicker simulate``, the truth. In other
    folders, files that differ only in their suffix are one list in several formats, of which the CSV or else the first
    is taken.

    Parameters
    ----------
    each : bool
        In a folder of ``pick``, list the file of each tomogram instead of the merged one; it may have no picks.

    Raises
    ------
    TomoPickerError
        If a folder holds no file of picks, or two of one name that hold different numbers of picks.
    """
    if not path.is_dir():
        return [path]
    if (path / RECORD).exists():
        return _recorded(path, each=each)
    if not _files(path) and (path / TRUTH).is_dir() and (path / SETTINGS).is_dir():
        path = path / TRUTH
    files = _without_copies(file for file in _files(path) if file.stem not in {IMPORT_LIST, OPTIMISATION_SET})
    if not files:
        raise TomoPickerError(
            f"{path}: no file of picks in this folder; 'tomopicker formats picks' lists their suffixes"
        )
    return files


def frames_of_folder(path: Path) -> dict[str, Frame]:
    """Return the geometry of the tomograms in the record of a folder of picks; empty without a record."""
    if not path.is_dir() or not (path / RECORD).exists():
        return {}
    return recorded_frames(read_record(path / RECORD))


def recorded_geometry(path: Path) -> dict[str, Frame]:
    """Return the geometry of the tomograms in a folder of ``pick`` or in one of its files; empty for others."""
    if path.is_dir():
        return frames_of_folder(path)
    frames = frames_of_folder(path.parent)
    if f"{path.stem}.".startswith(f"{MERGED}."):
        return frames
    return {name: frame for name, frame in frames.items() if f"{path.stem}.".startswith(f"{name}.")}


def _recorded(path: Path, *, each: bool) -> list[Path]:
    merged, names = path / f"{MERGED}.csv", list(frames_of_folder(path))
    if merged.exists() and not each:
        return [merged]
    if not names:
        raise TomoPickerError(f"{path}: no tomogram in it is finished; run 'tomopicker pick' first")
    files = [path / f"{name}.csv" for name in names]
    filled = [file for file in files if not has_no_picks(file)]
    return files if each or not filled else filled


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if not file.name.startswith(".") and is_picks_file(file))


def _without_copies(files: Iterable[Path]) -> list[Path]:
    """Keep one of the files that differ in their suffix alone, CSV if it is among them."""
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(file.stem, []).append(file)
    for copies in by_stem.values():
        copies.sort(key=lambda file: file.suffix.lower() != ".csv")
        if len(copies) > 1 and len({0 if has_no_picks(file) else len(read_table(file)) for file in copies}) > 1:
            raise UsageError(
                f"{copies[0].parent}: {join_names([file.name for file in copies])} hold different numbers of picks; "
                "give one of them, or keep one"
            )
    return [copies[0] for copies in by_stem.values()]
