"""The folder that ``tomopicker pick`` writes: one job's picks, its record ``picks.json``, and what is finished in it.

A folder belongs to one model and one set of settings, so that its merged files are never a mixture.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tomopicker import __version__, formats
from tomopicker.cli.progress import Reporter
from tomopicker.engine.checkpoint import Model
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.files import write_text
from tomopicker.geometry import Frame
from tomopicker.picking.calibrate import expectation
from tomopicker.picking.cut import Cut
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.workflow.pick import Picked

RECORD, MERGED, IMPORT_LIST, CANDIDATES = "picks.json", "picks", "relion5_import", "candidates"
NOWHERE = np.empty((0, 3))
DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class PickSettings:
    """What was asked for."""

    cut: Cut
    min_distance: float | None
    star_format: str
    save_scores: bool
    voxel_size: float | None
    invert: bool
    device: str | None
    dataset: str | None = None
    axes: str | None = None
    mask: Literal["auto", "none"] | None = None

    @property
    def deciding(self) -> dict[str, Any]:
        """What decides the picks of every tomogram, as the record states it."""
        asked = (("dataset", self.dataset), ("axes", self.axes), ("mask", self.mask))
        return {
            "threshold": self.cut.threshold,
            "target_precision": self.cut.precision,
            "max_particles": self.cut.max_particles,
            "min_distance_angstrom": self.min_distance,
            "star_format": self.star_format,
            **{name: value for name, value in asked if value},
        }


@dataclass
class PickFolder:
    """A folder of picks.

    Parameters
    ----------
    path : Path
        The folder; made when the first file is written.
    settings : PickSettings
        Of this run.
    record : dict
        What ``picks.json`` holds.
    """

    path: Path
    settings: PickSettings
    record: dict[str, Any]

    @classmethod
    def open(
        cls, path: Path, model_file: Path, model: Model, settings: PickSettings, *, overwrite: bool
    ) -> "PickFolder":
        """Open a folder for a job, or make it.

        Raises
        ------
        UsageError
            If it holds the picks of another job and `overwrite` is False.
        """
        job = {
            "tomopicker": __version__,
            "model": {
                "file": str(model_file.absolute()),
                "sha256": _sha256(model_file),
                "voxel_size_angstrom": model.voxel_size,
                "offset": model.offset,
                "threshold": model.threshold,
                "settings": model.settings.model_dump(mode="json"),
            },
            "settings": settings.deciding,
        }
        if (path / RECORD).exists():
            try:
                before = read_record(path / RECORD)
            except TomoPickerError:
                if not overwrite:
                    raise
                before = {}
            change = _difference(before, job)
            if change is None:
                return cls(path, settings, job | {"tomograms": before["tomograms"]})
            if not overwrite:
                raise UsageError(f"{path}: holds picks made with {change}; give another --output, or --overwrite")
        return cls(path, settings, job | {"tomograms": {}})

    @classmethod
    def reopen(cls, path: Path, cut: Cut) -> "PickFolder":
        """Open a finished folder to cut its candidates elsewhere.

        Raises
        ------
        TomoPickerError
            If it holds nothing that was picked.
        """
        record = read_record(path / RECORD)
        before = record["settings"]
        asked = PickSettings(cut, before["min_distance_angstrom"], before["star_format"], False, None, False, None)
        folder = cls(path, asked, record)
        if not folder.has_finished:
            raise TomoPickerError(f"{path}: no tomogram in it is finished; run 'tomopicker pick' first")
        return folder

    @property
    def has_finished(self) -> bool:
        """Whether any tomogram is done."""
        return bool(self.counts)

    @property
    def counts(self) -> dict[str, int]:
        """Picks of each finished tomogram, by name, sorted."""
        entries = sorted(self.record["tomograms"].items())
        return {name: entry["picks"] for name, entry in entries if entry["status"] == DONE}

    @property
    def frames(self) -> dict[str, Frame]:
        """The frame of each finished tomogram."""
        return recorded_frames(self.record)

    def check_name(self, name: str) -> None:
        """Refuse a tomogram whose files would be called as the merged ones."""
        if name in {MERGED, IMPORT_LIST}:
            raise TomoPickerError(f"a tomogram called '{name}' cannot be picked: its files would hide the merged ones")

    def is_done(self, tomogram: Tomogram, mask: Path | None) -> bool:
        """Say whether the picks of a tomogram, as its file is now, are here and whole."""
        entry = self.record["tomograms"].get(tomogram.name, {})
        now = _identity(tomogram, mask)
        same = all(entry.get(key) == value for key, value in now.items())
        return entry.get("status") == DONE and same and all(file.exists() for file in self._files(tomogram.name))

    def add(self, tomogram: Tomogram, picked: Picked, mask: Path | None, started: float) -> None:
        """Write the files of a tomogram, then the record that says it is done."""
        _, _, candidates, *scores = self._files(tomogram.name)
        for file in scores:
            formats.write_mrc(file, picked.scores, picked.working.voxel_size)
        candidates.parent.mkdir(parents=True, exist_ok=True)
        formats.write_picks(picked.candidates, {tomogram.name: tomogram.frame}, candidates, "csv")
        entry = _identity(tomogram, mask) | {
            "shape_zyx": list(tomogram.frame.shape),
            "inside_mask": round(picked.working.share, 4),
            "seconds": round(time.monotonic() - started, 2),
            "status": DONE,
        }
        self._keep(tomogram.name, entry, tomogram.frame, picked.candidates)

    def recut(self) -> None:
        """Cut the lists of candidates of every finished tomogram anew."""
        self.record["settings"] = self.settings.deciding
        for name, frame in self.frames.items():
            file = self._files(name)[2]
            try:
                candidates = formats.read_picks(file, {name: frame}) if self._listed(name) else Picks.of(name, NOWHERE)
            except TomoPickerError as error:
                raise TomoPickerError(f"{error}; 'tomopicker pick --overwrite' writes it again") from error
            self._keep(name, self.record["tomograms"][name], frame, candidates)

    def _listed(self, name: str) -> bool:
        return bool(self.record["tomograms"][name]["candidates"])

    def _keep(self, name: str, entry: dict[str, Any], frame: Frame, candidates: Picks) -> None:
        """Write what the cut keeps of the candidates, and the record."""
        kept, threshold = self.settings.cut.apply(candidates.scores, self.record["model"]["threshold"])
        picks, expected = candidates.select(kept), expectation(candidates.scores, kept)
        star, csv, *_ = self._files(name)
        formats.write_picks(picks, {name: frame}, csv, "csv")
        formats.write_picks(picks, {name: frame}, star, self.settings.star_format)
        self.record["tomograms"][name] = entry | {
            "threshold": threshold,
            "candidates": len(candidates),
            "picks": len(picks),
            "expected": {key: round(value, 4) for key, value in asdict(expected).items()},
        }
        self._write_record()

    def note_failure(self, file: Path, error: Exception) -> None:
        """Record that a tomogram failed; nothing is written while no tomogram is done."""
        entry = {"path": str(file.absolute()), "status": FAILED, "error": " ".join(str(error).split())}
        self.record["tomograms"][formats.tomogram_name(file)] = entry
        if self.has_finished:
            self._write_record()

    def merge(self, reporter: Reporter) -> None:
        """Write the merged files from those of every finished tomogram.

        They are always read back, so that a run in one go and one in pieces give the same files.
        """
        frames = self.frames
        parts = []
        for name, count in self.counts.items():
            file = self.path / f"{name}.csv"
            if count and file.exists():
                parts.append(formats.read_picks(file, {name: frames[name]}))
        merged = Picks.concatenate(parts)
        formats.write_picks(merged, frames, self.path / f"{MERGED}.csv", "csv")
        formats.write_picks(merged, frames, self.path / f"{MERGED}.star", self.settings.star_format)
        if self.settings.star_format == "relion5":
            listed = {name: self.path / f"{name}.star" for name, count in self.counts.items() if count}
            try:
                formats.write_relion5_import_list(listed, self.path / f"{IMPORT_LIST}.star")
            except TomoPickerError as error:
                reporter.warn(str(error))

    def _files(self, name: str) -> list[Path]:
        files = [self.path / f"{name}.star", self.path / f"{name}.csv", self.path / CANDIDATES / f"{name}.csv"]
        return [*files, self.path / f"{name}_scores.mrc"] if self.settings.save_scores else files

    def _write_record(self) -> None:
        write_text(self.path / RECORD, json.dumps(self.record, indent=1, ensure_ascii=False) + "\n")


def read_record(path: Path) -> dict[str, Any]:
    """Read a ``picks.json``.

    Raises
    ------
    TomoPickerError
        If it is not one.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(record[key], dict) for key in ("model", "settings", "tomograms")):
            recorded_frames(record)
            return dict(record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TomoPickerError(f"{path}: is damaged; remove it, or give --overwrite to 'tomopicker pick'") from error
    raise TomoPickerError(f"{path}: is not the record of 'tomopicker pick'; remove it, or choose another folder")


def recorded_frames(record: dict[str, Any]) -> dict[str, Frame]:
    """Give the frame of each tomogram that a record calls done."""
    done = {name: entry for name, entry in record["tomograms"].items() if entry["status"] == DONE}
    return {
        name: Frame(tuple(map(int, entry["shape_zyx"])), float(entry["voxel_size_angstrom"]))  # type: ignore[arg-type]
        for name, entry in done.items()
    }


def _identity(tomogram: Tomogram, mask: Path | None) -> dict[str, Any]:
    """Give what tells whether a tomogram is still the one that was picked in."""
    stat = tomogram.path.stat() if tomogram.path else None
    return {
        "path": str(tomogram.path.absolute()) if tomogram.path else None,
        "bytes": stat.st_size if stat else None,
        "modified": int(stat.st_mtime) if stat else None,
        "voxel_size_angstrom": tomogram.frame.voxel_size,
        "inverted": tomogram.inverted,
        "mask": str(mask.absolute()) if mask else None,
    }


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Say in words how the job that a folder holds differs from this one; None if it does not."""
    if not before:
        return "a damaged record"
    if before["model"].get("sha256") != now["model"]["sha256"]:
        return f"another model ({before['model'].get('file')})"
    for name, value in now["settings"].items():
        if before["settings"].get(name) != value:
            return f"{name.replace('_', '-')} {before['settings'].get(name)}, not {value}"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
