"""The merged files of a folder of picks: those of every finished tomogram together."""

from collections.abc import Mapping
from pathlib import Path

from tomopicker import formats
from tomopicker.errors import TomoPickerError
from tomopicker.folder.layout import IMPORT_LIST, MERGED
from tomopicker.geometry import Frame
from tomopicker.picks import Picks


def is_merged(folder: Path) -> bool:
    """Say whether the merged files are there."""
    return all((folder / f"{MERGED}{suffix}").exists() for suffix in (".csv", ".star"))


def merge(folder: Path, frames: Mapping[str, Frame], counts: Mapping[str, int], star_format: str) -> str | None:
    """Write the merged files from those of each tomogram; give what has to be said of it.

    They are always read back, so that a run in one go and one in pieces give the same files.

    Parameters
    ----------
    folder : Path
        With a CSV and a STAR file for each tomogram.
    frames, counts : mapping
        Of each finished tomogram: its geometry, and how many picks it has.
    star_format : str
        Whose STAR files are written.

    Returns
    -------
    str or None
        Why there is no import list for RELION 5, if one is due and cannot be written; what RELION 4's pixels are.
    """
    with_picks = [name for name, count in counts.items() if count and (folder / f"{name}.csv").exists()]
    parts = [formats.read_picks(folder / f"{name}.csv", {name: frames[name]}) for name in with_picks]
    picks = Picks.concatenate(parts)
    formats.write_picks(picks, frames, folder / f"{MERGED}.csv", "csv")
    formats.write_picks(picks, frames, folder / f"{MERGED}.star", star_format)
    if star_format == "relion5":
        listed = {name: folder / f"{name}.star" for name, count in counts.items() if count}
        try:
            formats.write_relion5_import_list(listed, folder / f"{IMPORT_LIST}.star")
        except TomoPickerError as error:
            return str(error)
    remark = formats.binning_remark(star_format, frames, with_picks)
    return remark and f"{folder / MERGED}.star: {remark}"
