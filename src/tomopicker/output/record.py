"""``picks.json``: the model and settings of a folder of picks, and the record of each tomogram.

It is written when a run begins, without tomograms, and when the run ends, with all of them; in between, each tomogram
has a file of its own. Only the process that merges writes it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
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
    """Settings of a run of ``pick``; `project` is the tomograms.star of RELION 5 that lists the tomograms, if any."""

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
    def recorded(self) -> dict[str, Any]:
        """The settings that affect the picks, as in the record."""
        optional = {"dataset": self.reading.dataset, "axes": self.reading.axes, "mask": self.mask}
        return recorded_selection(self.selection) | {
            "min_distance_angstrom": self.min_distance,
            "star_format": self.star_format,
            **{name: value for name, value in optional.items() if value},
        }


def recorded_selection(selection: Selection) -> dict[str, Any]:
    """Return a selection as in the record."""
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
    """Return the head of the record: the model, and the settings that affect the picks."""
    kinds = {
        kind: {
            "particle_diameter": own.settings.particle_diameter,
            "voxel_size_angstrom": own.voxel_size,
            "offset": own.offset,
            "threshold": own.threshold,
        }
        for kind, own in model.kinds.items()
        if model.others
    }
    return {
        "tomopicker": __version__,
        "model": {
            "file": str(model_file.absolute()),
            "sha256": digest(model_file),
            "voxel_size_angstrom": model.voxel_size,
            "offset": model.offset,
            "threshold": model.threshold,
            "warnings": list(model.warnings),
            "settings": model.settings.model_dump(mode="json"),
            **({"kinds": kinds} if kinds else {}),
        },
        "settings": settings.recorded,
    }


def difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Describe how the model or settings of a record differ from those of a job; None if they are equal."""
    if before["model"].get("sha256") != now["model"]["sha256"]:
        return f"another model ({before['model'].get('file')})"
    for name in dict.fromkeys([*now["settings"], *before["settings"]]):
        old, new = before["settings"].get(name), now["settings"].get(name)
        if old != new:
            setting = name.replace("_", "-")
            return f"{setting} {'unset' if old is None else old}, not {'unset' if new is None else new}"
    return None


def read_record(path: Path) -> dict[str, Any]:
    """Read a ``picks.json``.

    Raises `TomoPickerError` if it is not one, or the name of a tomogram in it is not valid in file names.
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
    """Return the name of a tomogram; raise if its files would be in another folder or overwrite the merged ones."""
    if name in {MERGED, IMPORT_LIST, OPTIMISATION_SET}:
        raise TomoPickerError(
            f"{source}: a tomogram called '{name}' cannot be picked: its files would hide the merged ones; rename it"
        )
    return check_file_name(name, source)


def write_record(path: Path, job: dict[str, Any], tomograms: Iterable[tuple[str, dict[str, Any]]] | None) -> None:
    """Write a ``picks.json``, whole or not at all, with a line for each tomogram.

    Parameters
    ----------
    job : dict
        Model and settings; tomograms in it are ignored.
    tomograms : iterable of (str, dict), optional
        Name and record of each when they are merged; None while each has a file of its own.
    """
    head = {name: value for name, value in job.items() if name not in {"tomograms", "merged"}}
    text = json.dumps(head | {"merged": tomograms is not None}, indent=1).removesuffix("\n}")
    entries = ",".join(f"\n  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in tomograms or ())
    write_text(path, f'{text},\n "tomograms": {{{entries}\n }}\n}}\n', durable=True)


def finished(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the records of the finished tomograms, sorted by name."""
    return {name: entry for name, entry in sorted(record["tomograms"].items()) if entry["status"] == DONE}


def recorded_frames(record: Mapping[str, Any]) -> dict[str, Frame]:
    """Return the geometry of each finished tomogram."""
    return {
        name: Frame(tuple(map(int, entry["shape_zyx"])), float(entry["voxel_size_angstrom"]))  # type: ignore[arg-type]
        for name, entry in finished(record).items()
    }


def picked_counts(record: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the number of picks in each finished tomogram: of all kinds under an empty name, and of each one."""
    entries = finished(record)
    kinds = record["model"].get("kinds", {})
    return {"": {name: entry["picks"] for name, entry in entries.items()}} | {
        kind: {name: entry["kinds"][kind]["picks"] for name, entry in entries.items()} for kind in kinds
    }


def identity(path: Path, mask: Path | None, settings: PickSettings) -> dict[str, Any]:
    """Return facts that identify the picked tomogram, without opening it; size and time are None for a missing file."""
    listed = getattr(path, "frame", None)
    try:
        stat = path.stat()
    except OSError:
        stat = None
    return {
        "path": str(path.absolute()),
        "bytes": stat.st_size if stat else None,
        "modified": int(stat.st_mtime) if stat else None,
        "voxel_size_given": settings.reading.voxel_size or (listed.voxel_size if listed else None),
        "inverted": settings.reading.invert,
        "mask": str(mask.absolute()) if mask else None,
    }
