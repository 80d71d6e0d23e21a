"""Picking as a job for each tomogram: open it, pick, write its files and record, draw it, and warn."""

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
from tomopicker.cluster.work import Item, Outcome, failed_outcome
from tomopicker.errors import TomoPickerError
from tomopicker.io.masks import read_mask
from tomopicker.io.tomogram_names import NamedFile
from tomopicker.output.layout import draw_picks, file_of_kind, picture_of
from tomopicker.output.pick_folder import PickFolder, TomogramFile
from tomopicker.picking.selection import Selection
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.pick import pick
from tomopicker.pipeline.picked import Picked
from tomopicker.pipeline.provenance import training_density
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model, load_model
from tomopicker.wording import number_of

SUSPICIOUS_DENSITY_RATIO, MIN_CROWDED = 4.0, 50
"""Density relative to the training tomograms, and number of particles, above which a count is suspicious."""
MIN_INVERTED_PRECISION, MIN_INVERTED_PICKS = 0.6, 5
"""Expected precision and true picks in the inverted tomogram from which on its contrast must be wrong."""


@dataclass(frozen=True)
class PickWork:
    """Pick each tomogram into the folder of a run; without a loaded model it is read from its file."""

    results: PickFolder
    model_file: Path
    loaded: Model | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """Folder of the picks."""
        return self.results.path

    def prepare(self) -> Model:
        """Load the model."""
        return self.loaded or load_model(self.model_file)

    def run(self, prepared: Model, item: Item, callback: Callback) -> Outcome:
        """Pick one tomogram, unless a worker did and died before it could report."""
        file: TomogramFile = item.argument
        try:
            if self.results.is_done(file):
                return Outcome("skipped", f"{item.name}: done already.")
            return Outcome("done", pick_tomogram(file, prepared, self.results, callback))
        except Exception as error:
            outcome = failed_outcome(error, file.path)
            final = isinstance(error, TomoPickerError) and not outcome.elsewhere
            self.results.add_failure(file, outcome.line, final=final)
        # Only now: the exception referred to the volumes of its frames.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return outcome

    def memory(self, items: Sequence[Item]) -> int:
        """Estimate the bytes that a worker needs, from the largest tomogram and the model's voxel size."""
        return memory_to_pick(max(items, key=lambda item: item.size).argument.path, self.results)

    def give_up(self, item: Item, reason: str) -> None:
        """Record that a tomogram is given up."""
        self.results.add_failure(item.argument, reason, final=True)


def item_of(file: TomogramFile) -> Item:
    """Return the item of a tomogram; the size of a folder, such as OME-Zarr, is that of its files."""
    frame = file.path.frame if isinstance(file.path, NamedFile) else None
    return Item(file.name, _bytes_of(file.path), replace(file, path=NamedFile(file.path).named(file.name, frame)))


def _bytes_of(path: Path) -> int:
    """Return the size of a file or folder; 0 if it cannot be read."""
    try:
        files: Sequence[Path] = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0


def pick_tomogram(file: TomogramFile, model: Model, folder: PickFolder, callback: Callback) -> str:
    """Pick one tomogram into the folder of a run, with its settings; return a line with the number of picks.

    The callback receives the progress and warnings.

    Raises `TomoPickerError` if the tomogram cannot be read or its files cannot be written.
    """
    settings, started = folder.settings, time.monotonic()
    reading = replace(settings.reading, target_voxel_size=model.voxel_size)
    tomogram = io.open_tomogram(file.path, options=reading)
    for warning in tomogram.warnings:
        callback.warn(warning)
    mask = settings.mask if file.mask is None else read_mask(file.mask)
    picked = pick(
        tomogram, model, selection=settings.selection, min_distance=settings.min_distance, mask=mask,
        device=settings.device, callback=callback,
    )  # fmt: skip
    if problem := _looks_inverted(file.path, tomogram, model, picked, folder, mask, callback):
        if not len(picked.candidates):
            raise TomoPickerError(problem)
        callback.warn(problem)
    folder.add(file, tomogram, picked, started)
    _warn_if_empty(file.path, picked, callback)
    for kind, own in model.kinds.items():
        of_kind = picked.kinds.get(kind, picked)
        if settings.pictures:
            picture = picture_of(folder.path, file_of_kind(tomogram.name, kind if picked.kinds else ""))
            positions, diameter = of_kind.picks.positions, own.settings.particle_diameter
            if problem := draw_picks(tomogram, positions, diameter, picture):
                callback.warn(problem)
        fraction, particles = of_kind.working.mask_fraction, of_kind.expected.particles
        if problem := crowded(file.path, tomogram, own.provenance, fraction, particles):
            callback.warn(problem)
    return _line(tomogram, picked, time.monotonic() - started)


def _looks_inverted(
    file: Path, tomogram: Tomogram, model: Model, picked: Picked, folder: PickFolder, mask: object, callback: Callback
) -> str | None:
    """Describe the problem of a tomogram without picks that has some with inverted contrast; None for others."""
    # Nor at the default threshold: the user may have set a high one.
    default = Selection().select(picked.candidates, picked.expected.particles, model.threshold)
    if len(picked.picks) or len(default.picks):
        return None
    other = pick(
        replace(tomogram, inverted=not tomogram.inverted), model, min_distance=folder.settings.min_distance,
        mask=mask, device=folder.settings.device, callback=callback,  # type: ignore[arg-type]
    )  # fmt: skip
    precision = other.expected.precision
    if precision < MIN_INVERTED_PRECISION or precision * len(other.picks) < MIN_INVERTED_PICKS:
        return None
    flag, contrast = ("--no-invert", "dark") if tomogram.inverted else ("--invert", "bright")
    return (
        f"{file}: nothing in it looks like the particle, but {len(other.picks)} places do if protein is {contrast}; "
        f"give {flag}"
    )


def _line(tomogram: Tomogram, picked: Picked, seconds: float) -> str:
    expected = picked.expected
    particles = picked.count or f"{expected.particles:.0f} particles"
    fraction, picks = picked.working.mask_fraction, number_of(len(picked.picks), "pick")
    where = "" if fraction == 1 else f"in {100 * fraction:.0f}% of the volume, "
    return (
        f"{tomogram.name}: {picks} ({_of_kinds(picked)}threshold {picked.threshold:.3f}; about {particles}, "
        f"expected precision {expected.precision:.2f}, recall {expected.recall:.2f}), {where}{seconds:.1f} s."
    )


def _of_kinds(picked: Picked) -> str:
    """Describe the numbers of picks and particles of each of several kinds."""
    counts = [f"{len(own.picks)} {kind} of about {own.expected.particles:.0f}" for kind, own in picked.kinds.items()]
    return f"{', '.join(counts)}; " if counts else ""


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
    file: Path, tomogram: Tomogram, provenance: Mapping[str, Any], fraction: float, particles: float
) -> str | None:
    """Describe a far higher density of particles than in the training tomograms; None for a similar one.

    `provenance` is that of the model, `fraction` the searched part of the volume, `particles` their expected number.
    """
    usual = training_density(provenance)
    volume = math.prod(tomogram.shape) * tomogram.voxel_size**3 * fraction
    if not usual or particles <= max(SUSPICIOUS_DENSITY_RATIO * usual * volume, MIN_CROWDED):
        return None
    return (
        f"{file}: about {particles:.0f} particles, {particles / volume / usual:.1f} times as dense as in the "
        "training tomograms; look at them (tomopicker check), and click more if they are wrong"
    )
