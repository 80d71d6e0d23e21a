"""Picking as a job that is mapped over tomograms: open one, pick, write its files and its record, draw it, and warn."""

import gc
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from tomopicker import io
from tomopicker.cluster.resources import memory_to_pick
from tomopicker.cluster.work import Item, Outcome, failed
from tomopicker.errors import TomoPickerError
from tomopicker.io.masks import read_mask
from tomopicker.io.tomogram_names import NamedFile
from tomopicker.output.layout import draw_picks, file_of_kind, picture_of
from tomopicker.output.pick_folder import PickFolder
from tomopicker.picking.selection import Selection
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.pick import pick
from tomopicker.pipeline.picked import Picked
from tomopicker.pipeline.provenance import training_density
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model, load_model
from tomopicker.wording import number_of

CROWDED, FEW = 4.0, 50
"""Times the training tomograms' density, and particles, above which a count is doubted."""
POOR, INVERTED = 0.6, 5
"""Expected precision and right picks of the inverted tomogram from which on one without picks must be inverted."""


@dataclass(frozen=True)
class TomogramFile:
    """The file of a tomogram, what it is called, and the mask that belongs to it."""

    path: Path
    mask: Path | None = None


@dataclass(frozen=True)
class PickWork:
    """Pick each tomogram into a folder that has begun; the model is read from its file where it is not at hand."""

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
        """Pick one tomogram, unless a worker that died before it could report has done it."""
        file: TomogramFile = item.argument
        try:
            if self.results.is_done(item.name, file.path, file.mask):
                return Outcome("skipped", f"{item.name}: done already.")
            return Outcome("done", pick_tomogram(file, prepared, self.results, callback))
        except Exception as error:
            outcome = failed(error, file.path)
            final = isinstance(error, TomoPickerError) and not outcome.elsewhere
            self.results.add_failure(item.name, file.path, file.mask, outcome.line, final=final)
        # Only here: the exception held the volumes of the frames that it went through.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return outcome

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate what a worker needs, from the largest tomogram and the voxels that the model works at."""
        return memory_to_pick(max(items, key=lambda item: item.size).argument.path, self.results)

    def give_up(self, item: Item, reason: str) -> None:
        """Record that a tomogram is left."""
        file: TomogramFile = item.argument
        self.results.add_failure(item.name, file.path, file.mask, reason, final=True)


def item_of(path: Path, mask: Path | None) -> Item:
    """Make an item of a tomogram's file; of a folder, such as OME-Zarr, the size is that of its files."""
    name, stated = io.tomogram_name(path), path.frame if isinstance(path, NamedFile) else None
    return Item(name, _bytes_of(path), TomogramFile(NamedFile(path).named(name, stated), mask))


def _bytes_of(path: Path) -> int:
    """Return the size of a file, or of what is in a folder; 0 if it is not known."""
    try:
        files: Sequence[Path] = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0


def pick_tomogram(file: TomogramFile, model: Model, folder: PickFolder, callback: Callback) -> str:
    """Pick one tomogram into a folder that has begun, with its settings; give a line with the number of picks.

    The callback receives tiles and warnings.

    Raises `TomoPickerError` if the tomogram cannot be used or its files cannot be written.
    """
    asked, started = folder.settings, time.monotonic()
    reading = replace(asked.reading, target_voxel_size=model.voxel_size)
    tomogram = io.open_tomogram(file.path, options=reading)
    for warning in tomogram.warnings:
        callback.warn(warning)
    mask = asked.mask if file.mask is None else read_mask(file.mask)
    picked = pick(
        tomogram, model, selection=asked.selection, min_distance=asked.min_distance, mask=mask, device=asked.device,
        callback=callback,
    )  # fmt: skip
    if doubt := _looks_inverted(file.path, tomogram, model, picked, folder, mask, callback):
        if not len(picked.candidates):
            raise TomoPickerError(doubt)
        callback.warn(doubt)
    folder.add(file.path, tomogram, picked, file.mask, started)
    _warn_if_empty(file.path, picked, callback)
    for kind, each in model.kinds.items():
        of_kind = picked.kinds.get(kind, picked)
        if asked.pictures:
            picture = picture_of(folder.path, file_of_kind(tomogram.name, kind if picked.kinds else ""))
            positions, diameter = of_kind.picks.positions, each.settings.particle_diameter
            if problem := draw_picks(tomogram, positions, diameter, picture):
                callback.warn(problem)
        share, particles = of_kind.working.mask_fraction, of_kind.expected.particles
        if doubt := crowded(file.path, tomogram, each.provenance, share, particles):
            callback.warn(doubt)
    return _line(tomogram, picked, time.monotonic() - started)


