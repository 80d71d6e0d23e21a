"""The merged files of a folder of picks: those of every finished tomogram together, written in a stream.

Rows are copied from the files of the tomograms, one file after another, so that neither time nor memory
grows with what the tomograms hold. Files that cannot be concatenated (other columns, several optics groups, two
tomograms that would get one name) are read and written as one list instead.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path, make_durable
from tomopicker.geometry import Frame
from tomopicker.output.layout import IMPORT_LIST, MERGED, OPTIMISATION_SET, file_of_kind, numbered
from tomopicker.picks import Picks

_LABEL = re.compile(r"^_\S+", re.MULTILINE)


def is_merged(folder: Path) -> bool:
    """Whether the merged files exist."""
    return all((folder / f"{MERGED}{suffix}").exists() for suffix in (".csv", ".star"))


def merge(
    folder: Path,
    frames: Mapping[str, Frame],
    counts: Mapping[str, int],
    star_format: str,
    project: Path | None = None,
    kinds: Mapping[str, Mapping[str, int]] | None = None,
) -> str | None:
    """Write the merged files from those of each tomogram.

    Parameters
    ----------
    folder : Path
        With a CSV and a STAR file for each tomogram.
    frames, counts : mapping
        Of each finished tomogram: its geometry, and how many picks it has.
    star_format : str
        Whose STAR files are written.
    project : Path, optional
        The tomograms.star of RELION 5 that the tomograms came from: with the picks, it makes an optimisation set.
    kinds : mapping of str to mapping, optional
        Of several kinds: how many picks of each a tomogram has. Merged files of each are written, too.

    Returns
    -------
    str or None
        Why there is no import list for RELION 5, if one is due and cannot be written; what RELION 4's pixels are.
    """
    numbers = {kind: number for number, kind in enumerate(kinds or {}, 1)}
    remarks = [
        _merge_one(folder, frames, each, star_format, project, kind, numbers)
        for kind, each in {"": counts, **(kinds or {})}.items()
    ]
    return remarks[0]


def _merge_one(
    folder: Path,
    frames: Mapping[str, Frame],
    counts: Mapping[str, int],
    star_format: str,
    project: Path | None,
    kind: str,
    numbers: Mapping[str, int],
) -> str | None:
    """Write the merged files of one kind, or with an empty name those of all."""
    called = {name: file_of_kind(name, kind) for name in counts}
    with_picks = [name for name, count in counts.items() if count and (folder / f"{called[name]}.csv").exists()]
    csv, star = (folder / f"{file_of_kind(MERGED, kind)}{suffix}" for suffix in (".csv", ".star"))
    streamed = bool(with_picks)
    for target, suffix in ((csv, ".csv"), (star, ".star")):
        streamed = streamed and _stream([folder / f"{called[name]}{suffix}" for name in with_picks], target)
    if not streamed:
        parts = [io.read_picks(folder / f"{called[name]}.csv", {name: frames[name]}) for name in with_picks]
        picks = Picks.concatenate(parts)
        io.write_picks(picks, frames, csv, "csv")
        io.write_picks(numbered(picks, numbers), frames, star, star_format)
    make_durable([csv, star])
    if star_format == "relion5":
        listed = {name: folder / f"{called[name]}.star" for name, count in counts.items() if count}
        try:
            io.write_relion5_import_list(listed, folder / f"{file_of_kind(IMPORT_LIST, kind)}.star")
            if project is not None and with_picks:
                io.write_optimisation_set(star, project, folder / f"{file_of_kind(OPTIMISATION_SET, kind)}.star")
        except TomoPickerError as error:
            return str(error)
    remark = io.binning_remark(star_format, frames, with_picks)
    return remark and f"{star}: {remark}"


def _stream(files: Iterable[Path], target: Path) -> bool:
    """Write the rows of all files after the head of the first; return False, and write nothing, if they do not fit."""
    first: str | None = None
    names: set[str] = set()
    try:
        with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for head, rows, name in map(_split, files):
                if first is None:
                    first = head
                    stream.write(head)
                elif _without_comments(head) != _without_comments(first) or name in names:
                    raise _Unlike
                names.add(name)
                stream.writelines(rows)
            if target.suffix == ".star":
                stream.write("\n")
    except _Unlike:
        return False
    return True


class _Unlike(Exception):
    """Files that cannot be joined by copying their rows."""


def _split(file: Path) -> tuple[str, Iterator[str], str]:
    """Split a file's text into its head and the lines of its last table; give the tomogram's name in the first, too."""
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
            named = [i for i, label in enumerate(labels) if label[0] in {"_rlnTomoName", "_rlnMicrographName"}]
            column = named[0]
    except (ValueError, IndexError) as error:
        raise TomoPickerError(f"{file}: is damaged; 'tomopicker pick --overwrite' writes it again") from error
    rows = text[start:].splitlines(keepends=True)
    name = re.split(r"[,\t ]+", rows[0].strip(), maxsplit=column + 1)[column] if rows else ""
    return text[:start], (row for row in rows if row.strip()), name


def _without_comments(head: str) -> str:
    return "\n".join(line for line in head.splitlines() if not line.startswith("#"))
