"""``tomopicker train``: from clicks to a model file."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tomopicker.cli.masks import METAVAR
from tomopicker.cli.options import (
    INPUT,
    MORE,
    Axes,
    Classes,
    Dataset,
    Device,
    FromFormat,
    Invert,
    PicksPixelSize,
    PicksUnit,
    Tomograms,
    VoxelSize,
)
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.cli.inputs import Counted
    from tomopicker.cli.progress import Reporter
    from tomopicker.config import Settings
    from tomopicker.engine.checkpoint import Model
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram
    from tomopicker.types import VoxelMask

METHOD = "Method"

HELP = """Learn a particle from clicks in one or a few tomograms.

[bold]Examples[/bold]

  [cyan]tomopicker train TS_0001.mrc --picks clicks.star --particle-diameter 300 --output ribosome.model[/cyan]
  [cyan]tomopicker train TS_0001.mrc TS_0002.mrc --picks clicks/*.csv --particle-diameter 300 \\
      --preset paper --expected-particles 500 --output paper.model[/cyan]

  [cyan]tomopicker train TS_0001.mrc --picks ribosome=a.star --picks fas=b.star --particle-diameter ribosome=300 \\
      --particle-diameter fas=270 --output both.model[/cyan]

Click the centres of 5 to 100 particles; the others need not be marked. Clicks are matched to
tomograms by name: by the column that names one, else by the name of the file.

[bold]Several kinds[/bold] of particle, named before the files or in a column [bold]kind[/bold], make one model; clicks
of each are known negatives of the others, so that look-alikes are told apart.

The model is one file that holds all that [cyan]tomopicker pick[/cyan] needs. While training runs, checkpoints lie
beside it (MODEL.*.ckpt): after Ctrl-C, a scheduler's SIGTERM or a power cut repeat the command with
[cyan]--resume[/cyan]."""


def command(
    tomograms: Tomograms,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MODEL", help="The model file to write.", show_default=False)
    ],
    picks: Annotated[
        list[Path],
        typer.Option(
            "--picks",
            "-p",
            metavar="[KIND=]FILE",
            help="Clicks: STAR, CSV, text with x, y, z, or another format that 'tomopicker formats' lists. Repeat "
            "it, or list several files.",
            rich_help_panel=INPUT,
            show_default=False,
        ),
    ],
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="[KIND=]FILE",
            help="What looks like the particle and is not: picks that were rejected. Read as --picks are; repeat it. "
            "Of several kinds, for all that it does not name.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            metavar=METAVAR,
            help="Where the specimen is. auto: find the lamella; none: everywhere; or an MRC that is 1 in it, for "
            "several tomograms a folder of masks named after them.  [dim]\\[default: auto; paper: none][/dim]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    particle_diameter: Annotated[
        list[str] | None,
        typer.Option(
            "--particle-diameter",
            "-d",
            metavar="[KIND=]Å",
            help="Diameter of the particle. Needed, here or in --config. Repeat it for several kinds.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    voxel_size: VoxelSize = None,
    dataset: Dataset = None,
    axes: Axes = None,
    invert: Invert = False,
    from_name: FromFormat = None,
    picks_unit: PicksUnit = None,
    picks_pixel_size: PicksPixelSize = None,
    classes: Classes = None,
    validation_tomogram: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A tomogram to follow the training on; never trained on.", rich_help_panel=INPUT
        ),
    ] = None,
    validation_picks: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="All particles that are known in it.", rich_help_panel=INPUT),
    ] = None,
    preset: Annotated[
        Literal["instant", "fast", "default", "best", "paper"] | None,
        typer.Option(
            help="default: at the particle's own scale, with nothing to tune; instant: no training at all, seconds; "
            "fast: one round of training in place of three; best: four, and four times the picking; paper: the method "
            "as published.  "
            "[dim]\\[default: default][/dim]",
            rich_help_panel=METHOD,
        ),
    ] = None,
    objective: Annotated[
        Literal["kl", "pu", "pn", "distpu"] | None,
        typer.Option(
            help="pn: positive-negative; pu: non-negative positive-unlabelled; kl: KL-regularised; distpu: Dist-PU.  "
            "[dim]\\[default: pn; paper: kl][/dim]",
            rich_help_panel=METHOD,
        ),
    ] = None,
    expected_particles: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="About how many particles a training tomogram holds, clicked or not; not believed where the clicks "
            "contradict it.  [dim]\\[default: "
            "estimated; paper: needed with kl and pu][/dim]",
            rich_help_panel=METHOD,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Optimiser steps of each network; the last of several has 1.6 times as many.  "
            "[dim]\\[default: by the number of clicks, 57 for 5, 114 for 20][/dim]",
            rich_help_panel=METHOD,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Passes over the tomograms, in place of steps.  [dim]\\[paper: 20][/dim]",
            rich_help_panel=METHOD,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Seed of all that is random.  [dim]\\[default: 0][/dim]", rich_help_panel=METHOD
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML with any setting, nested: 'training: {learning_rate: 0.001}'. Flags win over it.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoints of an interrupted run.", rich_help_panel=MORE)
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the model, or start anew where an interrupted run left checkpoints.",
            rich_help_panel=MORE,
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Test beforehand whether the clicks lie on particles, as 'tomopicker check' does, and stop where they "
            "cannot be right.",
            rich_help_panel=MORE,
        ),
    ] = True,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would be done, refuse what would be refused, and write nothing.",
            rich_help_panel=MORE,
        ),
    ] = False,
) -> None:
    """Parse, open, and train."""
    from tomopicker.cli.inputs import Counted, check_writable, open_tomograms
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.kinds import lengths_by_kind
    from tomopicker.cli.masks import masks_of
    from tomopicker.cli.progress import Reporter
    from tomopicker.cli.resume import how_to_go_on, is_finished
    from tomopicker.cli.settings import settings_from

    way = mask if mask in {"auto", "none"} else None
    usual, diameters = lengths_by_kind(particle_diameter or [])
    any_diameter = next(iter(diameters.values()), None) if usual is None else usual
    settings = settings_from(
        config, preset=preset, particle_diameter=any_diameter, expected_particles=expected_particles, seed=seed,
        objective__kind=objective, training__steps=steps, training__epochs=epochs,
        preprocess__mask=way,
    )  # fmt: skip
    if settings.network.head == "discriminant":
        _refuse_training(objective=objective, steps=steps, epochs=epochs, validation_tomogram=validation_tomogram)
    if bool(validation_tomogram) != bool(validation_picks):
        raise UsageError("--validation-tomogram and --validation-picks go together; give both or neither")
    with Reporter() as reporter, interruptible(lambda: how_to_go_on(output)):
        if is_finished(output, reporter, resume=resume, overwrite=overwrite, dry_run=dry_run):
            return
        check_writable(output.parent)
        volumes, clicks_files = _sorted_by_kind(tomograms, picks, [*(validation_picks or []), *(negatives or [])])
        from tomopicker.formats.stored import Stored

        stored = Stored(dataset, axes)
        opened = open_tomograms(volumes, reporter, voxel_size=voxel_size, invert=invert, stored=stored)
        watched = open_tomograms(
            validation_tomogram or [], reporter, voxel_size=voxel_size, invert=invert, stored=stored
        )
        _check_apart(opened, watched)
        counted = Counted(picks_unit, picks_pixel_size, tuple(classes or ()))
        from tomopicker.cli.kinds import files_by_kind
        from tomopicker.cli.train_kinds import Planned, plan_kinds, read_kinds

        positions = partial(
            read_kinds, reporter=reporter, counted=counted, format=from_name, class_numbers=bool(diameters)
        )
        by_kind = files_by_kind(clicks_files)
        clicks_files = [file for files in by_kind.values() for file in files]
        clicks = positions(by_kind, opened)
        rejected = _rejected(negatives or [], opened, reporter, counted, from_name)
        masks = masks_of(mask, opened)
        truth = positions(files_by_kind(validation_picks or []), watched) if watched else None
        _check_clicked(opened, clicks)
        if truth is not None:
            _check_clicked(watched, truth)
        planned = Planned(opened, clicks, watched, truth, settings, diameters, usual, rejected, masks, device)
        clicks, doubts = plan_kinds(planned, by_kind, output, reporter, counted, from_name, check=check, print=dry_run)
        if dry_run:
            return
        train_and_save(
            opened, clicks, settings, output, reporter,
            particle_diameters=diameters, rejected=rejected, masks=masks,
            files={"picks": clicks_files, "negatives": negatives or []}, validation=watched, validation_picks=truth,
            device=device, resume=resume,
        )  # fmt: skip
        for doubt in doubts:
            reporter.say(f"Remember: {doubt}")
        reporter.say(f"\nNext: tomopicker pick TOMOGRAM... --model {output} --output picks")


def train_and_save(
    tomograms: "list[Tomogram]",
    clicks: "Picks",
    settings: "Settings",
    output: Path,
    reporter: "Reporter",
    *,
    particle_diameters: "dict[str, float] | None" = None,
    rejected: "Picks | None" = None,
    masks: "dict[str, VoxelMask] | None" = None,
    files: dict[str, list[Path]] | None = None,
    validation: "list[Tomogram] | None" = None,
    validation_picks: "Picks | None" = None,
    device: str | None = None,
    resume: bool = False,
) -> "Model":
    """Train, write the model, remove the checkpoints and say what was learnt."""
    started = time.monotonic()
    from tomopicker import api
    from tomopicker.cli.resume import discard_checkpoints, remove_checkpoints

    if not resume:
        discard_checkpoints(output, reporter)
    model = api.train(
        tomograms, clicks, settings, particle_diameters=particle_diameters, rejected=rejected, masks=masks,
        validation_tomograms=validation or (), validation_picks=validation_picks, device=device,
        checkpoint=output, resume=resume, listener=reporter,
    )  # fmt: skip
    reporter.end_bar()
    named = {name: [str(path.absolute()) for path in paths] for name, paths in (files or {}).items()}
    model = replace(
        model,
        provenance={**model.provenance, "files": named},
        others=tuple(replace(each, provenance={**each.provenance, "files": named}) for each in model.others),
    )
    api.save_model(output, model)
    remove_checkpoints(output)
    reporter.say(f"Model: {output}, after {time.monotonic() - started:.0f} s.")
    return model


def _rejected(
    files: list[Path],
    tomograms: "list[Tomogram]",
    reporter: "Reporter",
    counted: "Counted",
    from_name: str | None,
) -> "Picks | None":
    """Read what is no particle; the classes that are chosen are those of the particles."""
    from tomopicker.cli.inputs import read_picks
    from tomopicker.cli.kinds import files_by_kind, read_by_kind
    from tomopicker.folder.find import files_of_picks

    if not files:
        return None
    any_class = replace(counted, classes=())

    def read(paths: list[Path]) -> "Picks":
        listed = [file for path in paths for file in files_of_picks(path)]
        return read_picks(
            listed, tomograms, reporter, any_class, ignore_unknown=True, format=from_name, keeps_classes=True
        )  # fmt: skip

    return read_by_kind(files_by_kind(files), read)


def _sorted_by_kind(tomograms: list[Path], picks: list[Path], others: list[Path]) -> tuple[list[Path], list[Path]]:
    from tomopicker.cli.inputs import split_by_kind

    volumes, stray = split_by_kind(tomograms)
    if stray and others:
        raise UsageError(
            f"{stray[0]}: are these --picks, --negatives or --validation-picks? repeat the flag before each file"
        )
    if not volumes:
        raise UsageError("no tomogram is given; name the ones clicked in before --picks")
    return volumes, [*picks, *stray]


def _refuse_training(**flags: object) -> None:
    given = [name for name, value in flags.items() if value]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')}: nothing is trained with --preset instant; leave it out")


def _check_apart(training: "list[Tomogram]", validation: "list[Tomogram]") -> None:
    both = {item.name for item in training} & {item.name for item in validation}
    if both:
        raise UsageError(f"--validation-tomogram {min(both)}: is trained on as well; leave it out of one of them")


def _check_clicked(tomograms: "list[Tomogram]", clicks: "Picks") -> None:
    for tomogram in tomograms:
        if not len(clicks.in_tomogram(tomogram.name)):
            raise UsageError(f"{tomogram.path}: none of the picks given lies in it; leave it out or add picks")
