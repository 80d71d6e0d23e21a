"""Features of tomograms, computed or read from the cache."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from tomopicker.config import Settings, resolve
from tomopicker.errors import TomoPickerError
from tomopicker.fewshot import cache as feature_cache
from tomopicker.fewshot.features import Features, features_of
from tomopicker.inference.tiles import Progress
from tomopicker.io.masks import Masks, read_mask
from tomopicker.models.precision import choose_device, uses_bfloat16
from tomopicker.pipeline.callbacks import Callback, NullCallback
from tomopicker.pipeline.input_checks import check_voxel_size
from tomopicker.pipeline.training_data import common_voxel_size
from tomopicker.preprocessing.preprocess import working_volume, working_voxel_size
from tomopicker.tomogram import Tomogram
from tomopicker.types import VoxelMask


def features(
    tomogram: Tomogram,
    particle_diameter: float,
    *,
    cache: Path | str | None = None,
    device: str | None = "auto",
    progress: Progress | None = None,
    mask: VoxelMask | Literal["auto", "none"] = "auto",
    voxel_size: float | None = None,
    settings: Settings | None = None,
    callback: Callback | None = None,
) -> Features:
    """Compute the features of a tomogram, from which clicks give picks in less than a second.

    Parameters
    ----------
    tomogram : Tomogram
    particle_diameter : float
        Å.
    cache : Path or str, optional
        Folder of cached features; $TOMOPICKER_CACHE or the user's cache folder if left out.
    device : str, optional
        ``cpu``, ``cuda`` or ``mps``; the best available with ``auto``.
    progress : callable, optional
        Called with the number of finished tiles and of all tiles; not called for cached features.
    mask : VoxelMask or {"auto", "none"}
        Specimen mask of the tomogram's shape; ``auto`` detects the lamella, ``none`` uses the whole volume.
    voxel_size : float, optional
        Å, of the working volume; derived from the particle diameter if left out. Features used together must share it.
    settings : Settings, optional
        The preset ``instant`` if left out; `particle_diameter` takes precedence.
    callback : Callback, optional
        Receives a warning if features cannot be cached.

    Returns
    -------
    Features

    Raises
    ------
    TomoPickerError
        If the tomogram contains NaN, is constant or too coarse, or the mask has another shape.
    """
    callback = callback or NullCallback()
    if settings is None:
        settings = resolve({"preset": "instant", "particle_diameter": float(particle_diameter)})
    elif settings.particle_diameter != particle_diameter:
        settings = settings.model_copy(update={"particle_diameter": float(particle_diameter)})
    mode: Literal["auto", "none"] = mask if isinstance(mask, str) else "none"
    settings = settings.model_copy(update={"preprocess": settings.preprocess.model_copy(update={"mask": mode})})
    if voxel_size is None:
        voxel_size = working_voxel_size(tomogram.voxel_size, particle_diameter, settings.preprocess.working_diameter)
    check_voxel_size(tomogram, voxel_size, particle_diameter)
    chosen, folder = choose_device(device), Path(cache or feature_cache.default_folder())
    array = None if isinstance(mask, str) else mask
    arithmetic = "bfloat16" if uses_bfloat16(settings.precision, chosen) else "float32"
    key = feature_cache.fingerprint(tomogram, voxel_size, settings, array, arithmetic)
    if (cached := feature_cache.load(folder, key, tomogram, settings)) is not None:
        return cached
    working = working_volume(tomogram, voxel_size, settings.preprocess, array)
    computed = features_of(tomogram.name, tomogram.frame, working, settings, chosen, progress)
    try:
        feature_cache.save(folder, key, computed)
    except TomoPickerError as error:
        callback.warn(f"features of {tomogram.name} are not cached: {error}")
    return computed


def features_at_common_scale(
    tomograms: Sequence[Tomogram],
    particle_diameter: float,
    *,
    masks: Masks,
    cache: Path | None,
    device: str | None,
    callback: Callback,
) -> list[Features]:
    """Compute the features of several tomograms at one working voxel size, that of the finest of them.

    Parameters
    ----------
    masks : Masks
        From ``--mask``; the lamella is detected if it specifies nothing.
    particle_diameter, cache, device, callback
        As for `features`.

    Raises
    ------
    TomoPickerError
        As `features`.
    """
    voxel_size = common_voxel_size(tomograms, resolve({"preset": "instant", "particle_diameter": particle_diameter}))
    computed = []
    for tomogram in tomograms:
        mask = masks.files.get(tomogram.path) if tomogram.path else None
        computed.append(
            features(
                tomogram,
                particle_diameter,
                cache=cache,
                device=device,
                progress=partial(callback.on_score, tomogram.name),
                mask=read_mask(mask) if mask else masks.mode or "auto",
                voxel_size=voxel_size,
                callback=callback,
            )
        )
    return computed
