"""Pictures and report of a folder of picks after another selection."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.output.layout import MERGED, RECORD, draw_picks, file_of_kind, files_of, picture_of
from tomopicker.output.picks_report import REPORT, try_report
from tomopicker.output.record import read_record, recorded_frames
from tomopicker.output.results import open_picked, reselect
from tomopicker.picking.selection import Selection
from tomopicker.picks import Picks
from tomopicker.pipeline.callbacks import Callback
from tomopicker.wording import picks_of_tomograms


def change_threshold(folder: Path, selection: Selection, callback: Callback, *, pictures: bool) -> None:
    """Select the picks of a folder again, log the expected metrics, and redraw pictures and report.

    Parameters
    ----------
    pictures : bool
        Redraw the pictures and rewrite the report; otherwise both are removed.

    Raises
    ------
    TomoPickerError
        As `reselect`.
    """
    existing = list(folder.glob("*.png")) if pictures else []
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
    _redraw(folder, existing, callback, report=pictures)
    total = picks_of_tomograms(sum(entry["picks"] for entry in entries.values()), len(entries))
    callback.log(f"{total}: {folder / f'{MERGED}.star'}")


def _redraw(folder: Path, pictures: Collection[Path], callback: Callback, *, report: bool) -> None:
    """Draw pictures again, with a warning for tomograms whose file is missing.

    An existing report is written again, or removed without `report`, as it shows the old picks.
    """
    record = read_record(folder / RECORD)
    for name in sorted(recorded_frames(record)):
        for kind in record["model"].get("kinds", {"": None}):
            picture = picture_of(folder, file_of_kind(name, kind))
            if picture in pictures and (error := _draw(folder, name, record, kind, picture)):
                callback.warn(error)
    if not (folder / REPORT).exists():
        return
    if report:
        try_report(folder, callback)
    else:
        (folder / REPORT).unlink()


def _draw(folder: Path, name: str, record: Mapping[str, Any], kind: str, picture: Path) -> str | None:
    """Draw the picks of a tomogram, of one of several kinds if named; if that fails, return the reason in one line."""
    entry = record["tomograms"][name]
    count = (entry["kinds"][kind] if kind else entry)["picks"]
    diameter = (record["model"]["kinds"][kind] if kind else record["model"]["settings"])["particle_diameter"]
    try:
        tomogram = open_picked(folder, record, name)
        picks = (
            io.read_picks(files_of(folder, file_of_kind(name, kind))[1], [tomogram]) if count else Picks.concatenate([])
        )
    except (TomoPickerError, KeyError, TypeError) as error:
        return f"{picture}: removed, as it cannot be drawn again ({error})"
    return draw_picks(tomogram, picks.positions, diameter, picture)