def _looks_inverted(
    file: Path, tomogram: Tomogram, model: Model, picked: Picked, folder: PickFolder, mask: object, callback: Callback
) -> str | None:
    """Describe a tomogram without a pick that has particles with its contrast inverted; else None."""
    # With the usual threshold too: one that the user set high must not make the tomogram look empty.
    usual = Selection().select(picked.candidates, picked.expected.particles, model.threshold)
    if len(picked.picks) or len(usual.picks):
        return None
    asked = folder.settings
    other = pick(
        replace(tomogram, inverted=not tomogram.inverted), model, min_distance=asked.min_distance,
        mask=mask, device=asked.device, callback=callback,  # type: ignore[arg-type]
    )  # fmt: skip
    if other.expected.precision < POOR or other.expected.precision * len(other.picks) < INVERTED:
        return None
    flag, contrast = ("--no-invert", "dark") if tomogram.inverted else ("--invert", "bright")
    return (
        f"{file}: nothing in it looks like the particle, but {len(other.picks)} places do if protein is {contrast}; "
        f"give {flag}"
    )


def _line(tomogram: Tomogram, picked: Picked, seconds: float) -> str:
    expected = picked.expected
    particles = picked.count or f"{expected.particles:.0f} particles"
    share, picks = picked.working.mask_fraction, number_of(len(picked.picks), "pick")
    where = "" if share == 1 else f"in {100 * share:.0f}% of the volume, "
    return (
        f"{tomogram.name}: {picks} ({_of_kinds(picked)}threshold {picked.threshold:.3f}; about {particles}, "
        f"expected precision {expected.precision:.2f}, recall {expected.recall:.2f}), {where}{seconds:.1f} s."
    )


def _of_kinds(picked: Picked) -> str:
    """Count the picks and particles of each kind; empty without kinds."""
    stated = [f"{len(each.picks)} {kind} of about {each.expected.particles:.0f}" for kind, each in picked.kinds.items()]
    return f"{', '.join(stated)}; " if stated else ""


def _warn_if_empty(file: Path, picked: Picked, callback: Callback) -> None:
    if not len(picked.candidates):
        callback.warn(f"{file}: nothing in it looks like the particle, so there are no picks")
    elif picked.count is not None and not picked.count.estimate:
        callback.warn(
            f"{file}: holds none, or too few to tell from look-alikes (at most {picked.count.high:.0f}), so nothing is "
            "picked; --threshold picks the candidates all the same"
        )
    elif not len(picked.picks):
        highest = picked.candidates.scores.max()
        callback.warn(f"{file}: no picks: the highest probability of a candidate is {highest:.3g}; ask for less")


def crowded(
    file: Path, tomogram: Tomogram, provenance: Mapping[str, Any], share: float, particles: float
) -> str | None:
    """Warn of far more particles than in the training tomograms, as look-alikes may be among them.

    The provenance is the model's, `share` the fraction of the volume that was searched, `particles` their expected
    number.
    """
    usual = training_density(provenance)
    volume = math.prod(tomogram.shape) * tomogram.voxel_size**3 * share
    if not usual or particles <= max(CROWDED * usual * volume, FEW):
        return None
    return (
        f"{file}: about {particles:.0f} particles, {particles / volume / usual:.1f} times as dense as in the "
        "training tomograms; look at them (tomopicker check), and click more if they are wrong"
    )
