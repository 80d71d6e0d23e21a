"""Picking as a job that is mapped over tomograms."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from tomopicker.cluster.memory import memory_to_pick
from tomopicker.cluster.pick_tomogram import TomogramFile, pick_tomogram
from tomopicker.cluster.work import Item, Outcome, is_disk_full, is_of_the_machine
from tomopicker.errors import TomoPickerError, failure_line
from tomopicker.geometry import Frame
from tomopicker.io.tomogram_names import NamedFile
from tomopicker.output.pick_folder import PickFolder
from tomopicker.pipeline.callbacks import Callback, WarningRecorder
from tomopicker.training.checkpoint import Model, load_model


@dataclass(frozen=True)
class PickArgument:
    """A tomogram's file as it travels: a `NamedFile` loses its name on the way."""

    path: str
    name: str
    frame: Frame | None
    mask: str | None

    @property
    def file(self) -> TomogramFile:
        """The file, named again."""
        path = NamedFile(self.path).named(self.name, self.frame)
        return TomogramFile(path, None if self.mask is None else Path(self.mask))


@dataclass(frozen=True)
class PickWork:
    """Pick each tomogram into a folder that has begun.

    Parameters
    ----------
    results : PickFolder
    model_file : Path
    loaded : Model, optional
        The model, where it is at hand in this process; read from the file elsewhere.
    """

    results: PickFolder
    model_file: Path
    loaded: Model | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """Where the picks go."""
        return self.results.path

    def prepare(self) -> Model:
        """Load the model."""
        return self.loaded or load_model(self.model_file)

    def run(self, prepared: Model, item: Item, callback: Callback) -> Outcome:
        """Pick one tomogram, unless a worker that died before it could say so has done it."""
        noted = WarningRecorder(callback)
        file: TomogramFile = item.argument.file
        outcome = self._run(prepared, item.name, file, noted)
        if outcome.status == "failed":
            _free_memory()  # Only here: the exception held the volumes of the frames that it went through.
        return outcome

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate what a worker needs, from the largest tomogram and the voxels that the model works at."""
        return memory_to_pick(max(items, key=lambda item: item.size).argument.file.path, self.results)

    def give_up(self, item: Item, reason: str) -> None:
        """Record that a tomogram is left."""
        file: TomogramFile = item.argument.file
        self.results.add_failure(item.name, file.path, file.mask, reason, final=True)

    def _run(self, model: Model, name: str, file: TomogramFile, noted: WarningRecorder) -> Outcome:
        try:
            if self.results.is_done(name, file.path, file.mask):
                return Outcome("skipped", f"{name}: done already.")
            line = pick_tomogram(file, model, self.results, noted)
        except Exception as error:  # Whatever one tomogram does, the others are picked.
            if is_disk_full(error):
                raise
            line, elsewhere = failure_line(error, file.path), is_of_the_machine(error)
            final = isinstance(error, TomoPickerError) and not elsewhere
            self.results.add_failure(name, file.path, file.mask, line, final=final)
            return Outcome("failed", line, noted.warnings, elsewhere=elsewhere)
        return Outcome("done", line, noted.warnings)


def item_of(path: Path, name: str, mask: Path | None) -> Item:
    """Make an item of a tomogram's file; of a folder, such as OME-Zarr, the size is that of its files."""
    stated = path.frame if isinstance(path, NamedFile) else None
    full = str(path.absolute())
    return Item(name, bytes_of(path), PickArgument(full, name, stated, None if mask is None else str(mask.absolute())))


def bytes_of(path: Path) -> int:
    """Give the size of a file, or of what is in a folder; 0 if it cannot be told."""
    try:
        files: Sequence[Path] = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0


def _free_memory() -> None:
    """Give back what a tomogram that failed held, on the GPU too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
