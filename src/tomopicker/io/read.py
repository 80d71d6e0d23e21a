"""Read picks of any format, and match them to their tomograms."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, PickTable, Unit, from_file_units, shifted
from tomopicker.io.bounds import check_not_fractions, check_spread, keep_inside
from tomopicker.io.classes import MixedClassesWarning, choose_classes, mixture
from tomopicker.io.projects.relion import is_project, read_frames
from tomopicker.io.registry import for_input, recognise_format
from tomopicker.io.tomogram_names import clean_name, contained, join_names, match_name, matches
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.wording import number_of


class InferredUnitWarning(UserWarning):
    """A value that a file does not state and that was inferred, or a part of it that is not used; shown to the user."""


def read_table(path: Path | str, format: str | None = None) -> PickTable:
    """Read positions in the units of their file.

    Parameters
    ----------
    path : Path
        Any format of `registry.FORMATS`.
    format : str, optional
        Its name, recognised by content and suffix if left out; variants, such as the kinds of STAR, are always
        recognised by content.

    Returns
    -------
    PickTable
        Positions in the file's own unit, at least one.

    Raises
    ------
    TomoPickerError
        One line naming the file: missing, binary, no picks, missing columns (those found are listed), bad numbers.
    """
    path = Path(path)
    entry = recognise_format("picks", path) if format is None else for_input(format)
    if entry is None:
        raise TomoPickerError(f"{path}: it is not a text file; give a STAR file or text columns (x,y,z)")
    table: PickTable = entry.read(path)
    return table


def read_picks(
    paths: Sequence[Path | str] | Path | str,
    tomograms: Sequence[Tomogram] | Mapping[str, Frame],
    *,
    unit: Unit | None = None,
    pixel_size: float | None = None,
    ignore_unknown: bool = False,
    format: str | None = None,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    check_inside: bool = True,
    classes: Sequence[str] = (),
    keep_classes: bool = False,
) -> Picks:
    """Read picks and place them in their tomograms.

    Parameters
    ----------
    paths : sequence of Path
        Files of picks. A RELION tomograms.star among them gives the sizes that RELION 5's centred positions count from.
    tomograms : sequence of Tomogram, or mapping of str to Frame
        The available tomograms.
    unit : Unit, optional
        The unit of the coordinates, if it is wrong or missing in the files (``--picks-unit``).
    pixel_size : float, optional
        Å per pixel of the coordinates, if a file counts pixels or voxels (``--picks-pixel-size``).
    ignore_unknown : bool
        Leave out picks of tomograms that were not given, with a warning, instead of failing.
    format : str, optional
        The format of the files; recognised by their content if left out.
    shift : tuple of float
        (x, y, z) in voxels, added to every position: for files whose origin differs from that of their format.
    check_inside : bool
        Leave out the few positions outside their tomogram, with a warning, and fail if there are many.
    classes : sequence of str
        Keep the picks of these classes (``--class``); of several classes without a choice, all are kept and a
        warning lists them.
    keep_classes : bool
        Several classes are intended: do not warn.

    Returns
    -------
    Picks
        In Å, with the names of the tomograms given. A unit that was inferred is an `InferredUnitWarning`.

    Raises
    ------
    TomoPickerError
        One line naming the file: any error of `read_table`, an unknown or ambiguous tomogram, many
        positions outside their tomogram, a unit that is contradictory or impossible.
    """
    files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    frames = (
        dict(tomograms) if isinstance(tomograms, Mapping) else {tomogram.name: tomogram.frame for tomogram in tomograms}
    )
    projects = [path for path in files if len(files) > 1 and is_project(path)]
    project_frames = {name: frame for path in projects for name, frame in read_frames(path).items()}
    is_unit_given = unit is not None or pixel_size is not None
    read: list[tuple[PickTable, Picks]] = []
    names_in_files: dict[str, None] = {}
    notes: dict[str, list[str]] = {}
    for path in files:
        if path in projects:
            continue
        table = _with_unit(read_table(path, format), unit, pixel_size)
        table = replace(table, frames={**project_frames, **table.frames})
        names_in_files |= dict.fromkeys(table.tomograms.tolist())
        table = _match_tomograms(table, list(frames), path, ignore_unknown)
        if not is_unit_given:
            check_not_fractions(table, frames)
        for note in _notes(table, frames):
            notes.setdefault(note, []).append(table.source)
        picks = shifted(from_file_units(table, frames), frames, shift)
        if check_inside and not is_unit_given:
            check_spread(table, picks, frames)
        read.append((table, picks))
    picks = Picks.concatenate(keep_inside(read, frames) if check_inside else [part for _, part in read])
    for note, sources in notes.items():
        warnings.warn(InferredUnitWarning(f"{join_names(sources, 3)}: {note}"), stacklevel=2)
    if not len(picks):
        problem = (
            f"no picks of the tomograms given ({join_names(list(frames))}), but of {join_names(list(names_in_files))}"
        )
        raise TomoPickerError(f"{join_names([str(path) for path in files])}: {problem}; give others")
    source = join_names([str(path) for path in files], 3)
    if classes:
        return choose_classes(picks, classes, source)
    if not keep_classes and (several := mixture(picks)):
        warnings.warn(MixedClassesWarning(f"{source}: picks of several classes, {several}"), stacklevel=2)
    return picks


def has_no_picks(path: Path | str) -> bool:
    """Return True if a file is empty, or has a header and no rows, as `write_picks` writes no picks.

    False for a file that cannot be read; `read_picks` raises the error.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8") as stream:
            head = stream.read(4096)
    except (OSError, UnicodeDecodeError):
        return False
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        return True
    if path.suffix.lower() == ".star":
        return "loop_" in head and len(head) < 4096 and all(line.lstrip()[:1] in "_#dl" for line in lines)
    return len(lines) == 1 and lines[0].startswith("tomogram,x,y,z")


