"""Other picks from the candidates of a finished folder, without scoring again, and their pictures."""

from pathlib import Path
from typing import Any

from tomopicker.errors import TomoPickerError
from tomopicker.files import make_durable
from tomopicker.output.layout import RECORD, file_of_kind, files_of
from tomopicker.output.merged import merge
from tomopicker.output.one_tomogram import DONE, write_chosen, write_entry
from tomopicker.output.record import (
    kind_counts,
    picked_counts,
    read_record,
    recorded_frames,
    selection_facts,
    write_record,
)
from tomopicker.output.results import candidates_of
from tomopicker.output.running import marked
from tomopicker.picking.selection import Selection, join

UNFINISHED = "unfinished_cut"
"""The setting of a folder whose picks are being replaced."""


def reselect(path: Path, selection: Selection) -> tuple[dict[str, Any], str | None]:
    """Select among the candidates of every finished tomogram again, and write picks, merged files and record.

    The default selection restores the files of `pick`. Gives the record of each finished tomogram, and a remark as of
    `merge`.

    Raises `TomoPickerError` if nothing in the folder was picked, or its candidates are damaged.
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
            kinds = {
                kind: selection.select(
                    candidates.of_kind(kind), entry["kinds"][kind]["expected"]["particles"], model["threshold"]
                )
                for kind, model in record["model"].get("kinds", {}).items()
            }
            particles, default = entry["expected"]["particles"], record["model"]["threshold"]
            chosen = join(list(kinds.values())) if kinds else selection.select(candidates, particles, default)
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
