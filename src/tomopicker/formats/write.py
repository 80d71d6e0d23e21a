"""Writing picks in any format of the registry."""

from collections.abc import Mapping
from pathlib import Path

from tomopicker.errors import TomoPickerError
from tomopicker.formats.registry import for_output, module_of
from tomopicker.geometry import Frame
from tomopicker.picks import Picks


def write_picks(picks: Picks, frames: Mapping[str, Frame], path: Path | str, format: str | None = None) -> None:
    """Write picks, whole or not at all; no picks make a file with its header and no rows.

    Parameters
    ----------
    picks : Picks
        Positions in Å; columns of `extra` are written after the known ones.
    frames : mapping of str to Frame
        The geometry of each tomogram named in the picks.
    path : Path
        The file.
    format : str, optional
        ``csv``, ``relion5``, ``relion4``, ``relion3`` or ``warp``; by the suffix if left out (RELION 5 for .star).

    Raises
    ------
    UsageError
        If the format is unknown.
    TomoPickerError
        If a tomogram's frame is missing or the file cannot be written.
    """
    path = Path(path)
    entry = for_output(path, format)
    missing = [name for name in picks.tomogram_names if name not in frames]
    if missing:
        raise TomoPickerError(f"{path}: the size and voxel size of tomogram '{missing[0]}' are needed; give its file")
    module_of(str(entry.writer)).write(picks, frames, path)
