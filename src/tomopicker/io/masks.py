"""``--mask``: detect the lamella, use the whole volume, or read mask files, one per tomogram."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.io.tomogram_names import files_of, tomogram_name
from tomopicker.io.volumes.open import open_tomogram, volume_files
from tomopicker.tomogram import Tomogram
from tomopicker.types import VoxelMask

SLAB_BYTES = 32 * 2**20
Mode = Literal["auto", "none"]
MODES: dict[str, Mode] = {"auto": "auto", "none": "none"}


@dataclass(frozen=True)
class Masks:
    """Mode of lamella detection, or mask files by tomogram file; the settings decide if neither is given."""

    mode: Mode | None = None
    files: dict[Path, Path] = field(default_factory=dict)


def masks_for(option: str | None, tomograms: Sequence[Path]) -> Masks:
    """Interpret ``--mask``.

    Raises `TomoPickerError` if the file is missing, or a tomogram has no mask or several.
    """
    if option is None or option in MODES:
        return Masks(mode=MODES.get(option or ""))
    return Masks(files=_mask_files(Path(option), tomograms))


def masks_of(option: str | None, tomograms: Sequence[Tomogram]) -> dict[str, VoxelMask]:
    """Read the masks of opened tomograms, by the tomogram's name; empty if ``--mask`` names no file."""
    files = masks_for(option, [tomogram.path for tomogram in tomograms if tomogram.path]).files
    return {tomogram.name: read_mask(files[tomogram.path]) for tomogram in tomograms if tomogram.path in files}


def read_mask(path: Path) -> VoxelMask:
    """Read a mask, slab by slab: True where the volume is not 0."""
    volume = open_tomogram(path, voxel_size=1.0)  # Headers of masks often lack it, and it is not needed.
    mask = np.empty(volume.shape, dtype=bool)
    for block in volume.blocks(SLAB_BYTES):
        mask[block] = volume.part(*block) != 0
    return mask


def _mask_files(mask: Path, tomograms: Sequence[Path]) -> dict[Path, Path]:
    if not mask.is_dir():
        if len(tomograms) > 1:
            raise UsageError(f"--mask {mask}: is one file for {len(tomograms)} tomograms; give a folder of masks")
        try:
            return {tomograms[0]: volume_files(mask)[0]}
        except TomoPickerError as error:
            raise TomoPickerError(f"--mask {error} (or --mask auto, or none)") from error
    candidates, chosen = volume_files(mask), {}
    for tomogram in tomograms:
        fits = files_of(tomogram_name(tomogram), candidates)
        if len(fits) != 1:
            problem = f"has several masks ({', '.join(fit.name for fit in fits[:4])})" if fits else "has no mask"
            raise UsageError(f"--mask {mask}: {tomogram.name} {problem} in it; each tomogram needs one named after it")
        chosen[tomogram] = fits[0]
    return chosen
