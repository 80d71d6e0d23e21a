"""Other picks from the candidates of a finished folder, without scoring again."""

from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.files import make_durable
from tomopicker.geometry import Frame
from tomopicker.output.layout import RECORD
from tomopicker.output.merged import merge
from tomopicker.output.one_tomogram import file_of_kind, files_of, write_chosen
from tomopicker.output.record import kind_counts, picked_counts, read_record, recorded_frames, write_record
from tomopicker.output.running import marked
from tomopicker.output.settings import selection_facts
from tomopicker.output.tomogram_record import DONE, write_entry
from tomopicker.picking.selection import Selected, Selection, join
from tomopicker.picks import Picks

NOWHERE = np.empty((0, 3))
UNFINISHED = "unfinished_cut"
"""The setting of a folder whose picks are being replaced."""


def reselect(path: Path, selection: Selection) -> tuple[dict[str, Any], str | None]:
    """Select among the candidates of every finished tomogram again, and write picks, merged files and record.

    Parameters
    ----------
    path : Path
        A folder that ``tomopicker pick`` wrote.
    selection : Selection
        The selection; the default restores the files of `pick`.

    Returns
    -------
    entries : dict
        The record of each finished tomogram.
    remark : str or None
        As of `merge`.

    Raises
    ------
    TomoPickerError
        If nothing in the folder was picked, or its candidates are damaged.
    """
    read_record(path / RECORD)  # No mark in a folder without a record.
    with marked(path):
        record = read_record(path / RECORD)
        frames = recorded_frames(record)
        if not frames:
            raise TomoPickerError(f"{path}: no tomogram in it is finished; run 'tomopicker pick' first")
        star_format = record["settings"]["star_format"]
        # If this is interrupted, `pick` finds other settings than its own, and its error names this command.
        write_record(path / RECORD, record | {"settings": record["settings"] | {UNFINISHED: True}}, None)
        for name, frame in frames.items():
            entry = record["tomograms"][name]
            candidates = candidates_of(path, name, frame, entry["candidates"])
            kinds = _by_kind(candidates, selection, entry, record["model"].get("kinds", {}))
            chosen = (
                join(list(kinds.values()))
                if kinds
                else selection.select(candidates, entry["expected"]["particles"], record["model"]["threshold"])
            )
            written = write_chosen(path, name, frame, chosen, star_format, kinds)
            for kind in kinds:
                written["kinds"][kind] = entry["kinds"][kind] | written["kinds"][kind]
            record["tomograms"][name] = entry | written
            make_durable(file for kind in ["", *kinds] for file in files_of(path, file_of_kind(name, kind))[:2])
            write_entry(path, name, record["tomograms"][name])
        record["settings"] = {name: value for name, value in record["settings"].items() if name != UNFINISHED}
        record["settings"] |= selection_facts(selection)
        remark = merge(path, frames, picked_counts(record), star_format, kinds=kind_counts(record))
        write_record(path / RECORD, record, sorted(record["tomograms"].items()))
    return {name: entry for name, entry in sorted(record["tomograms"].items()) if entry["status"] == DONE}, remark


def _by_kind(
    candidates: Picks, selection: Selection, entry: dict[str, Any], models: dict[str, dict[str, Any]]
) -> dict[str, Selected]:
    """Select among the candidates of each kind, with the number of particles in the record."""
    return {
        kind: selection.select(
            candidates.of_kind(kind), entry["kinds"][kind]["expected"]["particles"], model["threshold"]
        )
        for kind, model in models.items()
    }  # fmt: skip


def candidates_of(path: Path, name: str, frame: Frame, count: int) -> Picks:
    """Read the candidates of a tomogram in a folder of picks; `count` is their number in the record."""
    if not count:
        return Picks.of(name, NOWHERE)
    try:
        return io.read_picks(files_of(path, name)[2], {name: frame})
    except TomoPickerError as error:
        raise TomoPickerError(f"{error}; 'tomopicker pick --overwrite' writes it again") from error
