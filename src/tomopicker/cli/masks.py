"""Masks: which file is of which tomogram, and what it leaves to pick in."""

from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.types import VoxelMask


def masks_of(mask: Path | None, files: list[Path]) -> dict[Path, Path]:
    """Say which mask belongs to which tomogram.

    Raises
    ------
    UsageError
        If one file is given for several tomograms, or a tomogram has no mask, or several, in the folder.
    """
    from tomopicker import formats
    from tomopicker.formats.names import files_of

    if mask is None:
        return {}
    if not mask.is_dir():
        if len(files) > 1:
            raise UsageError(f"--mask {mask}: is one file for {len(files)} tomograms; give a folder of masks")
        return {files[0]: formats.volume_files(mask)[0]}
    inside, chosen = formats.volume_files(mask), {}
    for file in files:
        fits = files_of(formats.tomogram_name(file), inside)
        if len(fits) != 1:
            what = f"has several masks ({', '.join(fit.name for fit in fits[:4])})" if fits else "has no mask"
            raise UsageError(f"--mask {mask}: {file.name} {what} in it; each tomogram needs one named after it")
        chosen[file] = fits[0]
    return chosen


def read_mask(path: Path) -> "VoxelMask":
    """Read a mask, slab by slab: True where the volume is not 0."""
    import numpy as np

    from tomopicker import formats

    volume = formats.open_tomogram(path, voxel_size=1.0)  # Masks often state none, and none is needed.
    return np.stack([volume.slab(z, z + 1)[0] != 0 for z in range(volume.shape[0])])