def _with_unit(table: PickTable, unit: Unit | None, pixel_size: float | None) -> PickTable:
    """Apply the user's unit and pixel size; raises `TomoPickerError` without them if the file's are ambiguous."""
    if pixel_size is not None and unit in {None, Unit.PIXEL} and table.unit in {Unit.VOXEL, Unit.PIXEL, Unit.FRACTION}:
        sizes = np.full(len(table), float(pixel_size))
        return replace(table, unit=Unit.PIXEL, pixel_size=sizes, is_unit_stated=True, inferred=None, ambiguity=None)
    if pixel_size is not None and table.unit not in {Unit.VOXEL, Unit.PIXEL}:
        table = replace(table, notes=(*table.notes, f"counts {table.unit.value}; --picks-pixel-size is not used"))
    if unit is not None:
        return replace(table, unit=unit, is_unit_stated=True, inferred=None, ambiguity=None)
    if table.ambiguity:
        raise TomoPickerError(f"{table.source}: {table.ambiguity}")
    return table


def _notes(table: PickTable, frames: Mapping[str, Frame]) -> list[str]:
    """List what was inferred of a file's unit, and what of it was not read."""
    notes = [*table.notes, *([table.inferred] if table.inferred else [])]
    if table.unit is Unit.PIXEL and table.is_unit_inferred:
        used = [table.frames.get(name, frames[name]) for name in dict.fromkeys(table.tomograms.tolist())]
        unbinned = sorted({frame.unbinned_pixel_size for frame in used if frame.unbinned_pixel_size})
        pixels = "pixels of the tilt series" if unbinned else "voxels of the tomogram"
        sizes = join_names([f"{size:g}" for size in unbinned or sorted({frame.voxel_size for frame in used})], 3)
        notes.append(f"no pixel size is stated; coordinates are taken as {pixels}, {sizes} Å")
    return notes


def _match_tomograms(table: PickTable, candidates: list[str], path: Path, ignore_unknown: bool) -> PickTable:
    """Rename the rows, and the file's frames, to the names of the available tomograms."""
    names = dict.fromkeys(table.tomograms.tolist())
    target: dict[str, str | None] = {}
    for name in names:
        if not name:
            target[name] = _from_file_name(path, candidates)
        elif name.isdigit() and not matches(name, candidates) and len(names) == 1:
            target[name] = _from_number(name, path, candidates)
        elif ignore_unknown and not matches(name, candidates):
            target[name] = None
        else:
            target[name] = match_name(name, candidates, table.source)
    renamed = np.array([target[name] for name in table.tomograms], dtype=object)
    is_known = np.array([name is not None for name in renamed], dtype=bool)
    if not is_known.all():
        unknown = join_names([name for name in names if target[name] is None])
        left_out = number_of(int(np.count_nonzero(~is_known)), "pick")
        message = f"{table.source}: {left_out} left out, of tomograms that were not given: {unknown}"
        warnings.warn(message, stacklevel=3)
    frames = {fits[0]: frame for name, frame in table.frames.items() if len(fits := matches(name, candidates)) == 1}
    return replace(table, tomograms=renamed, frames=frames).select(is_known)


def _from_file_name(path: Path, candidates: list[str]) -> str:
    """Return the tomogram of rows that name none: by the name of the file or folder, else the only one available."""
    fits = contained(path.name, candidates) or contained(path.absolute().parent.name, candidates)
    if len(fits) > 1:
        raise TomoPickerError(
            f"{path}: its name may mean any of the tomograms {join_names(fits)}; add a column 'tomogram'"
        )
    if fits or len(candidates) == 1:
        return (fits or candidates)[0]
    remedy = "add a column 'tomogram', or name the file after its tomogram"
    raise TomoPickerError(f"{path}: the tomogram of these picks is not stated ({join_names(candidates)}); {remedy}")


def _from_number(number: str, path: Path, candidates: list[str]) -> str:
    """Return the tomogram of a file whose rows all have one number: by the file's name, or the only one available.

    Raises `TomoPickerError` if that tomogram's own name has digits, which would have matched the number.
    """
    try:
        name = _from_file_name(path, candidates)
    except TomoPickerError:
        name = ""
    if not name or re.search(r"\d", clean_name(name)):
        remedy = f"write a list {path.stem}.doc next to it, 'number name' in each line"
        raise TomoPickerError(f"{path}: which of {join_names(candidates)} is tomogram {number} is not stated; {remedy}")
    return name
