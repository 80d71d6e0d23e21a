"""Pictures and report of a results folder whose picks were selected again."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.output.layout import RECORD, draw_picks, file_of_kind, files_of, picture_of
from tomopicker.output.picks_report import REPORT, try_report
from tomopicker.output.record import read_record, recorded_frames
from tomopicker.output.results import open_picked, reselect
from tomopicker.picking.selection import Selection
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback


def change_threshold(folder: Path, selection: Selection, callback: Callback, *, pictures: bool) -> dict[str, Any]:
    """Select the picks of a results folder again, log the expected metrics, and redraw pictures and report.

    Parameters
    ----------
    pictures : bool
        Redraw the pictures and rewrite the report; otherwise both are removed.

    Returns
    -------
    dict
        Record of each finished tomogram, by name.

    Raises
    ------
    TomoPickerError
        As `reselect`.
    """
    drawn = list(folder.glob("*.png")) if pictures else []
    entries, remark = reselect(folder, selection)
    if remark:
        callback.warn(remark)
    for name, entry in entries.items():
        of_kinds = {f"  {kind}": own for kind, own in entry.get("kinds", {}).items()}
        for title, own in {name: entry, **of_kinds}.items():
            expected = own["expected"]
            callback.log(
                f"{title}: {own['picks']} of {own['candidates']} candidates (threshold {own['threshold']:.3f}; "
                f"expected precision {expected['precision']:.2f}, recall {expected['recall']:.2f})."
            )
        if not entry["picks"]:
            callback.warn(f"{name}: no candidate passes this threshold, so there are no picks; choose a lower one")
    redraw(folder, drawn, callback, report=pictures)
    return entries


def redraw(folder: Path, drawn: Collection[Path], callback: Callback, *, report: bool) -> None:
    """Draw pictures again, and write the report again if there was one.

    Parameters
    ----------
    drawn : collection of Path
        The pictures; of tomograms whose file is gone they are left out, with a warning.
    report : bool
        Write the report; otherwise an existing one is removed, as it shows the old picks.
    """
    record = read_record(folder / RECORD)
    for name in sorted(recorded_frames(record)):
        for kind in record["model"].get("kinds", {"": None}):
            was_drawn = picture_of(folder, file_of_kind(name, kind)) in drawn
            if was_drawn and (problem := draw_again(folder, name, record, kind)):
                callback.warn(problem)
    if not (folder / REPORT).exists():
        return
    if report:
        try_report(folder, callback)
    else:
        (folder / REPORT).unlink()


def draw_again(folder: Path, name: str, record: Mapping[str, Any], kind: str = "") -> str | None:
    """Draw a tomogram's picks of a results folder once more, if its file is still there.

    The record is the content of the folder's ``picks.json``; `kind` names one of several kinds of particle. Gives the
    reason, one line, if it could not be drawn.
    """
    called, entry = file_of_kind(name, kind), record["tomograms"][name]
    picture, count = picture_of(folder, called), (entry["kinds"][kind] if kind else entry)["picks"]
    diameter = (record["model"]["kinds"][kind] if kind else record["model"]["settings"])["particle_diameter"]
    try:
        tomogram = open_picked(folder, record, name)
        picks = io.read_picks(files_of(folder, called)[1], [tomogram]) if count else Picks.concatenate([])
    except (TomoPickerError, KeyError, TypeError) as error:
        return f"{picture}: removed, as it cannot be drawn again ({error})"
    return draw_picks(tomogram, picks.positions, diameter, picture)
