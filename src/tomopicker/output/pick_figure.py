"""Drawing the picks of a results folder once more, after another threshold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.io.volumes.arrays import ReadOptions
from tomopicker.output.figures import pick_figure
from tomopicker.output.one_tomogram import files_of, picture_of
from tomopicker.picks import Picks


def draw_again(folder: Path, name: str, record: Mapping[str, Any]) -> str | None:
    """Draw a tomogram's picks of a results folder once more, if its file is still there.

    Parameters
    ----------
    folder : Path
        Results of ``tomopicker pick``.
    name : str
        Of the tomogram.
    record : mapping
        Content of the folder's ``picks.json``.

    Returns
    -------
    str or None
        In a line, why it could not be drawn.
    """
    entry, asked, picture = record["tomograms"][name], record["settings"], picture_of(folder, name)
    options = ReadOptions(asked.get("dataset"), asked.get("axes"))
    try:
        tomogram = io.open_tomogram(
            entry["path"], voxel_size=entry["voxel_size_angstrom"], invert=entry["inverted"], options=options
        )
        if tomogram.name != name or list(tomogram.shape) != entry["shape_zyx"]:
            raise TomoPickerError(f"{entry['path']}: is another tomogram now")
        csv = files_of(folder, name)[1]
        picks = io.read_picks(csv, [tomogram]) if entry["picks"] else Picks.concatenate([])
    except (TomoPickerError, KeyError, TypeError) as error:
        return f"{picture}: removed, for it cannot be drawn again ({error})"
    try:
        pick_figure(tomogram, picks.positions, record["model"]["settings"]["particle_diameter"], picture)
    except Exception as error:  # The picks stand without it.
        return f"{picture}: not drawn ({' '.join(str(error).split()) or type(error).__name__})"
    return None
