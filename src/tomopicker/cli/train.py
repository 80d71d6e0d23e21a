r"""Train a model to pick a particle, from clicks in one or a few tomograms.

[bold]Examples[/bold]

  [cyan]tomopicker train TS_0001.mrc --picks clicks.star --particle-diameter 300 --output ribosome.model[/cyan]
  [cyan]tomopicker train TS_0001.mrc TS_0002.mrc --picks clicks/*.csv --particle-diameter 300 \
      --preset paper --expected-particles 500 --output paper.model[/cyan]
  [cyan]tomopicker train TS_0001.mrc --picks ribosome=a.star --picks fas=b.star \
      --particle-diameter ribosome=300 --particle-diameter fas=270 --output both.model[/cyan]

Click the centres of 5 to 100 particles; the others need not be marked. Clicks are matched to tomograms by the name in
their tomogram column, else by the name of their file.

[bold]Several kinds[/bold] of particle, named before the files or in a column [bold]kind[/bold], make one model. The
clicks of each kind are known negatives of the others, so that the model separates look-alikes.

The model is one file with all that [cyan]tomopicker pick[/cyan] needs. During training, checkpoints are written next to
it (MODEL.*.ckpt): after Ctrl-C, a scheduler's SIGTERM or a power cut, repeat the command with [cyan]--resume[/cyan].
"""

from functools import partial
from pathlib import Path

from tomopicker.cli.groups import CoordinateOptions, DensityOptions
from tomopicker.cli.options import INPUT, MORE, Device, DiscardRun, DryRun, Mask, Resume, Tomograms, option
from tomopicker.cli.progress import Reporter
from tomopicker.cli.settings import SettingsOptions
from tomopicker.errors import UsageError
from tomopicker.files import check_writable
from tomopicker.parsing import files_by_kind


def command(
    *,
    tomograms: Tomograms,
    output: Path = option(..., "Model file to write.", "--output", "-o", unit="MODEL"),
    picks: list[Path] = option(
        ..., "Clicks: STAR, CSV, text with x, y, z, or another format of 'tomopicker formats'. May be repeated, "
        "or list several files.", "--picks", "-p", unit="[KIND=]FILE", panel=INPUT,
    ),
    negatives: list[Path] | None = option(
        None, "Positions that look like the particle but are not. Same formats as --picks; may be repeated. "
        "Those of a named kind apply to that kind only.", unit="[KIND=]FILE", panel=INPUT,
    ),
    given: SettingsOptions,
    reading: DensityOptions,
    coordinates: CoordinateOptions,
    mask: Mask = None,
    validation_tomogram: list[Path] | None = option(
        None, "Tomogram for validation; never trained on.", unit="FILE", panel=INPUT
    ),
    validation_picks: list[Path] | None = option(
        None, "Known particles in the validation tomogram.", unit="[KIND=]FILE", panel=INPUT
    ),
    device: Device = None,
    resume: Resume = False,
    overwrite: DiscardRun = False,
    check: bool = option(
        True, "First run the tests of 'tomopicker check' on the clicks; stop if another unit, axis order or tomogram "
        "fits them better.",
        "--check/--no-check", panel=MORE,
    ),
    dry_run: DryRun = False,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Check the input, and train."""
    from tomopicker.output.find import files_of_picks, tomograms_and_picks
    from tomopicker.pipeline.resume import is_finished, resume_advice

    settings = given.resolve(mask)
    instant = settings.network.head == "discriminant"
    trained = {"loss", "steps", "epochs"} & {path.rpartition(".")[2] for path in given.given}
    if instant and (unused := [*sorted(trained), *(["validation-tomogram"] if validation_tomogram else [])]):
        raise UsageError(f"--{unused[0]}: nothing is trained with --preset instant; leave it out")
    if bool(validation_tomogram) != bool(validation_picks):
        raise UsageError("--validation-tomogram and --validation-picks go together; give both or neither")
    reporter.advice = lambda: resume_advice(output)
    if is_finished(output, reporter, resume=resume, overwrite=overwrite, dry_run=dry_run):
        return
    check_writable(output.parent)
    volumes, more_picks = tomograms_and_picks(tomograms, only_picks=not (validation_picks or negatives))
    opened, validation = reading.open(volumes, reporter), reading.open(validation_tomogram or [], reporter)
    from tomopicker.diagnostics.check import check_clicks
    from tomopicker.io.masks import masks_of
    from tomopicker.picks import Picks
    from tomopicker.pipeline.dry_run import training_plan
    from tomopicker.pipeline.train import train_to_file
    from tomopicker.pipeline.training_input import (
        TrainingInput,
        by_kind,
        check_distinct,
        checked_input,
        drop_unclicked_tomograms,
    )

    check_distinct(opened, validation)
    files, negative_files, validation_files = (
        files_by_kind(paths or []) for paths in ([*picks, *more_picks], negatives, validation_picks)
    )
    read = partial(coordinates.read_kinds, reporter=reporter, class_numbers=bool(given.diameters))
    clicks = read(files, opened)
    diameters = given.diameters_of(clicks.kind_names)
    # --class selects among the clicks only.
    known = read(negative_files, opened, class_numbers=False, any_class=True, keeps_classes=True) if negatives else None
    # An instant model can use tomograms that have only negatives.
    opened = drop_unclicked_tomograms(
        opened, Picks.concatenate([clicks, *([known] if known and instant else [])]), reporter
    )
    truth = read(validation_files, validation) if validation else None
    all_kinds = TrainingInput(opened, clicks, settings, known, masks_of(mask, opened), validation, truth)
    inputs = [checked_input(part, device, reporter) for part in by_kind(all_kinds, diameters)]
    click_files = [file for paths in files.values() for file in paths]
    warnings = list[str]()
    for part in inputs:
        kind_files = files.get(part.kind, click_files) if part.kind else click_files
        if dry_run:
            read_files = [file for path in kind_files for file in files_of_picks(path)]
            plan = training_plan(part, read_files, coordinates.units)
            reporter.table([*plan, ("model", f"{output} (not written: this is a dry run)")])
        if check:
            warnings += check_clicks(part.clicked_tomograms, part.clicks, part.settings.particle_diameter, kind_files)
    for warning in warnings:
        reporter.warn(warning)
    if dry_run:
        return
    recorded = {"picks": click_files, "negatives": [file for paths in negative_files.values() for file in paths]}
    train_to_file(inputs, output, files=recorded, device=device, resume=resume, callback=reporter)
    for warning in warnings:
        reporter.log(f"Remember: {warning}")
    reporter.log(f"\nNext: tomopicker pick TOMOGRAM... --model {output} --output picks")
