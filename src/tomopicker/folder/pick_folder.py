"""A folder of picks while jobs write to it: what is finished, and how a tomogram is added.

A folder belongs to one model and one set of settings, so that its merged files are never a mixture. Several jobs may
write to it at once: each file is written whole, ``picks.json`` is read and written under a lock, and a tomogram is
claimed by the job that picks it.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import formats
from tomopicker.claims import claimed, holder, locked
from tomopicker.engine.checkpoint import Model
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.folder.layout import RECORD
from tomopicker.folder.merged import is_merged, merge
from tomopicker.folder.one_tomogram import files_of, write_chosen
from tomopicker.folder.record import (
    DONE,
    FAILED,
    check_name,
    difference,
    identity,
    job_of,
    picked_counts,
    read_record,
    recorded_frames,
    write_record,
)
from tomopicker.folder.settings import PickSettings
from tomopicker.geometry import Frame
from tomopicker.tomogram import Tomogram
from tomopicker.workflow.pick import Picked

LOCK = ".lock"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class PickFolder:
    """A folder of picks, as one job sees it; what is finished is read from the folder each time.

    Parameters
    ----------
    path : Path
        The folder; made when the first tomogram is picked.
    settings : PickSettings
        Of this job.
    job : dict
        The model and the settings, as the record states them.
    overwrite : bool
        Whether to pick again what was done before this job began, and to replace what another job left.
    opened : str
        When this job began, in UTC.
    """

    path: Path
    settings: PickSettings
    job: dict[str, Any]
    overwrite: bool
    opened: str = field(default_factory=_now)

    @classmethod
    def open(
        cls, path: Path, model_file: Path, model: Model, settings: PickSettings, *, overwrite: bool
    ) -> "PickFolder":
        """Open a folder for a job.

        Raises
        ------
        UsageError
            If it holds the picks of another job and `overwrite` is False.
        """
        folder = cls(path, settings, job_of(model_file, model, settings), overwrite)
        folder.read()
        return folder

    def read(self) -> dict[str, Any]:
        """Read the record, or begin one.

        Raises
        ------
        TomoPickerError
            If it is damaged, or of another job, and is not to be overwritten.
        """
        file, begun = self.path / RECORD, self.job | {"tomograms": {}, "merged": False}
        if not file.exists():
            return begun
        try:
            record = read_record(file)
        except TomoPickerError:
            if self.overwrite:
                return begun
            raise
        change = difference(record, self.job)
        if change is None:
            return record | self.job
        if self.overwrite:
            return begun
        raise UsageError(
            f"{self.path}: holds picks made with {change}; give another --output, or --overwrite, "
            "or set another threshold for these with 'tomopicker threshold'"
        )

    @property
    def counts(self) -> dict[str, int]:
        """Picks of each finished tomogram, by name, sorted."""
        return picked_counts(self.read())

    @property
    def frames(self) -> dict[str, Frame]:
        """The frame of each finished tomogram."""
        return recorded_frames(self.read())

    def check_name(self, name: str, source: Path) -> None:
        """Refuse a tomogram whose name its files could not have or hold, before it is picked.

        Raises
        ------
        TomoPickerError
            One line that names `source`, the tomogram's file.
        """
        check_name(name, source)
        formats.check_names([name], self.settings.star_format, source)

    def is_done(self, tomogram: Tomogram, mask: Path | None) -> bool:
        """Say whether the picks of a tomogram, as its file is now, are here and whole.

        With `overwrite`, only what was finished since this job began counts: by another one at work in this folder.
        """
        entry = self.read()["tomograms"].get(tomogram.name, {})
        same = all(entry.get(key) == value for key, value in identity(tomogram, mask).items())
        files = [*files_of(self.path, tomogram.name), *self._scores_file(tomogram.name)]
        return _is_valid(entry, self.opened if self.overwrite else "") and same and all(map(Path.exists, files))

    def claimed(self, name: str) -> AbstractContextManager[bool]:
        """Claim a tomogram for a block; it says False if another job picks it."""
        return claimed(self._claim(name))

    def claimed_by(self, name: str) -> str | None:
        """Say which process picks a tomogram, if one does."""
        return holder(self._claim(name))

    def add(self, tomogram: Tomogram, picked: Picked, mask: Path | None, started: float) -> None:
        """Write the files of a tomogram, then the record that says it is done."""
        name, frame = tomogram.name, tomogram.frame
        self._withdraw(name)  # Refuses what another job has begun in the meantime, before a file of it is replaced.
        for file in self._scores_file(name):
            shape, dtype = picked.logits.shape, np.dtype(np.float32)
            formats.write_mrc_sections(file, shape, dtype, picked.score_sections(), picked.working.voxel_size)
        candidates = files_of(self.path, name)[2]
        candidates.parent.mkdir(parents=True, exist_ok=True)
        formats.write_picks(picked.candidates, {name: frame}, candidates, "csv")
        entry = identity(tomogram, mask) | {
            "shape_zyx": list(frame.shape),
            "specimen_fraction": round(picked.working.mask_fraction, 4),
            "seconds": round(time.monotonic() - started, 2),
            "status": DONE,
            "finished": _now(),
            "candidates": len(picked.candidates),
            "count": picked.count and asdict(picked.count),
            "absent": picked.absent,
        }
        written = write_chosen(self.path, name, frame, picked.chosen, self.settings.star_format)
        self._enter({name: entry | written})

    def note_failures(self, failures: Mapping[Path, str]) -> None:
        """Record what failed, unless another job picked it meanwhile; nothing is written while nothing is done."""
        known = self.read()["tomograms"]
        if not failures or not picked_counts(self.read()):
            return
        entries = {
            formats.tomogram_name(file): {
                "path": str(file.absolute()), "status": FAILED, "error": error
            }
            for file, error in failures.items()
        }  # fmt: skip
        self._enter({name: entry for name, entry in entries.items() if not _is_valid(known.get(name, {}), self.opened)})

    def merge(self) -> str | None:
        """Write the merged files, if anything was finished since they were; give what has to be said of it."""
        with locked(self.path / LOCK):
            record = self.read()
            if record["merged"] and is_merged(self.path):
                return None
            remark = merge(self.path, recorded_frames(record), picked_counts(record), self.settings.star_format)
            write_record(self.path / RECORD, record | {"merged": True})
        return remark

    def _withdraw(self, name: str) -> None:
        """Take a tomogram out of the record before its files are replaced: a job killed amid them has not done it."""
        if not (self.path / RECORD).exists():
            return
        with locked(self.path / LOCK):
            record = self.read()
            if self.overwrite or name in record["tomograms"]:
                others = {other: entry for other, entry in record["tomograms"].items() if other != name}
                write_record(self.path / RECORD, record | {"tomograms": others, "merged": False})

    def _enter(self, entries: Mapping[str, Any]) -> None:
        with locked(self.path / LOCK):
            record = self.read()
            tomograms = record["tomograms"] | dict(entries)
            write_record(self.path / RECORD, record | {"tomograms": tomograms, "merged": False})

    def _claim(self, name: str) -> Path:
        return self.path / f".{name}.claim"

    def _scores_file(self, name: str) -> list[Path]:
        return [self.path / f"{name}_scores.mrc"] if self.settings.save_scores else []


def _is_valid(entry: Mapping[str, Any], since: str) -> bool:
    return entry.get("status") == DONE and str(entry.get("finished", "")) >= since
