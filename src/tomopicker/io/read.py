"""Reading picks of any format, and matching them to their tomograms."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomopicker.errors import TomoPickerError
from tomopicker.geometry import Frame, PickTable, Unit, from_file_units, shifted
from tomopicker.io.bounds import keep_inside, refuse_one_place
from tomopicker.io.classes import Mixed, choose_classes, mixture
from tomopicker.io.projects.relion import is_project, read_frames
from tomopicker.io.registry import for_input, function, head_of, recognised
from tomopicker.io.tomogram_names import cleaned, contained, join_names, match_name, matches
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.wording import number_of

MIN_FRACTION_RANGE = 0.2
"""Least range along each axis of coordinates between 0 and 1 that count as fractions."""
MIN_EDGE = 16
"""Voxels: least edge of a tomogram in which several picks do not lie in one voxel."""


class Inferred(UserWarning):
    """A value that a file does not state and that was inferred; shown to the user."""


def read_table(path: Path | str, format: str | None = None) -> PickTable:
    """Read positions as a file states them, its format recognised by content and suffix unless it is named.

    Parameters
    ----------
    path : Path
        Any format of `registry.FORMATS`.
    format : str, optional
        Its name; variants, such as the kinds of STAR, are still recognised by content.

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
    head = head_of(path)
    entry = recognised("picks", path, head) if format is None else for_input(format)
    if entry is None:
        raise TomoPickerError(f"{path}: it is not a text file; give a STAR file or text columns (x,y,z)")
    table: PickTable = function(entry.reader)(path)
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
        The tomograms at hand.
    unit : Unit, optional
        What the coordinates count, if the files state it wrongly or not at all (``--picks-unit``).
    pixel_size : float, optional
        Å per pixel of the coordinates, where a file counts pixels or voxels (``--picks-pixel-size``).
    ignore_unknown : bool
        Leave out picks of tomograms that were not given, with a warning, instead of failing.
    format : str, optional
        The format of the files; recognised by their content if left out.
    shift : tuple of float
        (x, y, z) in voxels, added to every position: for files whose origin differs from that of their format.
    check_inside : bool
        Leave out the few positions that lie outside their tomogram, with a warning, and refuse many.
    classes : sequence of str
        Keep the picks of these classes (``--class``); of several classes without a choice, all are kept and a
        warning lists them.
    keep_classes : bool
        Whether several classes are as they should be; nothing warns of them.

    Returns
    -------
    Picks
        In Å, named as the tomograms are. What was inferred of a unit is a warning of the class `Inferred`.

    Raises
    ------
    TomoPickerError
        One line naming the file: whatever `read_table` refuses, a tomogram that is not at hand or may be several,
        many positions outside their tomogram, a unit that contradicts itself or cannot be.
    """
    listed = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    frames = dict(tomograms) if isinstance(tomograms, Mapping) else {each.name: each.frame for each in tomograms}
    projects = [path for path in listed if len(listed) > 1 and is_project(path)]
    stated = {name: frame for path in projects for name, frame in read_frames(path).items()}
    read: list[tuple[PickTable, Picks]] = []
    named: dict[str, None] = {}
    notes: dict[str, list[str]] = {}
    for path in listed:
        if path in projects:
            continue
        table = _with_unit(read_table(path, format), unit, pixel_size)
        table = replace(table, frames={**stated, **table.frames})
        named |= dict.fromkeys(table.tomograms.tolist())
        table = _resolve(table, list(frames), path, ignore_unknown)
        if unit is None and pixel_size is None:
            _refuse_fractions(table, frames)
        _note_inferred(table, frames, notes)
        picks = shifted(from_file_units(table, frames), frames, shift)
        if check_inside and unit is None and pixel_size is None:
            refuse_one_place(table, picks, frames)
        read.append((table, picks))
    picks = Picks.concatenate(keep_inside(read, frames) if check_inside else [part for _, part in read])
    for note, sources in notes.items():
        warnings.warn(Inferred(f"{join_names(sources, 3)}: {note}"), stacklevel=2)
    if not len(picks):
        what = f"no picks of the tomograms given ({join_names(list(frames))}), but of {join_names(list(named))}"
        raise TomoPickerError(f"{join_names([str(path) for path in listed])}: {what}; give others")
    source = join_names([str(path) for path in listed], 3)
    if classes:
        return choose_classes(picks, classes, source)
    if not keep_classes and (several := mixture(picks)):
        warnings.warn(Mixed(f"{source}: picks of several classes, {several}"), stacklevel=2)
    return picks


def has_no_picks(path: Path | str) -> bool:
    """Whether a file is empty, or what `write_picks` makes of no picks: a header, no rows.

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
    """Take the unit that the user gives, else that of the file; a `TomoPickerError` if that is in doubt."""
    if pixel_size is not None and unit in {None, Unit.PIXEL} and table.unit in {Unit.VOXEL, Unit.PIXEL, Unit.FRACTION}:
        sizes = np.full(len(table), float(pixel_size))
        return replace(table, unit=Unit.PIXEL, pixel_size=sizes, is_unit_stated=True, inferred=None, doubt=None)
    if pixel_size is not None and table.unit not in {Unit.VOXEL, Unit.PIXEL}:
        table = replace(table, notes=(*table.notes, f"counts {table.unit.value}; --picks-pixel-size is not used"))
    if unit is not None:
        return replace(table, unit=unit, is_unit_stated=True, inferred=None, doubt=None)
    if table.doubt:
        raise TomoPickerError(f"{table.source}: {table.doubt}")
    return table


