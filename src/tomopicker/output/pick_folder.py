"""A folder of picks during a run: which tomograms are finished, and adding one.

A folder belongs to one model and one set of settings, so that its merged files are never a mixture. Several processes
may add tomograms at once, each writing that tomogram's files and its record; one process, which began the run, merges.
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
    kind_counts,
    picked_counts,
    read_record,
    recorded_frames,
    write_record,
)
from tomopicker.pipeline.picked import Picked
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model


def _count_facts(picked: Picked) -> dict[str, Any]:
    """Facts of a list of candidates for the record, independent of the selection."""
    return {
        "candidates": len(picked.candidates),
        "count": picked.count and asdict(picked.count),
        "absent": picked.absent,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class PickFolder:
    """A folder of picks, as one run sees it; what is finished is read from the folder each time.

    Parameters
    ----------
    path : Path
        The folder; made when the run begins.
    settings : PickSettings
        Of this run.
    job : dict
        The model and the settings, as the record states them.
    overwrite : bool
        Whether to pick again what was done before this run began, and to replace what another run left.
    opened : str
        When this run began, in UTC.
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

        Raises `UsageError` if it holds the picks of another run and `overwrite` is False.
        """
        folder = cls(path, settings, job_of(model_file, model, settings), overwrite)
        folder.read()
        return folder

    def read(self) -> dict[str, Any]:
        """Read the record, or begin one.

        Raises `TomoPickerError` if it is damaged, or of another run, and is not to be overwritten.
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

    def begin(self) -> None:
        """Write a record without tomograms: until `merge`, those of the tomograms count. Others' are removed."""
        record = self.read()
        if not record["tomograms"]:
            shutil.rmtree(self.path / layout.RECORDS, ignore_errors=True)
        (self.path / layout.RECORDS).mkdir(parents=True, exist_ok=True)
        write_record(self.path / RECORD, self.job, None)

    @property
    def counts(self) -> dict[str, int]:
        """Picks of each finished tomogram, by name, sorted."""
        return picked_counts(self.read())

    def check_name(self, name: str, source: Path) -> None:
        """Refuse a tomogram whose name its files could not have or hold, before it is picked.

        Raises `TomoPickerError`: one line that names `source`, the tomogram's file.
        """
        check_name(name, source)
        for kind in self.kinds:
            if name.endswith(file_of_kind("", kind)):
                raise TomoPickerError(
                    f"{source}: files of a tomogram called '{name}' would hide those of {kind} in another; rename it"
                )
        io.check_names([name], self.settings.star_format, source)

    def is_done(self, name: str, file: Path, mask: Path | None) -> bool:
        """Whether the picks of a tomogram, as its file is now, are complete.

        With `overwrite`, only tomograms finished since this run began count, such as by a worker that died afterwards.
        """
        return self._entry(name, file, mask).get("status") == DONE and all(map(Path.exists, self._files(name)))

    def failed_before(self, name: str, file: Path, mask: Path | None) -> str | None:
        """Return why a tomogram failed, if it did for what is in its file, and the file has not changed since."""
        entry = self._entry(name, file, mask)
        is_final = entry.get("status") == FAILED and entry.get("final") and entry.get("tomopicker") == __version__
        return str(entry["error"]) if is_final else None

    def add(self, file: Path, tomogram: Tomogram, picked: Picked, mask: Path | None, started: float) -> dict[str, Any]:
        """Write the files of a tomogram, then its record as done; return the record."""
        name, frame = tomogram.name, tomogram.frame
        layout.remove_entry(self.path, name)
        for kind, each in (picked.kinds or {"": picked}).items():
            for target in self._scores_file(file_of_kind(name, kind)):
                shape, dtype = each.logits.shape, np.dtype(np.float32)
                io.write_mrc_sections(target, shape, dtype, each.score_sections(), each.working.voxel_size)
        candidates = files_of(self.path, name)[2]
        io.write_picks(picked.candidates, {name: frame}, candidates, "csv")
        kinds = {kind: each.selected for kind, each in picked.kinds.items()}
        written = layout.write_chosen(self.path, name, frame, picked.selected, self.settings.star_format, kinds)
        for kind, each in picked.kinds.items():
            written["kinds"][kind] |= _count_facts(each)
        entry = identity(file, mask, self.settings) | {
            "voxel_size_angstrom": frame.voxel_size,
            "shape_zyx": list(frame.shape),
            "specimen_fraction": round(picked.working.mask_fraction, 4),
            "seconds": round(time.monotonic() - started, 2),
            "status": DONE,
            "finished": _now(),
            **_count_facts(picked),
            "score_median": round(float(np.median(picked.picks.scores)), 4) if len(picked.picks) else None,
            **written,
        }
        make_durable(self._files(name))
        layout.write_entry(self.path, name, entry)
        return entry

    def add_failure(self, name: str, file: Path, mask: Path | None, error: str, *, final: bool) -> None:
        """Record that a tomogram failed.

        Parameters
        ----------
        name : str
            Of the tomogram.
        error : str
            The reason, one line.
        final : bool
            Whether it would fail again: it is not tried again until its file changes.
        """
        entry = identity(file, mask, self.settings) | {
            "tomopicker": __version__,
            "status": FAILED,
            "error": error,
            "final": final,
            "finished": _now(),
        }
        layout.write_entry(self.path, name, entry)

    def merge(self) -> str | None:
        """Write the merged files and the record of all tomograms; return a remark on them, if any."""
        record = self.read()
        if record["merged"] and is_merged(self.path):
            return None
        counts, project = picked_counts(record), self.settings.project
        frames, kinds = recorded_frames(record), kind_counts(record)
        remark = merge(self.path, frames, counts, self.settings.star_format, project, kinds) if counts else None
        write_record(self.path / RECORD, self.job, layout.read_entries(self.path))
        return remark

    @property
    def kinds(self) -> list[str]:
        """The kinds of particle that the model picks, if they are several."""
        return list(self.job["model"].get("kinds", {}))

    def _entry(self, name: str, file: Path, mask: Path | None) -> dict[str, Any]:
        """Read the record of a tomogram; empty where it is of another file or mask, or is to be overwritten."""
        entry = layout.read_entry(self.path, name)
        same = all(entry.get(key) == value for key, value in identity(file, mask, self.settings).items())
        return entry if same and not (self.overwrite and str(entry.get("finished", "")) < self.opened) else {}

    def _files(self, name: str) -> list[Path]:
        files = [*files_of(self.path, name)]
        for kind in self.kinds or [""]:
            called = file_of_kind(name, kind)
            files += [*files_of(self.path, called)[:2], *self._scores_file(called)]
        return list(dict.fromkeys(files))

    def _scores_file(self, name: str) -> list[Path]:
        return [self.path / f"{name}_scores.mrc"] if self.settings.save_scores else []
