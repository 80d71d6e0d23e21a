"""``tomopicker train``: from clicks to a model file."""

from pathlib import Path
from typing import Annotated, Any

from tomopicker.cli.options import (
    INPUT,
    MORE,
    CoordinateOptions,
    Device,
    DryRun,
    Invert,
    Mask,
    Resume,
    StartAnew,
    TomogramOptions,
    Tomograms,
    option,
)
from tomopicker.cli.settings import SettingsOptions
from tomopicker.errors import UsageError

HELP = """Train a model to pick a particle, from clicks in one or a few tomograms.

[bold]Examples[/bold]

  [cyan]tomopicker train TS_0001.mrc --picks clicks.star --particle-diameter 300 --output ribosome.model[/cyan]
  [cyan]tomopicker train TS_0001.mrc TS_0002.mrc --picks clicks/*.csv --particle-diameter 300 \\
      --preset paper --expected-particles 500 --output paper.model[/cyan]

Click the centres of 5 to 100 particles, all of one kind; the others need not be marked. Clicks are matched to
tomograms by name: by the column that names one, else by the name of the file.

The model is one file that holds all that [cyan]tomopicker pick[/cyan] needs. While training runs, checkpoints lie
beside it (MODEL.*.ckpt): after Ctrl-C, a scheduler's SIGTERM or a power cut repeat the command with
[cyan]--resume[/cyan]."""


def command(
    tomograms: Tomograms,
    output: Annotated[Path, option("The model file to write.", "--output", "-o", unit="MODEL")],
    picks: Annotated[
        list[Path],
        option(
            "Clicks: STAR, CSV, text with x, y, z, or another format that 'tomopicker formats' lists. Repeat it, or "
            "list several files.",
            "--picks",
            "-p",
            unit="FILE",
            panel=INPUT,
        ),
    ],
    given: SettingsOptions,
    reading: TomogramOptions,
    coordinates: CoordinateOptions,
    negatives: Annotated[
        list[Path] | None,
        option(
            "Negatives picks: what looks like the particle and is not. Read as --picks are; repeat it.",
            unit="FILE",
            panel=INPUT,
        ),
    ] = None,
    mask: Mask = None,
    invert: Invert = False,
    validation_tomogram: Annotated[
        list[Path] | None,
        option("A tomogram to validate the training on; never trained on.", unit="FILE", panel=INPUT),
    ] = None,
    validation_picks: Annotated[
        list[Path] | None, option("All particles that are known in it.", unit="FILE", panel=INPUT)
    ] = None,
    device: Device = None,
    resume: Resume = False,
    overwrite: StartAnew = False,
    check: Annotated[
        bool,
        option(
            "Test beforehand whether the clicks lie on particles, as 'tomopicker check' does, and stop if they cannot.",
            "--check/--no-check",
            panel=MORE,
        ),
    ] = True,
    dry_run: DryRun = False,
) -> None:
    """Parse, open, and train."""
    from tomopicker.cli.inputs import read_picks
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter
    from tomopicker.files import check_writable
    from tomopicker.pipeline.resume import how_to_go_on, is_finished

    settings = given.resolve(preprocess__mask=mask if mask in {"auto", "none"} else None)
    if settings.network.head == "discriminant":
        _refuse_training(given, validation_tomogram)
    if bool(validation_tomogram) != bool(validation_picks):
        raise UsageError("--validation-tomogram and --validation-picks go together; give both or neither")
    with Reporter() as reporter, interruptible(lambda: how_to_go_on(output)):
        if is_finished(output, reporter, resume=resume, overwrite=overwrite, dry_run=dry_run):
            return
        check_writable(output.parent)
        from tomopicker.output.find import files_of_picks

        volumes, clicks_files = _sorted_by_kind(tomograms, picks, [*(validation_picks or []), *(negatives or [])])
        opened = reading.open(volumes, reporter, invert=invert)
        watched = reading.open(validation_tomogram or [], reporter, invert=invert)
        from tomopicker.io.masks import masks_of
        from tomopicker.pipeline.dry_run import check_distinct, check_training, training_plan

        check_distinct(opened, watched)
        units, named = coordinates.units, coordinates.from_format
        files, negative_files, truth_files = (
            [file for path in paths or [] for file in files_of_picks(path)]
            for paths in (clicks_files, negatives, validation_picks)
        )
        clicks, rejected, truth = read_picks(files, opened, reporter, units, format=named), None, None
        if negative_files:  # The classes that are chosen are those of the particles.
            any_class = units.of_any_class
            rejected = read_picks(negative_files, opened, reporter, any_class, keeps_classes=True, format=named)
        masks = masks_of(mask, opened)
        if watched:
            truth = read_picks(truth_files, watched, reporter, units, format=named)
        inputs: dict[str, Any] = {"rejected": rejected, "validation_tomograms": watched, "validation_picks": truth}
        check_training(opened, clicks, settings, masks=masks, device=device, listener=reporter, **inputs)
        from tomopicker.pipeline.training_data import without_repeats

        clicks = without_repeats(clicks, settings.particle_diameter, reporter)
        if dry_run:
            plan = training_plan(opened, clicks, settings, files=files, units=units, format=named, **inputs)
            reporter.table([*plan, ("model", f"{output} (not written: this is a dry run)")])
        from tomopicker.diagnostics.clicks import check_clicks

        doubts = check_clicks(opened, clicks, settings.particle_diameter, clicks_files) if check else []
        for doubt in doubts:
            reporter.warn(doubt)
        if dry_run:
            return
        from tomopicker.pipeline.train_to_file import train_to_file

        train_to_file(
            opened, clicks, settings, output, masks=masks, device=device, resume=resume, listener=reporter,
            files={"picks": clicks_files, "negatives": negatives or []}, **inputs,
        )  # fmt: skip
        for doubt in doubts:
            reporter.say(f"Remember: {doubt}")
        reporter.say(f"\nNext: tomopicker pick TOMOGRAM... --model {output} --output picks")


def _sorted_by_kind(tomograms: list[Path], picks: list[Path], others: list[Path]) -> tuple[list[Path], list[Path]]:
    from tomopicker.output.find import split_by_kind

    volumes, stray = split_by_kind(tomograms)
    if stray and others:
        raise UsageError(
            f"{stray[0]}: are these --picks, --negatives or --validation-picks? repeat the flag before each file"
        )
    if not volumes:
        raise UsageError("no tomogram is given; name the ones clicked in before --picks")
    return volumes, [*picks, *stray]


def _refuse_training(given: SettingsOptions, validation_tomogram: list[Path] | None) -> None:
    """Refuse options of a training where nothing is trained."""
    asked = [
        name.partition(".")[2]
        for name in ("objective.loss", "training.steps", "training.epochs")
        if name in given.given
    ]
    asked += ["validation-tomogram"] if validation_tomogram else []
    if asked:
        raise UsageError(f"--{asked[0]}: nothing is trained with --preset instant; leave it out")
