"""Pick the particles in any number of tomograms with a trained model.

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
[cyan]tomopicker status picks[/cyan] shows the progress of a run from any machine.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from tomopicker.cli.groups import EngineOptions, SelectionOptions, TomogramOptions, existing_volumes
from tomopicker.cli.options import (
    INPUT,
    MASK,
    MORE,
    PICKING,
    Device,
    DryRun,
    OutputFolder,
    Overwrite,
    Pictures,
    SettingOptions,
    SomeTomograms,
    option,
)
from tomopicker.cli.progress import Reporter
from tomopicker.config import fields_of
from tomopicker.errors import UsageError
from tomopicker.files import check_writable
from tomopicker.output.settings import CopickSettings
from tomopicker.parsing import check_positive

Format = Literal["relion5", "relion4", "relion3", "warp"]


class CopickOptions(SettingOptions, fields=fields_of(CopickSettings)):
    """A copick project, to pick from and write to."""


def command(
    *,
    tomograms: SomeTomograms = None,
    model: Path = option(..., "Model file of tomopicker train.", "--model", "-m", unit="MODEL"),
    output: OutputFolder,
    selection: SelectionOptions,
    min_distance: float | None = option(
        None, "Minimum distance between two picks.", unit="Å", words="0.7 particle diameters; paper: 0.5", panel=PICKING
    ),
    mask: str | None = option(None, MASK, unit="auto|none|FILE", words="as in training", panel=PICKING),
    star_format: Format = option(
        "relion5", "Type of STAR files to write; warp is for Warp and M.", panel=PICKING
    ),
    save_scores: bool = option(
        False, "Also write TOMOGRAM_scores.mrc: float32, at the network's resolution.", "--save-scores", panel=PICKING
    ),
    pictures: Pictures = True,
    reading: TomogramOptions,
    invert: bool | None = option(
        None, "Protein is bright in the tomograms.", "--invert/--no-invert", words="as in training", panel=INPUT
    ),
    engine: EngineOptions,
    project: CopickOptions,
    device: Device = None,
    overwrite: Overwrite = False,
    retry_failed: bool = option(
        False, "Retry tomograms that failed before and have not changed.", "--retry-failed", panel=MORE
    ),
    dry_run: DryRun = False,
    reporter: Reporter,
) -> int:  # fmt: skip
    """Pick the tomograms that are not finished."""
    from tomopicker import api
    from tomopicker.cluster.pick_many import pick_into, pick_plan
    from tomopicker.io.masks import masks_for
    from tomopicker.io.projects.tomogram_lists import only_list
    from tomopicker.io.volumes.open import volume_files
    from tomopicker.models.precision import choose_device
    from tomopicker.output.copick import CopickTarget
    from tomopicker.output.pick_folder import PickFolder
    from tomopicker.output.picks_report import try_report
    from tomopicker.output.record import PickSettings
    from tomopicker.pipeline.provenance import announce_model, trained_inverted

    chosen, on = selection.selection(), engine.settings()
    check_positive("--min-distance", min_distance)
    reporter.advice = lambda: "finished tomograms are kept; repeat the command to pick the others"
    copick = project.validated(CopickSettings)
    target = CopickTarget.open(copick)
    listed = [*(tomograms or []), *(target.tomograms if target else [])]
    if not listed:
        raise UsageError("no tomogram is given; name files or folders, or --copick CONFIG")
    found, missing = existing_volumes(listed, reporter)
    files = volume_files(found)  # Refuses two of one name.
    masks = masks_for(mask, files)
    check_writable(output)
    loaded = api.load_model(model)
    if target is not None:
        target = target.with_objects(list(loaded.kinds) if loaded.others else [], copick.copick_object)
    invert = trained_inverted(model, loaded, reporter) if invert is None else invert
    settings = PickSettings(
        chosen, min_distance, star_format, save_scores, replace(reading.options, invert=invert),
        device, masks.mode, pictures, only_list(listed),
    )  # fmt: skip
    folder = PickFolder.open(output, model, loaded, settings, overwrite=overwrite)
    choose_device(device)
    announce_model(model, loaded, reporter)
    if dry_run:
        for line in pick_plan(files, folder, model, masks.files, on):
            reporter.log(line)
        return 0
    done = pick_into(
        folder, files, model, loaded, masks=masks.files, cluster=on, retry_failed=retry_failed,
        on_event=reporter.print_events(on_workers=on is not None), callback=reporter,
    )  # fmt: skip
    reporter.end_bar()
    if done.remark:
        reporter.warn(done.remark)
    for line in done.lines(output):
        reporter.log(line)
    if done.counts and pictures:
        try_report(output, reporter)
    unwritten = [] if target is None else target.write(folder, reporter, overwrite=overwrite)
    for error in unwritten:
        reporter.failed(error)
    failed = missing + len(done.failures)
    if failed:
        reporter.log(f"{failed} of {len(files) + missing} tomograms failed.")
    return 1 if failed or unwritten else 0
