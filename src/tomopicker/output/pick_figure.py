"""Drawing the picks of a results folder again, after another threshold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.io.volumes.arrays import ReadOptions
from tomopicker.output.figures import pick_figure
from tomopicker.output.one_tomogram import file_of_kind, files_of, picture_of
from tomopicker.picks import Picks


def draw_again(folder: Path, name: str, record: Mapping[str, Any], kind: str = "") -> str | None:
    """Draw a tomogram's picks of a results folder once more, if its file is still there.

    Parameters
    ----------
    folder : Path
        Results of ``tomopicker pick``.
    name : str
        Of the tomogram.
    record : mapping
        Content of the folder's ``picks.json``.
    kind : str
        Of particle, where the model picks several.

    Returns
    -------
    str or None
        The reason, one line, if it could not be drawn.
    """
    called = file_of_kind(name, kind)
    entry, settings, picture = record["tomograms"][name], record["settings"], picture_of(folder, called)
    diameter = (record["model"]["kinds"][kind] if kind else record["model"]["settings"])["particle_diameter"]
    if kind:
        entry = entry | entry["kinds"][kind]
    options = ReadOptions(settings.get("dataset"), settings.get("axes"))
    try:
        tomogram = io.open_tomogram(
            entry["path"], voxel_size=entry["voxel_size_angstrom"], invert=entry["inverted"], options=options
        )
        if tomogram.name != name or list(tomogram.shape) != entry["shape_zyx"]:
            raise TomoPickerError(f"{entry['path']}: is another tomogram now")
        csv = files_of(folder, called)[1]
        picks = io.read_picks(csv, [tomogram]) if entry["picks"] else Picks.concatenate([])
    except (TomoPickerError, KeyError, TypeError) as error:
        return f"{picture}: removed, as it cannot be drawn again ({error})"
    try:
        pick_figure(tomogram, picks.positions, diameter, picture)
    except Exception as error:  # The picks do not depend on it.
        return f"{picture}: not drawn ({' '.join(str(error).split()) or type(error).__name__})"
    return None
