"""The loop of ``pick``: a tomogram after the other, what is done skipped, what fails said and left behind.

Several jobs may run it on one folder: each tomogram is picked by the job that claims it first.
"""

import gc
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.errors import TomoPickerError, failure_line
from tomopicker.formats.masks import read_mask
from tomopicker.wording import number_of

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.engine.checkpoint import Model
    from tomopicker.folder.pick_folder import PickFolder
    from tomopicker.tomogram import Tomogram
    from tomopicker.types import Positions
    from tomopicker.workflow.pick import Picked


CROWDED, FEW = 4.0, 50
"""Times the training tomograms' density, and particles, above which a count is doubted."""
POOR, INVERTED = 0.6, 5
"""Expected precision and right picks of the inverted tomogram from which on one without picks must be inverted."""


def pick_files(
    files: list[Path],
    model: "Model",
    folder: "PickFolder",
    reporter: "Reporter",
    *,
    masks: dict[Path, Path] | None = None,
) -> int:
    """Pick in each tomogram that is not done; one that fails is said and left behind. Give how many failed."""
    from tomopicker.formats import tomogram_name

    failures: dict[Path, str] = {}
    was_there = folder.path.exists()
    named = _well_named(files, folder, reporter, failures)
    try:
        elsewhere = _pick_each(named, model, folder, reporter, masks or {}, failures)
        # Another job may have failed at a tomogram that it had claimed, or died.
        still = _pick_each(elsewhere, model, folder, reporter, masks or {}, failures)
    finally:
        # Also after a Ctrl-C: the merged files hold whatever is finished.
        folder.note_failures(failures)
        counts = folder.counts
        if counts and (remark := folder.merge()):
            reporter.warn(remark)
        if not was_there and not counts:
            _remove_if_empty(folder.path)
    for file in still:
        name = tomogram_name(file)
        reporter.say(f"{name}: left to {folder.claimed_by(name) or 'another job'}, which is picking it.")
    if counts:
        of = f"{number_of(sum(counts.values()), 'pick')} of {number_of(len(counts), 'tomogram')}"
        reporter.say(f"{of}: {folder.path / 'picks.star'}")
    return len(failures)


def _well_named(files: list[Path], folder: "PickFolder", reporter: "Reporter", failures: dict[Path, str]) -> list[Path]:
    """Leave out tomograms whose names the results cannot bear, before any is scored; enter them as failed."""
    from tomopicker.formats import check_names, naming_remark, tomogram_name

    kept = []
    for file in files:
        try:
            folder.check_name(tomogram_name(file), file)
        except TomoPickerError as error:
            failures[file] = str(error)
            reporter.failed(error)
        else:
            kept.append(file)
    names, star_format = [tomogram_name(file) for file in kept], folder.settings.star_format
    check_names(names, star_format, folder.path)
    if remark := naming_remark(star_format, names):
        reporter.warn(remark)
    return kept


def _pick_each(
    files: list[Path],
    model: "Model",
    folder: "PickFolder",
    reporter: "Reporter",
    masks: dict[Path, Path],
    failures: dict[Path, str],
) -> list[Path]:
    """Pick in each tomogram; enter those that fail, and give those that other jobs are at."""
    elsewhere = []
    for file in files:
        try:
            if not _pick_file(file, model, folder, reporter, masks.get(file)):
                elsewhere.append(file)
        except BrokenPipeError:
            raise
        except Exception as error:  # Whatever one tomogram does, the others are picked.
            failures[file] = failure_line(error, file)
            reporter.end_bar()
            reporter.failed(failures[file])
        if file in failures:
            _free_memory()  # Only here: the exception held the volumes of the frames that it went through.
    return elsewhere


