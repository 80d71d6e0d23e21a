"""Cache of features on disk: a file per tomogram, working voxel size and network, identified by content, not by name.

A file is used only if voxels, settings, weights and version are the same and its checksum is right; otherwise features
are computed again. Files are safetensors, written to a temporary name and renamed, so that programs may share a folder.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tomopicker import __version__
from tomopicker.config import Settings
from tomopicker.errors import TomoPickerError
from tomopicker.fewshot.discriminant import Statistics
from tomopicker.fewshot.feature_map import FeatureMap
from tomopicker.fewshot.features import Features
from tomopicker.preprocessing.preprocess import WorkingVolume
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import FEATURES, load_tensors, save_tensors
from tomopicker.training.pretrained import weights_file
from tomopicker.types import VoxelMask

SUFFIX = ".features"
MAX_BYTES = 20e9
"""Maximum size of a folder; the least recently used files are removed."""
READ_BYTES = 2**26
MAPS = ("specimen", "decoy")


def default_folder() -> Path:
    """Return the default cache folder: $TOMOPICKER_CACHE, or the user's cache folder."""
    if named := os.environ.get("TOMOPICKER_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tomopicker"


def fingerprint(
    tomogram: Tomogram, voxel_size: float, settings: Settings, mask: VoxelMask | None, precision: str
) -> str:
    """Compute a digest of everything that determines a tomogram's features: its voxels (not its name) and the settings.

    Parameters
    ----------
    tomogram : Tomogram
        Read completely.
    voxel_size : float
        Å, of the working volume.
    settings : Settings
    mask : VoxelMask, optional
        Mask given by the user.
    precision : str
        Floating-point type of the features.
    """
    digest = hashlib.blake2b(digest_size=20)
    chosen = settings.model_dump(mode="json", include={"preprocess", "network", "inference", "patches", "seed"})
    facts = {
        "version": __version__, "settings": chosen, "working": voxel_size, "precision": precision,
        "weights": _file_digest(weights_file(settings.network)), "shape": list(tomogram.shape),
        "voxel": tomogram.voxel_size, "inverted": tomogram.inverted, "origin": list(tomogram.origin),
        "finest": list(tomogram.frame.shape), "type": str(tomogram.data.dtype),
    }  # fmt: skip
    digest.update(json.dumps(facts, sort_keys=True).encode())
    if mask is not None:
        digest.update(np.packbits(mask).tobytes())
    for block in tomogram.blocks(READ_BYTES):
        digest.update(np.ascontiguousarray(tomogram.data[block]).reshape(-1).data)
    return digest.hexdigest()


def load(folder: Path, key: str, tomogram: Tomogram, settings: Settings) -> Features | None:
    """Read features; None if the file is missing or damaged, or has another fingerprint."""
    path = folder / f"{key}{SUFFIX}"
    if not path.exists():
        return None
    try:
        tensors, facts = load_tensors(path, FEATURES)
        if facts["fingerprint"] != key or facts["digest"] != _digest(tensors):
            return None
        with suppress(OSError):
            path.touch()
        return _from_tensors(tensors, facts, tomogram, settings)
    except (TomoPickerError, KeyError, TypeError, ValueError, RuntimeError):
        return None


def save(folder: Path, key: str, features: Features) -> None:
    """Write features, and remove the least recently used if the folder exceeds `MAX_BYTES`.

    Raises
    ------
    TomoPickerError
        If they cannot be written.
    """
    path = folder / f"{key}{SUFFIX}"
    tensors = _to_tensors(features)
    working = features.working
    facts = {
        "fingerprint": key, "digest": _digest(tensors), "voxel_size": working.voxel_size, "ratio": working.ratio,
        "origin": list(working.origin), "stride": features.specimen.stride, "shrinkage": features.statistics.shrinkage,
        "shapes": {name: list(getattr(features, name).shape) for name in MAPS},
    }  # fmt: skip
    save_tensors(path, FEATURES, tensors, facts)
    _prune(folder, keep=path)


def _to_tensors(features: Features) -> dict[str, Tensor]:
    tensors = {
        "working": torch.from_numpy(features.working.data),
        "mean": torch.from_numpy(features.statistics.mean),
        "covariance": torch.from_numpy(features.statistics.covariance),
        "sample": torch.from_numpy(features.statistics.sample),
    }
    if features.working.mask is not None:
        tensors["mask"] = torch.from_numpy(features.working.mask)
    for name in MAPS:
        part: FeatureMap = getattr(features, name)
        tensors |= {f"{name}.rows": part.rows, f"{name}.where": torch.from_numpy(part.where)}
    return tensors


def _from_tensors(
    tensors: Mapping[str, Tensor], facts: Mapping[str, Any], tomogram: Tomogram, settings: Settings
) -> Features:
    mask = tensors["mask"].numpy() if "mask" in tensors else None
    ox, oy, oz = facts["origin"]
    working = WorkingVolume(tensors["working"].numpy(), facts["voxel_size"], facts["ratio"], mask, (ox, oy, oz))
    maps = []
    for name in MAPS:
        z, y, x = facts["shapes"][name]
        maps.append(FeatureMap(tensors[f"{name}.rows"], tensors[f"{name}.where"].numpy(), (z, y, x), facts["stride"]))
    mean, covariance, sample = (tensors[name].numpy() for name in ("mean", "covariance", "sample"))
    statistics = Statistics(mean, covariance, sample, float(facts["shrinkage"]))
    return Features(tomogram.name, tomogram.frame, settings, working, maps[0], maps[1], statistics)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for name in sorted(tensors):
        values = tensors[name].contiguous()
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}".encode())
        digest.update(values.numpy().reshape(-1).data)
    return digest.hexdigest()


def _file_digest(path: Path | None) -> str:
    if path is None:
        return "none"
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
    except OSError:
        return "unreadable"  # Loading it raises the error.


def _prune(folder: Path, keep: Path) -> None:
    """Remove the least recently used files, tolerating removal by another program."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            stat = path.stat()
            found.append((stat.st_mtime, stat.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= MAX_BYTES:
            break
        if path != keep:
            with suppress(OSError):
                path.unlink()
            total -= size
