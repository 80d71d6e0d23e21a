"""Picking one of many tomograms: open it, pick, write its files and its record, draw it, and say what is odd."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tomopicker import io
from tomopicker.errors import TomoPickerError
from tomopicker.io.masks import read_mask
from tomopicker.io.volumes.arrays import ReadOptions
from tomopicker.output.one_tomogram import file_of_kind, picture_of
from tomopicker.output.pick_folder import PickFolder
from tomopicker.picking.selection import Selection
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.pick import pick
from tomopicker.pipeline.picked import Picked
from tomopicker.pipeline.provenance import training_density
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import Model
from tomopicker.types import Positions
from tomopicker.wording import number_of

CROWDED, FEW = 4.0, 50
"""Times the training tomograms' density, and particles, above which a count is doubted."""
POOR, INVERTED = 0.6, 5
"""Expected precision and right picks of the inverted tomogram from which on one without picks must be inverted."""
Warn = Callable[[str], None]


@dataclass(frozen=True)
class TomogramFile:
    """The file of a tomogram, what it is called, and the mask that belongs to it."""

    path: Path
    mask: Path | None = None


def pick_tomogram(file: TomogramFile, model: Model, folder: PickFolder, callback: Callback) -> str:
    """Pick one tomogram into a folder.

    Parameters
    ----------
    file : TomogramFile
    model : Model
    folder : PickFolder
        That has begun; its settings say how.
    callback : Callback
        Receives tiles and warnings.

    Returns
    -------
    str
        A line that says how many picks there are.

    Raises
    ------
    TomoPickerError
        If the tomogram cannot be used or its files cannot be written.
    """
    asked, started = folder.settings, time.monotonic()
    stored = ReadOptions(asked.dataset, asked.axes, target_voxel_size=model.voxel_size)
    tomogram = io.open_tomogram(file.path, voxel_size=asked.voxel_size, invert=asked.invert, options=stored)
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
    _warn_if_empty(file.path, picked, callback.warn)
    for kind, each in model.kinds.items():
        of_kind = picked.kinds.get(kind, picked)
        if asked.pictures:
            picture = picture_of(folder.path, file_of_kind(tomogram.name, kind if picked.kinds else ""))
            draw(tomogram, of_kind.picks.positions, each.settings.particle_diameter, picture, callback.warn)
        share, particles = of_kind.working.mask_fraction, of_kind.expected.particles
        if doubt := crowded(file.path, tomogram, each.provenance, share, particles):
            callback.warn(doubt)
    return _line(tomogram, picked, time.monotonic() - started)


def draw(tomogram: Tomogram, positions: Positions, particle_diameter: float, picture: Path, warn: Warn) -> None:
    """Draw the picks (Å) of a tomogram in a file; the picks stand without it, so what goes wrong is a warning."""
    from tomopicker.output.figures import pick_figure  # noqa: PLC0415  (matplotlib is slow to import)

    try:
        pick_figure(tomogram, positions, particle_diameter, picture)
    except Exception as error:
        warn(f"{picture}: not drawn ({' '.join(str(error).split()) or type(error).__name__})")


def _looks_inverted(
    file: Path, tomogram: Tomogram, model: Model, picked: Picked, folder: PickFolder, mask: object, callback: Callback
) -> str | None:
    """Say in a line that a tomogram without a pick has particles with its contrast inverted; else None."""
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
    where = "" if share == 1 else f"in {100 * share:.0f} % of the volume, "
    return (
        f"{tomogram.name}: {picks} ({_of_kinds(picked)}threshold {picked.threshold:.3f}; about {particles}, "
        f"expected precision {expected.precision:.2f}, recall {expected.recall:.2f}), {where}{seconds:.1f} s."
    )


def _of_kinds(picked: Picked) -> str:
    """Say how many picks are of each kind, and of how many particles; empty without kinds."""
    stated = [f"{len(each.picks)} {kind} of about {each.expected.particles:.0f}" for kind, each in picked.kinds.items()]
    return f"{', '.join(stated)}; " if stated else ""


def _warn_if_empty(file: Path, picked: Picked, warn: Warn) -> None:
    if not len(picked.candidates):
        warn(f"{file}: nothing in it looks like the particle, so there are no picks")
    elif picked.count is not None and not picked.count.estimate:
        warn(
            f"{file}: holds none, or too few to tell from look-alikes (at most {picked.count.high:.0f}), so nothing is "
            "picked; --threshold picks the candidates all the same"
        )
    elif not len(picked.picks):
        surest = picked.candidates.scores.max()
        warn(f"{file}: no picks, for the surest candidate has a probability of {surest:.3g}; ask for less")


def crowded(
    file: Path, tomogram: Tomogram, provenance: Mapping[str, Any], share: float, particles: float
) -> str | None:
    """Say where there are far more particles than in the training tomograms, for look-alikes may be among them.

    Parameters
    ----------
    file : Path
    tomogram : Tomogram
    provenance : dict
        Of the model.
    share : float
        Of the volume that was looked at.
    particles : float
        That are expected.
    """
    usual = training_density(provenance)
    volume = math.prod(tomogram.shape) * tomogram.voxel_size**3 * share
    if not usual or particles <= max(CROWDED * usual * volume, FEW):
        return None
    return (
        f"{file}: about {particles:.0f} particles, {particles / volume / usual:.1f} times as dense as in the "
        "training tomograms; look at them (tomopicker check), and click more if they are wrong"
    )
