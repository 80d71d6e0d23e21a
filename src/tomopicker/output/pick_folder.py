"""A folder of picks during a run: which tomograms are finished, and adding one.

A folder belongs to one model and one set of settings, so that its merged files are consistent. Several processes may
add tomograms at once, each writing the files and the record of its tomogram; the process that began the run merges.
"""

import shutil
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tomopicker import __version__, io
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.files import make_durable
from tomopicker.output import layout
from tomopicker.output.layout import DONE, FAILED, RECORD, file_of_kind, files_of
from tomopicker.output.merged import is_merged, merge
from tomopicker.output.record import (
    PickSettings,
    check_name,
    difference,
    identity,
    job_of,
    picked_counts,
    read_record,
    recorded_frames,
    write_record,
)
from tomopicker.pipeline.picked import Picked
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model


def _recorded_count(picked: Picked) -> dict[str, Any]:
    """Return the entries of the record on counts, which do not depend on the selection."""
    return {
        "candidates": len(picked.candidates),
        "count": picked.count and asdict(picked.count),
        "absent": picked.absent,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class TomogramFile:
    """The file of a tomogram, and that of its mask."""

    path: Path
    mask: Path | None = None

    @property
    def name(self) -> str:
        """Name of the tomogram."""
        return io.tomogram_name(self.path)


@dataclass(frozen=True)
class PickFolder:
    """A folder of picks in one run. What is finished is read from the folder each time.

    Parameters
    ----------
    path : Path
        Created when the run begins.
    settings : PickSettings
        Settings of this run.
    job : dict
        Head of the record: see `job_of`.
    overwrite : bool
        Replace picks of other models or settings, and those finished before this run began.
    opened : str
        Start of this run, UTC.
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
        """Open a folder for a run.

        Raises `UsageError` if it holds picks of another model or settings, unless `overwrite`.
        """
        folder = cls(path, settings, job_of(model_file, model, settings), overwrite)
        folder.read()
        return folder

    def read(self) -> dict[str, Any]:
        """Return the record, empty if there is none.

        Raises `TomoPickerError` if it is damaged or of another model or settings, unless `overwrite`.
        """
        file, empty = self.path / RECORD, self.job | {"tomograms": {}, "merged": False}
        try:
            record = read_record(file) if file.exists() else empty
        except TomoPickerError:
            if self.overwrite:
                return empty
            raise
        change = difference(record, self.job)
        if change is None:
            return record | self.job
        if self.overwrite:
            return empty
        raise UsageError(
            f"{self.path}: holds picks made with {change}; give another --output, or --overwrite, "
            "or set another threshold for these with 'tomopicker threshold'"
        )

    def begin(self) -> None:
        """Write a record without tomograms, each of which has a file until `merge`, and remove files of other runs."""
        record = self.read()
        if not record["tomograms"]:
            shutil.rmtree(self.path / layout.RECORDS, ignore_errors=True)
        (self.path / layout.RECORDS).mkdir(parents=True, exist_ok=True)
        write_record(self.path / RECORD, self.job, None)

    @property
    def counts(self) -> dict[str, int]:
        """Number of picks in each finished tomogram, sorted by name."""
        return picked_counts(self.read())[""]

    def check_name(self, file: TomogramFile) -> None:
        """Raise `TomoPickerError` if the name of a tomogram is not valid in its files."""
        name, source = check_name(file.name, file.path), file.path
        for kind in self.kinds:
            if name.endswith(file_of_kind("", kind)):
                raise TomoPickerError(
                    f"{source}: files of a tomogram called '{name}' would hide those of {kind} in another; rename it"
                )
        io.check_names([name], self.settings.star_format, source)

    def is_done(self, file: TomogramFile) -> bool:
        """Return True if all files of a tomogram are written, and its own file has not changed since.

        With `overwrite`, only tomograms finished since this run began count, such as by a worker that died afterwards.
        """
        return self._entry(file).get("status") == DONE and all(map(Path.exists, self._files(file.name)))

    def failed_before(self, file: TomogramFile) -> str | None:
        """Return why a tomogram failed, if it would fail again: its file and the program are unchanged."""
        entry = self._entry(file)
        is_final = entry.get("status") == FAILED and entry.get("final") and entry.get("tomopicker") == __version__
        return str(entry["error"]) if is_final else None

    def add(self, file: TomogramFile, tomogram: Tomogram, picked: Picked, started: float) -> dict[str, Any]:
        """Write the files of a tomogram, then its record as done; return the record."""
        name, frame = tomogram.name, tomogram.frame
        layout.remove_entry(self.path, name)
        for kind, own in (picked.kinds or {"": picked}).items():
            for target in self._scores_file(file_of_kind(name, kind)):
                shape, dtype = own.logits.shape, np.dtype(np.float32)
                io.write_mrc_sections(target, shape, dtype, own.score_sections(), own.working.voxel_size)
        io.write_picks(picked.candidates, {name: frame}, files_of(self.path, name)[2], "csv")
        kinds = {kind: own.selected for kind, own in picked.kinds.items()}
        written = layout.write_selected(self.path, name, frame, picked.selected, self.settings.star_format, kinds)
        for kind, own in picked.kinds.items():
            written["kinds"][kind] |= _recorded_count(own)
        entry = identity(file.path, file.mask, self.settings) | {
            "voxel_size_angstrom": frame.voxel_size,
            "shape_zyx": list(frame.shape),
            "specimen_fraction": round(picked.working.mask_fraction, 4),
            "seconds": round(time.monotonic() - started, 2),
            "status": DONE,
            "finished": _now(),
            **_recorded_count(picked),
            "score_median": round(float(np.median(picked.picks.scores)), 4) if len(picked.picks) else None,
            **written,
        }
        make_durable(self._files(name))
        layout.write_entry(self.path, name, entry)
        return entry

    def add_failure(self, file: TomogramFile, error: str, *, final: bool) -> None:
        """Record why a tomogram failed, in one line; after a final failure it is not retried until its file changes."""
        entry = identity(file.path, file.mask, self.settings) | {
            "tomopicker": __version__,
            "status": FAILED,
            "error": error,
            "final": final,
            "finished": _now(),
        }
        layout.write_entry(self.path, file.name, entry)

    def merge(self) -> str | None:
        """Write the merged files and the record of all tomograms; return a remark on them, if any."""
        record = self.read()
        if record["merged"] and is_merged(self.path):
            return None
        frames, settings = recorded_frames(record), self.settings
        remark = None
        if frames:
            remark = merge(self.path, frames, picked_counts(record), settings.star_format, settings.project)
        write_record(self.path / RECORD, self.job, layout.read_entries(self.path))
        return remark

    @property
    def kinds(self) -> list[str]:
        """Kinds of particle, if there are several."""
        return list(self.job["model"].get("kinds", {}))

    def _entry(self, file: TomogramFile) -> dict[str, Any]:
        """Return the record of a tomogram; empty if it is of another file or mask, or is to be overwritten."""
        entry = layout.read_entry(self.path, file.name)
        is_same = all(entry.get(key) == value for key, value in identity(file.path, file.mask, self.settings).items())
        is_old = self.overwrite and str(entry.get("finished", "")) < self.opened
        return entry if is_same and not is_old else {}

    def _files(self, name: str) -> list[Path]:
        files = [*files_of(self.path, name)]
        for stem in (file_of_kind(name, kind) for kind in self.kinds or [""]):
            files += [*files_of(self.path, stem)[:2], *self._scores_file(stem)]
        return list(dict.fromkeys(files))

    def _scores_file(self, name: str) -> list[Path]:
        return [self.path / f"{name}_scores.mrc"] if self.settings.save_scores else []