def _refuse_fractions(table: PickTable, frames: Mapping[str, Frame]) -> None:
    """Refuse coordinates that all lie within one voxel, or one Å; where the unit is stated, only scattered ones.

    A `TomoPickerError` names the flag that gives the unit.
    """
    at = table.coordinates
    edges = [min(frames[name].shape) for name in dict.fromkeys(table.tomograms.tolist())]
    if table.unit not in {Unit.VOXEL, Unit.PIXEL, Unit.ANGSTROM} or len(np.unique(at, axis=0)) < 2:
        return
    if min(edges) < MIN_EDGE or not ((at >= 0) & (at <= 1)).all() or not (at % 1).any():
        return
    if table.is_unit_inferred or np.ptp(at, axis=0).min() >= MIN_FRACTION_RANGE:
        hint = "give --picks-unit fraction (or voxel, if they are right)"
        raise TomoPickerError(f"{table.source}: all coordinates lie between 0 and 1, like fractions of a size; {hint}")


def _note_inferred(table: PickTable, frames: Mapping[str, Frame], notes: dict[str, list[str]]) -> None:
    """Collect what was inferred of a file's unit, and what of it was not read, by note the files."""
    found = [*table.notes, *([table.inferred] if table.inferred else [])]
    if table.unit is Unit.PIXEL and table.is_unit_inferred:
        known = {name: table.frames.get(name, frames[name]) for name in dict.fromkeys(table.tomograms.tolist())}
        unbinned = sorted({frame.unbinned_pixel_size for frame in known.values() if frame.unbinned_pixel_size})
        sizes = unbinned or sorted({frame.voxel_size for frame in known.values()})
        what = "pixels of the tilt series" if unbinned else "voxels of the tomogram"
        listed = join_names([f"{size:g}" for size in sizes], 3)
        found.append(f"no pixel size is stated; coordinates are taken as {what}, {listed} Å")
    for note in found:
        notes.setdefault(note, []).append(table.source)


def _resolve(table: PickTable, candidates: list[str], path: Path, ignore_unknown: bool) -> PickTable:
    """Rename the rows, and the frames the file states, to the names of the tomograms at hand."""
    meant: dict[str, str | None] = {}
    for name in dict.fromkeys(table.tomograms.tolist()):
        if not name:
            meant[name] = _from_file_name(path, candidates)
        elif name.isdigit() and not matches(name, candidates) and len(set(table.tomograms)) == 1:
            meant[name] = _from_number(name, path, candidates)
        elif ignore_unknown and not matches(name, candidates):
            meant[name] = None
        else:
            meant[name] = match_name(name, candidates, table.source)
    resolved = np.empty(len(table), dtype=object)
    resolved[:] = [meant[name] for name in table.tomograms]
    known = np.array([name is not None for name in resolved], dtype=bool)
    if not known.all():
        dropped = join_names([name for name, target in meant.items() if target is None])
        left_out = number_of(int(np.count_nonzero(~known)), "pick")
        message = f"{table.source}: {left_out} left out, of tomograms that were not given: {dropped}"
        warnings.warn(message, stacklevel=3)
    frames = {found[0]: frame for name, frame in table.frames.items() if len(found := matches(name, candidates)) == 1}
    return replace(table, tomograms=resolved, frames=frames).select(known)


def _from_file_name(path: Path, candidates: list[str]) -> str:
    """Find the tomogram of rows that name none: by the file's name, else the only one there is."""
    found = contained(path.name, candidates) or contained(path.absolute().parent.name, candidates)
    if len(found) == 1:
        return found[0]
    if found:
        raise TomoPickerError(
            f"{path}: its name may mean any of the tomograms {join_names(found)}; add a column 'tomogram'"
        )
    if len(candidates) == 1:
        return candidates[0]
    remedy = "add a column 'tomogram', or name the file after its tomogram"
    raise TomoPickerError(f"{path}: the tomogram of these picks is not stated ({join_names(candidates)}); {remedy}")


def _from_number(number: str, path: Path, candidates: list[str]) -> str:
    """Find the one tomogram a file numbers: by the file's name or the only one there is, unless numbered itself."""
    try:
        found = _from_file_name(path, candidates)
    except TomoPickerError:
        found = ""
    if not found or re.search(r"\d", cleaned(found)):
        remedy = f"write a list {path.stem}.doc next to it, 'number name' in each line"
        raise TomoPickerError(f"{path}: which of {join_names(candidates)} is tomogram {number} is not stated; {remedy}")
    return found
