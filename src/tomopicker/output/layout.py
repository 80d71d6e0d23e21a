"""The files in a folder of picks: their names, and the picks and the record of one tomogram.

The files of a tomogram are written by the process that picks it.
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
"""Folder with the record of each tomogram."""
CANDIDATES = "candidates"
"""Folder with the candidates of each tomogram."""
MERGED, IMPORT_LIST, OPTIMISATION_SET = "picks", "relion5_import", "optimisation_set"
"""Names of the files of all tomograms together, without a suffix."""
RUN, RUNNING, LOG = "run.json", ".running", "pick.log"
"""State of the last run, lock file of the present one, and log with a line for each tomogram."""
DONE, FAILED = "done", "failed"
"""Status of a tomogram in its record."""


def record_file(folder: Path, name: str) -> Path:
    """Return the path of the record of a tomogram."""
    return folder / RECORDS / f"{name}.json"


def files_of(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Return the paths of a tomogram's picks, as STAR and as CSV, and of its candidates."""
    return folder / f"{name}.star", folder / f"{name}.csv", folder / CANDIDATES / f"{name}.csv"


def picture_of(folder: Path, name: str) -> Path:
    """Return the path of the picture of a tomogram's picks."""
    return folder / f"{name}.png"


def file_of_kind(name: str, kind: str) -> str:
    """Return the stem of the files of one of several kinds, of a tomogram or merged."""
    return f"{name}.{kind}" if kind else name


def write_selected(
    folder: Path,
    name: str,
    frame: Frame,
    selected: Selected,
    star_format: str,
    kinds: Mapping[str, Selected],
) -> dict[str, Any]:
    """Write the picks of a tomogram, and remove pictures of earlier picks; return the entries for the record.

    The picks of each of several kinds are written too, to files with the kind in their names; STAR files number the
    kinds from 1 in ``rlnClassNumber``.
    """
    numbers = {kind: number for number, kind in enumerate(kinds, 1)}
    entries = {}
    for kind, own in {"": selected, **kinds}.items():
        star, csv, _ = files_of(folder, file_of_kind(name, kind))
        with suppress(OSError):
            picture_of(folder, file_of_kind(name, kind)).unlink(missing_ok=True)
        io.write_picks(own.picks, {name: frame}, csv, "csv")
        io.write_picks(number_kinds(own.picks, numbers), {name: frame}, star, star_format)
        entries[kind] = {
            "threshold": own.threshold,
            "picks": len(own.picks),
            "expected": {key: round(value, 4) for key, value in asdict(own.expected).items()},
        }
    entry = entries.pop("")
    return entry | {"kinds": entries} if entries else entry


def draw_picks(tomogram: Tomogram, positions: Positions, particle_diameter: float, picture: Path) -> str | None:
    """Draw picks (Å) of a tomogram; if that fails, return the reason in one line."""
    from tomopicker.output.figures import pick_figure  # noqa: PLC0415  (matplotlib is slow to import)

    try:
        pick_figure(tomogram, positions, particle_diameter, picture)
    except Exception as error:
        return f"{picture}: not drawn ({' '.join(str(error).split()) or type(error).__name__})"
    return None


def number_kinds(picks: Picks, numbers: Mapping[str, int]) -> Picks:
    """Add a column of RELION's class numbers from the number of each kind, if there are any."""
    if not numbers:
        return picks
    column = np.array([numbers[kind] for kind in picks.kinds.tolist()], dtype=np.int64)
    return replace(picks, extra=picks.with_kind(picks.kinds).extra.assign(**{CLASS: column}))


def read_entry(folder: Path, name: str) -> dict[str, Any]:
    """Read the record of a tomogram; empty if it is missing or damaged, so that the tomogram is picked again."""
    try:
        entry = json.loads(record_file(folder, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def write_entry(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Write the record of a tomogram, whole or not at all."""
    write_text(record_file(folder, name), json.dumps(entry) + "\n", durable=True)


def remove_entry(folder: Path, name: str) -> None:
    """Remove the record of a tomogram before its files are replaced: it is unfinished if the process is killed.

    Raises `TomoPickerError` if it cannot be removed.
    """
    path = record_file(folder, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TomoPickerError(f"{path}: cannot be removed ({error.strerror}); choose another --output") from error


def read_entries(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and record of each tomogram, sorted by name."""
    for name in sorted(file.name.removesuffix(".json") for file in (folder / RECORDS).glob("[!.]*.json")):
        if entry := read_entry(folder, name):
            yield name, entry
