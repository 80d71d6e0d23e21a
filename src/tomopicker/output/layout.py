"""The files in a folder of picks: their names, and the picks and the record of one tomogram.

Those of a tomogram are written by the process that picked it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame
from tomopicker.io.angles import CLASS
from tomopicker.picking.selection import Selected
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Positions

RECORD = "picks.json"
RECORDS = "records"
"""A folder: the record of each tomogram, written by the process that picked it."""
CANDIDATES = "candidates"
"""A folder: the candidates of each tomogram."""
MERGED, IMPORT_LIST, OPTIMISATION_SET = "picks", "relion5_import", "optimisation_set"
"""The files of all tomograms together, without a suffix."""
RUN, RUNNING, LOG = "run.json", ".running", "pick.log"
"""The state of the last run, the lock file of a running one, and the log with a line for each tomogram."""


def record_file(folder: Path, name: str) -> Path:
    """Return where the record of a tomogram is."""
    return folder / RECORDS / f"{name}.json"


def files_of(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Return where a tomogram's picks are, as STAR and as CSV, and where its candidates are."""
    return folder / f"{name}.star", folder / f"{name}.csv", folder / CANDIDATES / f"{name}.csv"


def picture_of(folder: Path, name: str) -> Path:
    """Return where the picture of a tomogram's picks is, if one was drawn."""
    return folder / f"{name}.png"


def file_of_kind(name: str, kind: str) -> str:
    """Name the files of one kind of several: a tomogram's, or the merged ones."""
    return f"{name}.{kind}" if kind else name


DONE, FAILED = "done", "failed"
"""The status of a tomogram in its record."""


def write_chosen(
    folder: Path,
    name: str,
    frame: Frame,
    chosen: Selected,
    star_format: str,
    kinds: Mapping[str, Selected] | None = None,
) -> dict[str, Any]:
    """Write the picks of a tomogram; return their facts for the record. Pictures of earlier picks are removed.

    Of several kinds, those of each are written too, to files with the kind in their names; STAR files number the kinds
    from 1, in ``rlnClassNumber``, and name them.
    """
    numbers = {kind: number for number, kind in enumerate(kinds or {}, 1)}
    stated = {}
    for kind, each in {"": chosen, **(kinds or {})}.items():
        star, csv, _ = files_of(folder, file_of_kind(name, kind))
        with suppress(OSError):
            picture_of(folder, file_of_kind(name, kind)).unlink(missing_ok=True)
        io.write_picks(each.picks, {name: frame}, csv, "csv")
        io.write_picks(numbered(each.picks, numbers), {name: frame}, star, star_format)
        stated[kind] = _stated(each)
    total = stated.pop("")
    return total | {"kinds": stated} if stated else total


def draw_picks(tomogram: Tomogram, positions: Positions, particle_diameter: float, picture: Path) -> str | None:
    """Draw picks (Å) of a tomogram; give the reason, one line, if that fails: the picks do not depend on it."""
    from tomopicker.output.figures import pick_figure  # noqa: PLC0415  (matplotlib is slow to import)

    try:
        pick_figure(tomogram, positions, particle_diameter, picture)
    except Exception as error:
        return f"{picture}: not drawn ({' '.join(str(error).split()) or type(error).__name__})"
    return None


def numbered(picks: Picks, numbers: Mapping[str, int]) -> Picks:
    """Number the kinds as RELION does its classes; without kinds, leave picks as they are."""
    if not numbers:
        return picks
    column = np.array([numbers[kind] for kind in picks.kinds.tolist()], dtype=np.int64)
    return replace(picks, extra=picks.with_kind(picks.kinds).extra.assign(**{CLASS: column}))


def _stated(chosen: Selected) -> dict[str, Any]:
    return {
        "threshold": chosen.threshold,
        "picks": len(chosen.picks),
        "expected": {key: round(value, 4) for key, value in asdict(chosen.expected).items()},
    }


def read_entry(folder: Path, name: str) -> dict[str, Any]:
    """Read the record of a tomogram; empty if there is none, or none that can be read, so that it is picked again."""
    try:
        entry = json.loads(record_file(folder, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def write_entry(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Write the record of a tomogram, whole or not at all."""
    write_text(record_file(folder, name), json.dumps(entry) + "\n", durable=True)


def remove_entry(folder: Path, name: str) -> None:
    """Remove the record of a tomogram, before its files are replaced: a process killed amid them has not done it.

    Raises `TomoPickerError` if it cannot be removed.
    """
    path = record_file(folder, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TomoPickerError(f"{path}: cannot be removed ({error.strerror}); choose another --output") from error


def read_entries(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the name and record of each tomogram, sorted by name; one is held at a time."""
    for name in sorted(file.name.removesuffix(".json") for file in (folder / RECORDS).glob("[!.]*.json")):
        if entry := read_entry(folder, name):
            yield name, entry
