"""Another program's picks as a method: one file a tomogram, named after it, in any format that `formats` reads."""

from pathlib import Path

import numpy as np

from tomopicker import formats
from tomopicker.benchmark.dataset import OpenDataSet
from tomopicker.errors import UsageError
from tomopicker.folder.find import files_of_picks
from tomopicker.formats.tomogram_names import files_of
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram


def external_picks(folder: Path, data: OpenDataSet) -> dict[str, Picks]:
    """Read the picks of every tomogram of a data set, as they are: no threshold is set here.

    Parameters
    ----------
    folder : Path
        Holds the files, or a folder named after the data set that does. An empty file, or one with a
        header alone, says that nothing was found.
    data : OpenDataSet

    Raises
    ------
    TomoPickerError
        If a tomogram has no file, or several, or one that cannot be read.
    """
    folder = folder / data.name if (folder / data.name).is_dir() else folder
    files = files_of_picks(folder, each=True)
    return {name: _read(_file_of(name, files, folder), tomogram) for name, tomogram in data.tomograms.items()}


def _file_of(name: str, files: list[Path], folder: Path) -> Path:
    fits = files_of(name, files)
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UsageError(f"{folder}: the picks of {name} may be {', '.join(file.name for file in fits[:4])}; keep one")
    raise UsageError(f"{folder}: no file of picks is named after {name}; add one, empty if nothing was found")


def _read(path: Path, tomogram: Tomogram) -> Picks:
    if formats.has_no_picks(path):
        return Picks.of(tomogram.name, np.empty((0, 3)))
    return formats.read_picks(path, {tomogram.name: tomogram.frame})
