"""``picks.json``: the model and settings of a folder of picks, and the outcome of each tomogram.

It is written when a run begins, without tomograms, and when the run ends, with all of them; in between the records of
the tomograms count. Only the process that merges writes it.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tomopicker import __version__
from tomopicker.errors import TomoPickerError
from tomopicker.files import write_text
from tomopicker.geometry import Frame
from tomopicker.io.read_options import ReadOptions
from tomopicker.io.tomogram_names import check_file_name
from tomopicker.output.layout import DONE, IMPORT_LIST, MERGED, OPTIMISATION_SET, read_entries
from tomopicker.picking.selection import Selection

if TYPE_CHECKING:  # torch, behind it, is slow to import.
    from tomopicker.training.checkpoint import Model


@dataclass(frozen=True)
class PickSettings:
    """Settings of a run of pick; `project` is the tomograms.star of RELION 5 that lists the tomograms, if one does."""

    selection: Selection
    min_distance: float | None
    star_format: str
    save_scores: bool
    reading: ReadOptions
    device: str | None
    mask: Literal["auto", "none"] | None = None
    pictures: bool = True
    project: Path | None = None

    @property
    def deciding(self) -> dict[str, Any]:
        """The settings that decide the picks, as the record states them."""
        given = (("dataset", self.reading.dataset), ("axes", self.reading.axes), ("mask", self.mask))
        return selection_facts(self.selection) | {
            "min_distance_angstrom": self.min_distance,
            "star_format": self.star_format,
            **{name: value for name, value in given if value},
        }


def selection_facts(selection: Selection) -> dict[str, Any]:
    """Return the selection, as the record states it."""
    return {
        "threshold": selection.threshold,
        "target_precision": selection.precision,
        "max_particles": selection.max_particles,
    }


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def job_of(model_file: Path, model: "Model", settings: PickSettings) -> dict[str, Any]:
    """Describe what a folder belongs to: one model, and the settings that decide its picks."""
    sha256 = digest(model_file)
    kinds = {
        kind: {
            "particle_diameter": each.settings.particle_diameter,
            "voxel_size_angstrom": each.voxel_size,
            "offset": each.offset,
            "threshold": each.threshold,
        }
        for kind, each in model.kinds.items()
        if model.others
    }
    return {
        "tomopicker": __version__,
        "model": {
            "file": str(model_file.absolute()),
            "sha256": sha256,
            "voxel_size_angstrom": model.voxel_size,
            "offset": model.offset,
            "threshold": model.threshold,
            "warnings": list(model.warnings),
            "settings": model.settings.model_dump(mode="json"),
            **({"kinds": kinds} if kinds else {}),
        },
        "settings": settings.deciding,
    }


def difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Describe how the job of a record differs from this one; None if it does not."""
    if before["model"].get("sha256") != now["model"]["sha256"]:
        return f"another model ({before['model'].get('file')})"
    for name in dict.fromkeys([*now["settings"], *before["settings"]]):
        old, new = before["settings"].get(name), now["settings"].get(name)
        if old != new:
            words = name.replace("_", "-")
            return f"{words} {'unset' if old is None else old}, not {'unset' if new is None else new}"
    return None


def read_record(path: Path) -> dict[str, Any]:
    """Read a ``picks.json``.

    Raises `TomoPickerError` if it is not one, or files cannot be called after a tomogram in it.
    """
    if not path.exists():
        raise TomoPickerError(
            f"{path.parent}: no {path.name} in this folder, so no picks; give the folder that 'tomopicker pick' wrote"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not record["merged"]:  # A run in progress, or killed.
            record["tomograms"] = dict(read_entries(path.parent))
        if all(isinstance(record[key], dict) for key in ("model", "settings", "tomograms")):
            for name in recorded_frames(record):
                check_name(name, path)
            return dict(record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TomoPickerError(f"{path}: is damaged; remove it, or give --overwrite to 'tomopicker pick'") from error
    raise TomoPickerError(f"{path}: is not the record of 'tomopicker pick'; remove it, or choose another folder")


def check_name(name: str, source: Path) -> str:
    """Refuse the name of a tomogram whose files would lie in another folder or overwrite the merged ones; return it."""
    if name in {MERGED, IMPORT_LIST, OPTIMISATION_SET}:
        raise TomoPickerError(
            f"{source}: a tomogram called '{name}' cannot be picked: its files would hide the merged ones; rename it"
        )
    return check_file_name(name, source)


def write_record(path: Path, job: dict[str, Any], tomograms: Iterable[tuple[str, dict[str, Any]]] | None) -> None:
    """Write a ``picks.json``, whole or not at all, a line a tomogram.

    Parameters
    ----------
    job : dict
        The model and the settings; what it has of tomograms is left out.
    tomograms : iterable of (str, dict), optional
        The record of each, when they are merged; None while the records in the folder count.
    """
    head = {name: value for name, value in job.items() if name not in {"tomograms", "merged"}}
    text = json.dumps(head | {"merged": tomograms is not None}, indent=1).removesuffix("\n}")
    entries = ",".join(f"\n  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in tomograms or ())
    write_text(path, f'{text},\n "tomograms": {{{entries}\n }}\n}}\n', durable=True)


def finished(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a record states of each tomogram that it calls done."""
    return {name: entry for name, entry in record["tomograms"].items() if entry["status"] == DONE}


def recorded_frames(record: dict[str, Any]) -> dict[str, Frame]:
    """Return the frame of each tomogram that a record calls done."""
    return {
        name: Frame(tuple(map(int, entry["shape_zyx"])), float(entry["voxel_size_angstrom"]))  # type: ignore[arg-type]
        for name, entry in finished(record).items()
    }


def identity(path: Path, mask: Path | None, settings: PickSettings) -> dict[str, Any]:
    """Return facts that identify the picked tomogram, without opening it."""
    listed = getattr(path, "frame", None)
    return identity_of_file(path) | {
        "voxel_size_given": settings.reading.voxel_size or (listed.voxel_size if listed else None),
        "inverted": settings.reading.invert,
        "mask": str(mask.absolute()) if mask else None,
    }


def identity_of_file(path: Path | None) -> dict[str, Any]:
    """Return path, size and time of a file; no size or time if it is missing."""
    try:
        stat = path.stat() if path else None
    except OSError:
        stat = None
    return {
        "path": str(path.absolute()) if path else None,
        "bytes": stat.st_size if stat else None,
        "modified": int(stat.st_mtime) if stat else None,
    }


def picked_counts(record: dict[str, Any]) -> dict[str, int]:
    """Return the number of picks of each tomogram that a record calls done, sorted by name."""
    return {name: entry["picks"] for name, entry in sorted(finished(record).items())}


def kind_counts(record: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Count the picks of each kind in each finished tomogram; empty unless there are several kinds."""
    entries = sorted(finished(record).items())
    return {
        kind: {name: entry["kinds"][kind]["picks"] for name, entry in entries}
        for kind in record["model"].get("kinds", {})
    }
