"""``tomopicker train``: from clicks to a model file."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from tomopicker.cli.groups import CoordinateOptions, TomogramOptions
from tomopicker.cli.options import INPUT, MORE, Device, DryRun, Invert, Mask, Resume, StartAnew, Tomograms, option
from tomopicker.cli.progress import Reporter
from tomopicker.cli.settings import SettingsOptions
from tomopicker.errors import UsageError
from tomopicker.files import check_writable

HELP = """Train a model to pick a particle, from clicks in one or a few tomograms.

[bold]Examples[/bold]

  [cyan]tomopicker train TS_0001.mrc --picks clicks.star --particle-diameter 300 --output ribosome.model[/cyan]
  [cyan]tomopicker train TS_0001.mrc TS_0002.mrc --picks clicks/*.csv --particle-diameter 300 \\
      --preset paper --expected-particles 500 --output paper.model[/cyan]
  [cyan]tomopicker train TS_0001.mrc --picks ribosome=a.star --picks fas=b.star \\
      --particle-diameter ribosome=300 --particle-diameter fas=270 --output both.model[/cyan]

Click the centres of 5 to 100 particles; the others need not be marked. Clicks are matched to tomograms by the name in
their tomogram column, else by the name of their file.

[bold]Several kinds[/bold] of particle, named before the files or in a column [bold]kind[/bold], make one model. The
clicks of each kind are known negatives of the others, so that the model separates look-alikes.

The model is one file with all that [cyan]tomopicker pick[/cyan] needs. During training, checkpoints are written next to
it (MODEL.*.ckpt): after Ctrl-C, a scheduler's SIGTERM or a power cut, repeat the command with [cyan]--resume[/cyan]."""


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
            unit="[KIND=]FILE",
            panel=INPUT,
        ),
    ],
    given: SettingsOptions,
    reading: TomogramOptions,
    coordinates: CoordinateOptions,
    negatives: Annotated[
        list[Path] | None,
        option(
            "Rejected picks: places that look like the particle and are not. Same formats as --picks; repeat it. Those "
            "of a named kind are negatives of that kind.",
            unit="[KIND=]FILE",
            panel=INPUT,
        ),
    ] = None,
    mask: Mask = None,
    invert: Invert = False,
    validation_tomogram: Annotated[
        list[Path] | None, option("A tomogram to validate the training on; never trained on.", unit="FILE", panel=INPUT)
    ] = None,
    validation_picks: Annotated[
        list[Path] | None, option("All particles that are known in it.", unit="[KIND=]FILE", panel=INPUT)
    ] = None,
    device: Device = None,
    resume: Resume = False,
    overwrite: StartAnew = False,
    check: Annotated[
        bool,
        option(
            "First test whether the clicks lie on particles, as 'tomopicker check' does, and stop if they do not.",
            "--check/--no-check",
            panel=MORE,
        ),
    ] = True,
    dry_run: DryRun = False,
) -> None:
    """Parse, open, and train."""
    from tomopicker.cli.kinds import files_by_kind, listed, read_by_kind
    from tomopicker.pipeline.resume import how_to_go_on, is_finished

    settings = given.resolve(preprocess__mask=mask if mask in {"auto", "none"} else None)
    if settings.network.head == "discriminant":
        _refuse_training(given, validation_tomogram)
    if bool(validation_tomogram) != bool(validation_picks):
        raise UsageError("--validation-tomogram and --validation-picks go together; give both or neither")
    with Reporter(lambda: how_to_go_on(output)) as reporter:
        if is_finished(output, reporter, resume=resume, overwrite=overwrite, dry_run=dry_run):
            return
        check_writable(output.parent)
        volumes, clicks_files = _sorted_by_kind(tomograms, picks, [*(validation_picks or []), *(negatives or [])])
        opened = reading.open(volumes, reporter, invert=invert)
        watched = reading.open(validation_tomogram or [], reporter, invert=invert)
        from tomopicker.cli.train_plan import check_kinds
        from tomopicker.io.masks import masks_of
        from tomopicker.picks import Picks
        from tomopicker.pipeline.train import train_to_file
        from tomopicker.pipeline.training_input import check_distinct, leave_out_unclicked, training_inputs

        check_distinct(opened, watched)
        units = coordinates.units
        files, negative_files, truth_files = (
            files_by_kind(paths or []) for paths in (clicks_files, negatives, validation_picks)
        )
        read = partial(read_by_kind, reporter=reporter, class_numbers=bool(given.diameters))
        clicks = read(files, opened, units=units)
        diameters = given.diameters_of(clicks.kind_names)
        # --class selects among the clicks only.
        any_class: dict[str, Any] = {"units": units.of_any_class, "keeps_classes": True, "takes_classes": False}
        rejected = read(negative_files, opened, **any_class) if negatives else None
        # Without training, rejected picks alone are something to know of a tomogram, too.
        known = [rejected] if rejected is not None and settings.network.head == "discriminant" else []
        opened = leave_out_unclicked(opened, Picks.concatenate([clicks, *known]), reporter)
        truth = read(truth_files, watched, units=units) if watched else None
        inputs: dict[str, Any] = {
            "particle_diameters": diameters, "rejected": rejected, "masks": masks_of(mask, opened),
            "validation_tomograms": watched, "validation_picks": truth,
        }  # fmt: skip
        clicks, doubts = check_kinds(
            training_inputs(opened, clicks, settings, **inputs), files, output, reporter, units=units,
            device=device, check=check, dry_run=dry_run,
        )  # fmt: skip
        if dry_run:
            return
        train_to_file(
            opened, clicks, settings, output, device=device, resume=resume, callback=reporter,
            files={"picks": listed(files), "negatives": listed(negative_files)}, **inputs,
        )  # fmt: skip
        for doubt in doubts:
            reporter.log(f"Remember: {doubt}")
        reporter.log(f"\nNext: tomopicker pick TOMOGRAM... --model {output} --output picks")


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
    unused = [
        name.partition(".")[2]
        for name in ("objective.loss", "training.steps", "training.epochs")
        if name in given.given
    ]
    unused += ["validation-tomogram"] if validation_tomogram else []
    if unused:
        raise UsageError(f"--{unused[0]}: nothing is trained with --preset instant; leave it out")
