"""``tomopicker pick``: from a model and tomograms to picks in STAR and CSV."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tomopicker.cli.groups import EngineOptions, SelectionOptions, TomogramOptions, existing_volumes
from tomopicker.cli.options import (
    INPUT,
    MORE,
    PICKING,
    Device,
    DryRun,
    OutputFolder,
    Overwrite,
    PickMask,
    Pictures,
    SomeTomograms,
    check_positive,
    option,
    switch,
)
from tomopicker.cli.progress import Reporter
from tomopicker.errors import UsageError
from tomopicker.files import check_writable

COPICK = "copick"

HELP = """Pick the particles in any number of tomograms with a trained model.

[bold]Examples[/bold]

  [cyan]tomopicker pick tomograms/ --model ribosome.model --output picks[/cyan]
  [cyan]tomopicker pick --copick config.json --model ribosome.model --output picks[/cyan]
  [cyan]tomopicker pick TS_0*.mrc --model ribosome.model --output picks --star-format warp[/cyan]
  [cyan]tomopicker pick tomograms/ --model ribosome.model --output picks --engine local[/cyan]
  [cyan]tomopicker pick TS_*.mrc -m ribosome.model -o picks --engine slurm --workers 9 --job '--gpus=1'[/cyan]

[bold]Written[/bold] to the folder:

  TOMOGRAM.star, TOMOGRAM.csv   the picks of each tomogram
  TOMOGRAM.png                  the section with most of them, a box around each
  picks.star, picks.csv         those of all tomograms finished so far
  relion5_import.star           the list for RELION 5's import job
  report.html                   the results on one page
  candidates/TOMOGRAM.csv       all candidates, down to a probability of 0.01
  picks.json                    the model, the settings, and the outcome of each tomogram

With a model of several kinds these files hold all of them, named in a column [bold]kind[/bold] and in STAR numbered in
[bold]rlnClassNumber[/bold]; TOMOGRAM.KIND.star, picks.KIND.star and so on hold one each. Each position gets one kind,
the most probable.

CSV is [cyan]tomogram,x,y,z,score[/cyan], in voxels; 0 is the centre of the first voxel. The [bold]score[/bold] is the
estimated probability that the pick is a particle. By default each tomogram gets the threshold of the highest expected
F1; [cyan]tomopicker threshold[/cyan] sets another one afterwards, in seconds.

