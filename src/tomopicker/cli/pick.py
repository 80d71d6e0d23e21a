"""``tomopicker pick``: from a model and tomograms to picks in STAR and CSV."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tomopicker.cli.cluster_options import (
    Cluster,
    DryRun,
    Engine,
    Job,
    Scheduler,
    Tls,
    Walltime,
    Workers,
    cluster_from,
)
from tomopicker.cli.cut import MaxParticles, TargetFdr, TargetPrecision, Threshold, the_cut
from tomopicker.cli.masks import PickMask, masks_for
from tomopicker.cli.options import Axes, Dataset, Device, PickInvert, VoxelSize
from tomopicker.cli.pick_options import (
    Copick,
    CopickObject,
    CopickSession,
    CopickTomogram,
    MinDistance,
    ModelFile,
    OutputFolder,
    Overwrite,
    Pictures,
    RetryFailed,
    SaveScores,
    SomeTomograms,
    StarFormat,
)
from tomopicker.errors import TomoPickerError, UsageError

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter

HELP = """Pick the particles in any number of tomograms with a trained model.

[bold]Examples[/bold]

  [cyan]tomopicker pick tomograms/ --model ribosome.model --output picks[/cyan]
  [cyan]tomopicker pick --copick config.json --model ribosome.model --output picks[/cyan]
  [cyan]tomopicker pick TS_0*.mrc --model ribosome.model --output picks --star-format warp[/cyan]
  [cyan]tomopicker pick tomograms/ --model ribosome.model --output picks --engine local[/cyan]
  [cyan]tomopicker pick tomograms/ -m ribosome.model -o picks --engine slurm --workers 16 --job '--gpus=1'[/cyan]

[bold]Written[/bold] to the folder:

  TOMOGRAM.star, TOMOGRAM.csv   the picks of each tomogram
  TOMOGRAM.png                  the section that most of them lie near, a box around each
  picks.star, picks.csv         those of all tomograms finished so far
  relion5_import.star           for RELION 5: the list that its import job takes
  candidates/TOMOGRAM.csv       all candidates, down to a probability of 0.01
  picks.json                    the model, the settings, and how each tomogram went

With a model of several kinds these files hold all of them, named in a column [bold]kind[/bold] and in STAR numbered in
[bold]rlnClassNumber[/bold]; TOMOGRAM.KIND.star, picks.KIND.star and so on hold one each. A place is of one kind, the
most probable there.

CSV is [cyan]tomogram,x,y,z,score[/cyan], in voxels, 0 at the centre of the first. The [bold]score[/bold] is the
estimated probability that the pick is a particle. Left alone, each tomogram gets the threshold of the
best expected F1; [cyan]tomopicker threshold[/cyan] sets another one afterwards, in seconds.

