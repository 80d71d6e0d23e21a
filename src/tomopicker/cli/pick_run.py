"""The loop of ``pick``: a tomogram after the other, what is done skipped, what fails said and left behind."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.cli.masks import read_mask
from tomopicker.errors import TomoPickerError

if TYPE_CHECKING:
    from tomopicker.cli.pick_folder import PickFolder
    from tomopicker.cli.progress import Reporter
    from tomopicker.engine.checkpoint import Model


def pick_files(
    files: list[Path],
    model: "Model",
    folder: "PickFolder",
    reporter: "Reporter",
    *,
    masks: dict[Path, Path] | None = None,
    overwrite: bool = False,
) -> int:
    """Pick in each tomogram that is not done; one that fails is said and left behind. Give how many failed."""
    failed = 0
    try:
        for file in files:
            try:
                _pick_file(file, model, folder, reporter, mask=(masks or {}).get(file), overwrite=overwrite)
            except TomoPickerError as error:
                failed += 1
                reporter.end_bar()
                reporter.failed(error)
                folder.note_failure(file, error)
    finally:
        # Also after a Ctrl-C: the merged files hold whatever is finished.
        if folder.has_finished:
            folder.merge(reporter)
    if folder.has_finished:
        counts = folder.counts
        reporter.say(f"{sum(counts.values())} picks of {len(counts)} tomograms: {folder.path / 'picks.star'}")
    return failed


def _pick_file(
    file: Path, model: "Model", folder: "PickFolder", reporter: "Reporter", *, mask: Path | None, overwrite: bool
) -> None:
    from tomopicker import api
    from tomopicker.cli.inputs import open_one
    from tomopicker.engine.precision import choose_device
    from tomopicker.formats.stored import Stored

    asked = folder.settings
    stored = Stored(asked.dataset, asked.axes, near=model.voxel_size)
    tomogram = open_one(file, reporter, voxel_size=asked.voxel_size, invert=asked.invert, stored=stored)
    folder.check_name(tomogram.name)
    if not overwrite and folder.is_done(tomogram, mask):
        reporter.say(f"{tomogram.name}: done already, skipped; --overwrite picks it again.")
        return
    started = time.monotonic()
    picked = api.pick(
        tomogram, model, cut=asked.cut, min_distance=asked.min_distance,
        mask=None if mask is None else read_mask(mask), device=choose_device(asked.device), listener=reporter,
    )  # fmt: skip
    reporter.end_bar()
    folder.add(tomogram, picked, mask, started)
    expected = picked.expected
    reporter.say(
        f"{tomogram.name}: {len(picked.picks)} picks (threshold {picked.threshold:.3f}; about {expected.particles:.0f} "
        f"particles, expected precision {expected.precision:.2f}, recall {expected.recall:.2f}), "
        f"{time.monotonic() - started:.1f} s."
    )
    if not len(picked.picks):
        reporter.warn(f"{file}: nothing is above {picked.threshold:.3g}, so there are no picks; lower --threshold")
