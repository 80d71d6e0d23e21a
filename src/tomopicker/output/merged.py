"""The merged files of a folder of picks: the picks of all finished tomograms together.

Rows are copied from the files of the tomograms, one file after another, so that memory does not grow with the number of
picks. Files that cannot be concatenated (other columns, several optics groups, two tomograms with one name) are read
and written as one list instead.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path, make_durable
from tomopicker.geometry import Frame
from tomopicker.output.layout import IMPORT_LIST, MERGED, OPTIMISATION_SET, file_of_kind, number_kinds
from tomopicker.picks import Picks

_LABEL = re.compile(r"^_\S+", re.MULTILINE)


def is_merged(folder: Path) -> bool:
    """Return True if the merged files exist."""
    return all((folder / f"{MERGED}{suffix}").exists() for suffix in (".csv", ".star"))


def merge(
    folder: Path,
    frames: Mapping[str, Frame],
    counts: Mapping[str, Mapping[str, int]],
    star_format: str,
    project: Path | None = None,
) -> str | None:
    """Write the merged files from those of each tomogram.

    Parameters
    ----------
    folder : Path
        Folder with a CSV and a STAR file for each tomogram.
    frames : mapping of str to Frame
        Geometry of each finished tomogram.
    counts : mapping of str to mapping of str to int
        Number of picks in each tomogram, of all kinds under an empty name, and of each of several; see `picked_counts`.
    star_format : str
        Format of the STAR files.
    project : Path, optional
        The tomograms.star of RELION 5 that lists the tomograms; an optimisation set joins it with the picks.

    Returns
    -------
    str or None
        Why the import list for RELION 5 could not be written, or what the pixels of RELION 4 are, if it matters.
    """
    numbers = {kind: number for number, kind in enumerate(counts) if kind}
    remarks = [_merge_kind(folder, frames, own, star_format, project, kind, numbers) for kind, own in counts.items()]
    return remarks[0]


def _merge_kind(
    folder: Path,
    frames: Mapping[str, Frame],
    counts: Mapping[str, int],
    star_format: str,
    project: Path | None,
    kind: str,
    numbers: Mapping[str, int],
) -> str | None:
    """Write the merged files of one kind, or with an empty name those of all."""
    stems = {name: file_of_kind(name, kind) for name in counts}
    with_picks = [name for name, count in counts.items() if count and (folder / f"{stems[name]}.csv").exists()]
    csv, star = (folder / f"{file_of_kind(MERGED, kind)}{suffix}" for suffix in (".csv", ".star"))
    are_copied = bool(with_picks) and all(
        _copy_rows([folder / f"{stems[name]}{target.suffix}" for name in with_picks], target) for target in (csv, star)
    )
    if not are_copied:
        parts = [io.read_picks(folder / f"{stems[name]}.csv", {name: frames[name]}) for name in with_picks]
        picks = Picks.concatenate(parts)
        io.write_picks(picks, frames, csv, "csv")
        io.write_picks(number_kinds(picks, numbers), frames, star, star_format)
    make_durable([csv, star])
    if star_format == "relion5":
        listed = {name: folder / f"{stems[name]}.star" for name, count in counts.items() if count}
        try:
            io.write_relion5_import_list(listed, folder / f"{file_of_kind(IMPORT_LIST, kind)}.star")
            if project is not None and with_picks:
                io.write_optimisation_set(star, project, folder / f"{file_of_kind(OPTIMISATION_SET, kind)}.star")
        except TomoPickerError as error:
            return str(error)
    remark = io.binning_remark(star_format, frames, with_picks)
    return remark and f"{star}: {remark}"


def _copy_rows(files: Iterable[Path], target: Path) -> bool:
    """Write the head of the first file and the rows of all; return False, and write nothing, if heads differ."""
    first: str | None = None
    names: set[str] = set()
    try:
        with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for head, rows, name in map(_split, files):
                if first is None:
                    first = head
                    stream.write(head)
                elif _without_comments(head) != _without_comments(first) or name in names:
                    raise _HeadsDiffer
                names.add(name)
                stream.writelines(rows)
            if target.suffix == ".star":
                stream.write("\n")
    except _HeadsDiffer:
        return False
    return True


class _HeadsDiffer(Exception):
    """Files whose rows cannot be concatenated."""


def _split(file: Path) -> tuple[str, Iterator[str], str]:
    """Return the head of a file, the rows of its last table, and the name of the tomogram in the first row."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TomoPickerError(
            f"{file}: cannot be read ({getattr(error, 'strerror', 'it is no text')}); 'tomopicker pick' writes it again"
        ) from error
    try:
        if file.suffix == ".csv":
            start = text.index("\n") + 1
            column = 0
        else:
            labels = list(_LABEL.finditer(text, text.rindex("\nloop_")))
            start = text.index("\n", labels[-1].end()) + 1
            column = next(i for i, label in enumerate(labels) if label[0] in {"_rlnTomoName", "_rlnMicrographName"})
    except (ValueError, IndexError, StopIteration) as error:
        raise TomoPickerError(f"{file}: is damaged; 'tomopicker pick --overwrite' writes it again") from error
    rows = text[start:].splitlines(keepends=True)
    name = re.split(r"[,\t ]+", rows[0].strip(), maxsplit=column + 1)[column] if rows else ""
    return text[:start], (row for row in rows if row.strip()), name


def _without_comments(head: str) -> str:
    return "\n".join(line for line in head.splitlines() if not line.startswith("#"))