With a tomograms.star of RELION 5 as the list of tomograms, optimisation_set.star joins it to the picks.
A tomogram that fails does not stop the others. The same command again skips what is done and picks the rest;
[cyan]tomopicker status picks[/cyan] shows from any machine how a run stands."""


def command(
    model: ModelFile,
    output: OutputFolder,
    tomograms: SomeTomograms = None,
    threshold: Threshold = None,
    target_precision: TargetPrecision = None,
    target_fdr: TargetFdr = None,
    max_particles: MaxParticles = None,
    min_distance: MinDistance = None,
    mask: PickMask = None,
    star_format: StarFormat = "relion5",
    save_scores: SaveScores = False,
    pictures: Pictures = True,
    copick: Copick = None,
    copick_tomogram: CopickTomogram = None,
    copick_object: CopickObject = None,
    copick_session: CopickSession = "1",
    voxel_size: VoxelSize = None,
    dataset: Dataset = None,
    axes: Axes = None,
    invert: PickInvert = None,
    device: Device = None,
    overwrite: Overwrite = False,
    retry_failed: RetryFailed = False,
    engine: Engine = None,
    workers: Workers = None,
    job: Job = None,
    walltime: Walltime = None,
    cluster: Cluster = None,
    scheduler: Scheduler = None,
    tls: Tls = None,
    dry_run: DryRun = False,
) -> None:
    """Parse, open, and pick."""
    from tomopicker.cli.inputs import check_writable
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.pick_run import pick_files
    from tomopicker.cli.progress import Reporter
    from tomopicker.folder.pick_folder import PickFolder
    from tomopicker.folder.settings import PickSettings

    cut = the_cut(threshold, target_precision, target_fdr, max_particles)
    _check_distance(min_distance)
    on = cluster_from(engine, workers, job, walltime, cluster, scheduler, tls)
    with (
        Reporter() as reporter,
        interruptible(lambda: "finished tomograms stay; repeat the command to go on with the others"),
    ):
        target = None
        if copick is not None:
            from tomopicker.cli.copick import CopickTarget

            target = CopickTarget.open(copick, copick_tomogram, copick_object, copick_session)
        elif copick_tomogram or copick_object:
            raise UsageError("--copick-tomogram and --copick-object need --copick CONFIG; give it too")
        listed = [*(tomograms or []), *(target.tomograms if target else [])]
        if not listed:
            raise UsageError("no tomogram is given; name files or folders, or --copick CONFIG")
        files, broken = _existing(listed, reporter)
        masks = masks_for(mask, files)
        check_writable(output)
        from tomopicker import api
        from tomopicker.engine.precision import choose_device

        loaded = api.load_model(model)
        if target is not None and loaded.others:
            raise UsageError(
                f"--copick writes one kind of particle, and {model} picks {', '.join(loaded.kinds)}; leave it out, and "
                "convert picks.KIND.star of each ('tomopicker convert --to copick')"
            )
        from tomopicker.workflow.provenance import trained_inverted

        bright = trained_inverted(loaded.provenance)
        if invert is None and bright:
            reporter.say(f"{model}: was trained with --invert, so protein is taken to be bright (--no-invert: dark).")
        invert = bright if invert is None else invert
        asked = PickSettings(
            cut, min_distance, star_format, save_scores, voxel_size, invert, device, dataset, axes, masks.way,
            pictures, project_of(listed),
        )  # fmt: skip
        folder = PickFolder.open(output, model, loaded, asked, overwrite=overwrite)
        choose_device(device)
        for kind, each in loaded.kinds.items():
            called = f"{model}: {kind}" if loaded.others else f"{model}"
            reporter.say(
                f"{called}: particles of {each.settings.particle_diameter:g} Å, voxels of {each.voxel_size:.4g} Å."
            )
            for doubt in each.warnings:
                reporter.warn(f"{called}: {doubt}")
        if dry_run:
            from tomopicker.cli.pick_plan import print_pick_plan

            print_pick_plan(files, folder, model, on, reporter, masks=masks.files)
            return
        failed = broken + pick_files(
            files, model, loaded, folder, reporter, masks=masks.files, cluster=on, retry_failed=retry_failed
        )
        unwritten = 0 if target is None else target.write(folder, reporter, overwrite=overwrite)
        if failed:
            reporter.say(f"{failed} of {len(files) + broken} tomograms failed.")
        if failed or unwritten:
            raise typer.Exit(1)


def _check_distance(min_distance: float | None) -> None:
    if min_distance is not None and not 0 < min_distance < math.inf:
        raise UsageError(f"--min-distance {min_distance:g} cannot be; give a distance in Å")


def project_of(listed: list[Path]) -> Path | None:
    """Give the tomograms.star of RELION 5 that is the only list of tomograms given; None if there is none."""
    projects = [path for path in listed if path.suffix.lower() == ".star"]
    return projects[0].absolute() if len(projects) == 1 == len(listed) else None


def _existing(paths: list[Path], reporter: "Reporter") -> tuple[list[Path], int]:
    """List the tomograms that are there; say which are not, and count them."""
    from tomopicker import formats

    found: list[Path] = []
    missing = 0
    for path in paths:
        try:
            found += formats.volume_files(path)
        except TomoPickerError as error:
            missing += 1
            reporter.failed(error)
    if not found:
        raise typer.Exit(1)
    return formats.volume_files(found), missing
