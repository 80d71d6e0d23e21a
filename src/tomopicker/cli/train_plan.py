"""Input checks and the dry-run plan of ``train``, for each kind of particle."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tomopicker.cli.kinds import FilesByKind, listed
from tomopicker.cli.progress import Reporter
from tomopicker.diagnostics.clicks import check_clicks
from tomopicker.io.coordinate_units import CoordinateUnits
from tomopicker.output.find import files_of_picks
from tomopicker.picks import Picks
from tomopicker.pipeline.dry_run import training_plan
from tomopicker.pipeline.training_data import without_repeats
from tomopicker.pipeline.training_input import TrainingInput, check_training, with_picks
from tomopicker.wording import number_of


def check_kinds(
    parts: Sequence[TrainingInput],
    files: FilesByKind,
    output: Path,
    reporter: Reporter,
    *,
    units: CoordinateUnits,
    device: str | None,
    check: bool,
    dry_run: bool,
) -> tuple[Picks, list[str]]:
    """Check the input as training does, and test that clicks lie on particles.

    Parameters
    ----------
    parts : sequence of TrainingInput
        Of each kind.
    files : mapping of str to sequence of Path
        Of the clicks, by the kind that is named before them.
    output : Path
        The model file.
    reporter, units, masks, device
        As the files were read, and as `train` takes them.
    check, dry_run : bool
        Whether to test that clicks lie on particles, and whether to print the plan.

    Returns
    -------
    clicks : Picks
        Without repeated ones.
    doubts : list of str
        As of `check_clicks`.
    """
    every = listed(files)
    kept, doubts = [], []
    for part in parts:
        diameter, own = part.settings.particle_diameter, files.get(part.kind, every) if part.kind else every
        if part.kind:
            reporter.log(f"{part.kind}: {number_of(len(part.clicks), 'click')}, a particle of {diameter:g} Å.")
        check_training(part, device, reporter)
        clicked = with_picks(part.tomograms, part.clicks) if part.kind else part.tomograms
        clicks = without_repeats(part.clicks, diameter, reporter)
        if dry_run:
            read = [file for path in own for file in files_of_picks(path)]
            plan = training_plan(replace(part, tomograms=clicked, clicks=clicks), read, units)
            reporter.table([*plan, ("model", f"{output} (not written: this is a dry run)")])
        doubts += check_clicks(clicked, clicks, diameter, own) if check else []
        kept.append(clicks)
    for doubt in doubts:
        reporter.warn(doubt)
    return Picks.concatenate(kept) if len(kept) > 1 else kept[0], doubts