def _free_memory() -> None:
    """Give back what a tomogram that failed held, on the GPU too."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _pick_file(file: Path, model: "Model", folder: "PickFolder", reporter: "Reporter", mask: Path | None) -> bool:
    """Pick in a tomogram that is not done; say False if another job is at it."""
    from tomopicker.cli.inputs import open_one
    from tomopicker.formats import tomogram_name
    from tomopicker.formats.stored import Stored

    asked = folder.settings
    if folder.claimed_by(tomogram_name(file)):
        return False
    stored = Stored(asked.dataset, asked.axes, near=model.voxel_size)
    tomogram = open_one(file, reporter, voxel_size=asked.voxel_size, invert=asked.invert, stored=stored)
    if _is_done(tomogram, mask, folder, reporter):
        return True
    with folder.claimed(tomogram.name) as ours:
        if not ours:
            return False
        if not _is_done(tomogram, mask, folder, reporter):
            _pick_and_add(file, tomogram, model, folder, reporter, mask)
    return True


def _is_done(tomogram: "Tomogram", mask: Path | None, folder: "PickFolder", reporter: "Reporter") -> bool:
    done = folder.is_done(tomogram, mask)
    if done:
        again = "; --overwrite picks it again" if not folder.overwrite else " by another job"
        reporter.say(f"{tomogram.name}: done already, skipped{again}.")
    return done


def _pick_and_add(
    file: Path, tomogram: "Tomogram", model: "Model", folder: "PickFolder", reporter: "Reporter", mask: Path | None
) -> None:
    from tomopicker import api

    asked, started = folder.settings, time.monotonic()
    picked = api.pick(
        tomogram, model, cut=asked.cut, min_distance=asked.min_distance,
        mask=asked.mask if mask is None else read_mask(mask), device=asked.device, listener=reporter,
    )  # fmt: skip
    reporter.end_bar()
    if doubt := _looks_inverted(file, tomogram, model, picked, folder, reporter, mask):
        if not len(picked.candidates):
            raise TomoPickerError(doubt)
        reporter.warn(doubt)
    folder.add(tomogram, picked, mask, started)
    _say_picked(file, tomogram, picked, time.monotonic() - started, reporter)
    if asked.pictures:
        draw(tomogram, picked.picks.positions, model.settings.particle_diameter, folder.path, reporter)
    _warn_if_crowded(file, tomogram, model, picked, reporter)


def _looks_inverted(
    file: Path, tomogram: "Tomogram", model: "Model", picked: "Picked", folder: "PickFolder", reporter: "Reporter",
    mask: Path | None,
) -> str | None:  # fmt: skip
    """Say in a line that a tomogram without a pick has particles with its contrast inverted; else None."""
    from dataclasses import replace

    from tomopicker import api
    from tomopicker.picking.selection import Cut

    # With the usual threshold too: one that the user set high must not make the tomogram look empty.
    usual = Cut().choose(picked.candidates, picked.expected.particles, model.threshold)
    if len(picked.picks) or len(usual.picks):
        return None
    asked = folder.settings
    other = api.pick(
        replace(tomogram, inverted=not tomogram.inverted), model, min_distance=asked.min_distance,
        mask=asked.mask if mask is None else read_mask(mask), device=asked.device, listener=reporter,
    )  # fmt: skip
    reporter.end_bar()
    if other.expected.precision < POOR or other.expected.precision * len(other.picks) < INVERTED:
        return None
    flag, contrast = ("--no-invert", "dark") if tomogram.inverted else ("--invert", "bright")
    return (
        f"{file}: nothing in it looks like the particle, but {len(other.picks)} places do if protein is {contrast}; "
        f"give {flag}"
    )


def draw(
    tomogram: "Tomogram", positions: "Positions", particle_diameter: float, folder: Path, reporter: "Reporter"
) -> None:
    """Draw the picks (Å) of a tomogram in a folder; the picks stand without it, so what goes wrong is a warning."""
    from tomopicker.folder.one_tomogram import picture_of
    from tomopicker.report.pick_figure import pick_figure

    picture = picture_of(folder, tomogram.name)
    try:
        pick_figure(tomogram, positions, particle_diameter, picture)
    except Exception as error:
        reporter.warn(f"{picture}: not drawn ({' '.join(str(error).split()) or type(error).__name__})")


def _say_picked(file: Path, tomogram: "Tomogram", picked: "Picked", seconds: float, reporter: "Reporter") -> None:
    expected = picked.expected
    particles = picked.count or f"{expected.particles:.0f} particles"
    picks = number_of(len(picked.picks), "pick")
    reporter.say(
        f"{tomogram.name}: {picks} (threshold {picked.threshold:.3f}; about {particles}, "
        f"expected precision {expected.precision:.2f}, recall {expected.recall:.2f}), {_left(picked)}{seconds:.1f} s."
    )
    if not len(picked.candidates):
        reporter.warn(f"{file}: nothing in it looks like the particle, so there are no picks")
    elif picked.count is not None and not picked.count.estimate:
        reporter.warn(
            f"{file}: holds none, or too few to tell from look-alikes (at most {picked.count.high:.0f}), so nothing is "
            "picked; --threshold picks the candidates all the same"
        )
    elif not len(picked.picks):
        surest = picked.candidates.scores.max()
        reporter.warn(f"{file}: no picks, for the surest candidate has a probability of {surest:.3g}; ask for less")


def _warn_if_crowded(file: Path, tomogram: "Tomogram", model: "Model", picked: "Picked", reporter: "Reporter") -> None:
    """Say where there are far more particles than in the training tomograms: look-alikes may be among them."""
    from tomopicker.workflow.provenance import training_density

    usual = training_density(model.provenance)
    volume = math.prod(tomogram.shape) * tomogram.voxel_size**3 * picked.working.share
    particles = picked.expected.particles
    if usual and particles > max(CROWDED * usual * volume, FEW):
        reporter.warn(
            f"{file}: about {particles:.0f} particles, {particles / volume / usual:.1f} times as dense as in the "
            "training tomograms; look at them (tomopicker check), and click more if they are wrong"
        )


def _left(picked: "Picked") -> str:
    """Say how much of the volume was looked at, where it is not all."""
    share = picked.working.share
    return "" if share == 1 else f"in {100 * share:.0f} % of the volume, "


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
