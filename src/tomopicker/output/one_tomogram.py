"""The files of one tomogram in a folder of picks, and the facts of its picks for the record."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.geometry import Frame
from tomopicker.io.angles import CLASS
from tomopicker.picking.selection import Selected
from tomopicker.picks import Picks

CANDIDATES = "candidates"


def files_of(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Give where a tomogram's picks are, as STAR and as CSV, and where its candidates are."""
    return folder / f"{name}.star", folder / f"{name}.csv", folder / CANDIDATES / f"{name}.csv"


def picture_of(folder: Path, name: str) -> Path:
    """Give where the picture of a tomogram's picks is, if one was drawn."""
    return folder / f"{name}.png"


def file_of_kind(name: str, kind: str) -> str:
    """Call the files of one kind of several: a tomogram's, or the merged ones."""
    return f"{name}.{kind}" if kind else name


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
