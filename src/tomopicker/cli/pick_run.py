"""The loop of ``pick``: a tomogram after the other, what is done skipped, what fails said and left behind.

Several jobs may run it on one folder: each tomogram is picked by the job that claims it first.
"""

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.cli.masks import read_mask
from tomopicker.cli.words import number_of
from tomopicker.errors import TomoPickerError

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.engine.checkpoint import Model
    from tomopicker.folder.pick_folder import PickFolder
    from tomopicker.tomogram import Tomogram
    from tomopicker.workflow.pick import Picked


CROWDED, FEW = 4.0, 50
"""Times the training tomograms' density, and particles, above which a count is doubted."""


def pick_files(
    files: list[Path],
    model: "Model",
    folder: "PickFolder",
    reporter: "Reporter",
    *,
    masks: dict[Path, Path] | None = None,
) -> int:
    """Pick in each tomogram that is not done; one that fails is said and left behind. Give how many failed."""
    from tomopicker.formats import naming_remark, tomogram_name
    from tomopicker.formats.star import star_names

    names = [tomogram_name(file) for file in files]
    star_names(names)  # Before anything is scored: they have to stand in the files that are written.
    if remark := naming_remark(folder.settings.star_format, names):
        reporter.warn(remark)
    failures: dict[Path, Exception] = {}
    was_there = folder.path.exists()
    try:
        elsewhere = _pick_each(files, model, folder, reporter, masks or {}, failures)
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


def _pick_each(
    files: list[Path],
    model: "Model",
    folder: "PickFolder",
    reporter: "Reporter",
    masks: dict[Path, Path],
    failures: dict[Path, Exception],
) -> list[Path]:
    """Pick in each tomogram; enter those that fail, and give those that other jobs are at."""
    elsewhere = []
    for file in files:
        try:
            if not _pick_file(file, model, folder, reporter, masks.get(file)):
                elsewhere.append(file)
        except TomoPickerError as error:
            failures[file] = error
            reporter.end_bar()
            reporter.failed(error)
    return elsewhere


def _pick_file(file: Path, model: "Model", folder: "PickFolder", reporter: "Reporter", mask: Path | None) -> bool:
    """Pick in a tomogram that is not done; say False if another job is at it."""
    from tomopicker.cli.inputs import open_one
    from tomopicker.formats import tomogram_name
    from tomopicker.formats.stored import Stored

    asked = folder.settings
    folder.check_name(tomogram_name(file))
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
    folder.add(tomogram, picked, mask, started)
    _say_picked(file, tomogram, picked, time.monotonic() - started, reporter)
    _warn_if_crowded(file, tomogram, model, picked, reporter)


def _say_picked(file: Path, tomogram: "Tomogram", picked: "Picked", seconds: float, reporter: "Reporter") -> None:
    expected = picked.expected
    particles = picked.count or f"{expected.particles:.0f} particles"
    reporter.say(
        f"{tomogram.name}: {len(picked.picks)} picks (threshold {picked.threshold:.3f}; about {particles}, "
        f"expected precision {expected.precision:.2f}, recall {expected.recall:.2f}), {_left(picked)}{seconds:.1f} s."
    )
    if not len(picked.candidates):
        reporter.warn(f"{file}: nothing in it looks like the particle, so there are no picks")
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
