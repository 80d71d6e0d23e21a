"""Fingerprints of training runs (settings, voxels, clicks), so that a checkpoint is only resumed by its own run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker.config import Settings
from tomopicker.errors import TomoPickerError
from tomopicker.pu.prior import Priors
from tomopicker.training.labels import LabelledVolume
from tomopicker.types import Volume
from tomopicker.wording import number_of

PARTS, SAMPLES = 8, 512
"""Number of parts per axis, and number of single voxels."""
TOLERANCE = 1e-3
"""Tolerance, in standard deviations: resampling on another machine changes only the last digits."""
MAX_NAMED = 3

Fingerprint = dict[str, Any]


def run_fingerprint(
    training: Sequence[LabelledVolume],
    validation: Sequence[LabelledVolume],
    settings: Settings,
    priors: Priors,
    total: int,
) -> Fingerprint:
    """Describe a training run by everything that determines its outcome, as JSON values."""
    return {
        "settings": settings.model_dump(mode="json", exclude={"inference", "picking"}),
        "tomograms": [_labelled_fingerprint(item) for item in training],
        "validation tomograms": [_labelled_fingerprint(item) for item in validation],
        "steps": total,
        "class priors": repr(priors),
    }


def _labelled_fingerprint(item: LabelledVolume) -> Fingerprint:
    return tomogram_fingerprint(item.name, item.volume) | {
        "clicks": np.round(item.positions, 3).tolist(),
        "negatives": np.round(item.rejected, 3).tolist(),
        "mask": None if item.mask is None else int(item.mask.sum()),
    }


def tomogram_fingerprint(name: str, volume: Volume) -> Fingerprint:
    """Describe a standardised volume by the means of up to 8 × 8 × 8 parts and by single voxels."""
    starts = [np.unique(np.arange(PARTS) * edge // PARTS) for edge in volume.shape]
    sizes = [np.diff([*start, edge]) for start, edge in zip(starts, volume.shape, strict=True)]
    sums = [
        volume[start : start + size].sum(axis=0, dtype=np.float64)
        for start, size in zip(starts[0], sizes[0], strict=True)
    ]
    boxes = np.add.reduceat(np.add.reduceat(np.stack(sums), starts[1], axis=1), starts[2], axis=2)
    means = boxes / (sizes[0][:, None, None] * sizes[1][:, None] * sizes[2])
    at = np.unravel_index(np.random.default_rng(0).integers(0, volume.size, SAMPLES), volume.shape)
    voxels = np.concatenate([means.ravel(), volume[at]])
    return {"name": name, "size": list(volume.shape), "voxels": np.round(voxels, 5).tolist()}


def check_same_run(path: Path, before: Any, now: Fingerprint) -> None:
    """Raise if a checkpoint belongs to another run.

    Raises
    ------
    TomoPickerError
        One line that names the file and what differs.
    """
    if not isinstance(before, dict):
        raise TomoPickerError(f"{path}: has no fingerprint of its run; give --overwrite in place of --resume")
    differences = list(_differences(before, now))
    if differences:
        more = f" and {len(differences) - MAX_NAMED} more" if len(differences) > MAX_NAMED else ""
        raise TomoPickerError(
            f"{path}: belongs to a run with {', '.join(differences[:MAX_NAMED])}{more}; repeat the options of that "
            "run, or give --overwrite in place of --resume to start again"
        )


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield each setting that differs, with both values: ``training.steps 100, not 200``."""
    for name in dict.fromkeys([*now, *before]):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from changed_settings(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name} {'unset' if old is None else old}, not {'unset' if new is None else new}"


def _differences(before: Fingerprint, now: Fingerprint) -> Iterator[str]:
    yield from changed_settings(before.get("settings", {}), now["settings"])
    differing: list[str] = []
    for kind in ("tomogram", "validation tomogram"):
        old, new = before.get(f"{kind}s", []), now.get(f"{kind}s", [])
        if len(old) != len(new):
            yield f"{number_of(len(old), kind)}, not {len(new)}"
            return
        differing += (difference for pair in zip(old, new, strict=True) for difference in _of_tomogram(*pair))
    yield from differing
    if not differing:
        priors = "class priors"
        yield from changed_settings({priors: before.get(priors)}, {priors: now.get(priors)})


def _of_tomogram(before: Fingerprint, now: Fingerprint) -> Iterator[str]:
    name = now["name"] or "a tomogram"
    if before.get("size") != now["size"]:
        yield f"another size of {name}"
    elif not np.allclose(before["voxels"], now["voxels"], rtol=0, atol=TOLERANCE, equal_nan=True):
        yield f"other voxels in {name}"
    for part, text in {
        "clicks": "other clicks in",
        "negatives": "other negatives in",
        "mask": "another mask of",
    }.items():
        if before.get(part) != now.get(part):
            yield f"{text} {name}"