With a tomograms.star of RELION 5 as the list of tomograms, optimisation_set.star joins it to the picks.
A tomogram that fails does not stop the others. The same command again skips what is done and picks the rest;
[cyan]tomopicker status picks[/cyan] shows the progress of a run from any machine."""


def command(
    model: Annotated[Path, option("From tomopicker train.", "--model", "-m", unit="MODEL")],
    output: OutputFolder,
    selection: SelectionOptions,
    reading: TomogramOptions,
    engine: EngineOptions,
    tomograms: SomeTomograms = None,
    min_distance: Annotated[
        float | None,
        option(
            "Least distance between two picks.", unit="Å", default="0.7 particle diameters; paper: 0.5", panel=PICKING
        ),
    ] = None,
    mask: PickMask = None,
    star_format: Annotated[
        Literal["relion5", "relion4", "relion3", "warp"],
        option("Whose STAR files to write; warp is for Warp and M.", panel=PICKING),
    ] = "relion5",
    save_scores: Annotated[
        bool, switch("Write TOMOGRAM_scores.mrc too: float32, at the network's resolution.", "--save-scores", PICKING)
    ] = False,
    pictures: Pictures = True,
    copick: Annotated[
        Path | None,
        option("Configuration of a copick project, to pick from and write to.", unit="CONFIG", panel=COPICK),
    ] = None,
    copick_tomogram: Annotated[
        str | None, option("Which tomogram of each run, such as wbp@10.", unit="TYPE[@Å]", panel=COPICK)
    ] = None,
    copick_object: Annotated[
        list[str] | None,
        option(
            "The particle as the project names it; of several kinds as in fas=synthase, may be repeated.",
            unit="NAME",
            default="the only one, or that of the kind's name",
            panel=COPICK,
        ),
    ] = None,
    copick_session: Annotated[
        str, option("Session of the picks; their user is tomopicker.", unit="ID", panel=COPICK)
    ] = "1",
    invert: Annotated[
        bool | None,
        option("Protein is bright in the tomograms.", "--invert/--no-invert", default="as in training", panel=INPUT),
    ] = None,
    device: Device = None,
    overwrite: Overwrite = False,
    retry_failed: Annotated[
        bool, switch("Pick unchanged tomograms again that failed before.", "--retry-failed", MORE)
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Parse, open, and pick."""
    from tomopicker import api
    from tomopicker.cli.pick_run import pick_files, print_pick_plan
    from tomopicker.io import volume_files
    from tomopicker.io.masks import masks_for
    from tomopicker.models.precision import choose_device
    from tomopicker.output.copick import CopickTarget
    from tomopicker.output.pick_folder import PickFolder
    from tomopicker.output.record import PickSettings
    from tomopicker.pipeline.provenance import trained_inverted

    cut = selection.cut()
    check_positive("--min-distance", min_distance)
    on = engine.settings()
    with Reporter(lambda: "finished tomograms are kept; repeat the command to pick the others") as reporter:
        if copick is None and (copick_tomogram or copick_object):
            raise UsageError("--copick-tomogram and --copick-object need --copick CONFIG; give it too")
        target = None if copick is None else CopickTarget.open(copick, copick_tomogram, copick_session)
        listed = [*(tomograms or []), *(target.tomograms if target else [])]
        if not listed:
            raise UsageError("no tomogram is given; name files or folders, or --copick CONFIG")
        found, broken = existing_volumes(listed, reporter)
        files = volume_files(found)  # Refuses two of one name.
        masks = masks_for(mask, files)
        check_writable(output)
        loaded = api.load_model(model)
        if target is not None:
            target = target.with_objects(list(loaded.kinds) if loaded.others else [], copick_object or [])
        bright = trained_inverted(loaded.provenance)
        if invert is None and bright:
            reporter.log(f"{model}: was trained with --invert, so protein is taken to be bright (--no-invert: dark).")
        invert = bright if invert is None else invert
        pick_settings = PickSettings(
            cut, min_distance, star_format, save_scores, reading.options(invert=invert), device, masks.mode, pictures,
            project_of(listed),
        )  # fmt: skip
        folder = PickFolder.open(output, model, loaded, pick_settings, overwrite=overwrite)
        choose_device(device)
        for kind, each in loaded.kinds.items():
            called = f"{model}: {kind}" if loaded.others else f"{model}"
            reporter.log(
                f"{called}: particles of {each.settings.particle_diameter:g} Å, voxels of {each.voxel_size:.4g} Å."
            )
            for doubt in each.warnings:
                reporter.warn(f"{called}: {doubt}")
        if dry_run:
            print_pick_plan(files, folder, model, on, reporter, masks=masks.files)
            return
        failed = broken + pick_files(
            files, model, loaded, folder, reporter, masks=masks.files, cluster=on, retry_failed=retry_failed
        )
        unwritten = [] if target is None else target.write(folder, reporter, overwrite=overwrite)
        for error in unwritten:
            reporter.failed(error)
        if failed:
            reporter.log(f"{failed} of {len(files) + broken} tomograms failed.")
        if failed or unwritten:
            raise typer.Exit(1)


def project_of(listed: list[Path]) -> Path | None:
    """Give the tomograms.star of RELION 5 that is the only list of tomograms given; None if there is none."""
    projects = [path for path in listed if path.suffix.lower() == ".star"]
    return projects[0].absolute() if len(projects) == 1 == len(listed) else None
