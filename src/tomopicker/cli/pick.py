"""``tomopicker pick``: from a model and tomograms to picks in STAR and CSV."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tomopicker.cli.cut import MaxParticles, TargetFdr, TargetPrecision, Threshold, the_cut
from tomopicker.cli.masks import PickMask, masks_for, read_mask
from tomopicker.cli.options import MORE, PICKING, Axes, Dataset, Device, Invert, VoxelSize
from tomopicker.errors import TomoPickerError, UsageError

if TYPE_CHECKING:
    from tomopicker.cli.pick_folder import PickFolder
    from tomopicker.cli.progress import Reporter
    from tomopicker.engine.checkpoint import Model
    from tomopicker.workflow.pick import Picked

HELP = """Pick the particles in any number of tomograms with a trained model.

[bold]Examples[/bold]

  [cyan]tomopicker pick tomograms/ --model ribosome.model --output picks[/cyan]
  [cyan]tomopicker pick --copick config.json --model ribosome.model --output picks[/cyan]
  [cyan]tomopicker pick TS_0*.mrc --model ribosome.model --output picks --star-format warp[/cyan]

[bold]Written[/bold] to the folder:

  TOMOGRAM.star, TOMOGRAM.csv   the picks of each tomogram
  picks.star, picks.csv         those of all tomograms finished so far
  relion5_import.star           for RELION 5: the list that its import job takes
  candidates/TOMOGRAM.csv       all candidates, down to a probability of 0.01
  picks.json                    the model, the settings, and how each tomogram went

CSV is [cyan]tomogram,x,y,z,score[/cyan], in voxels, 0 at the centre of the first. The [bold]score[/bold] is the
estimated probability that the pick is a particle. Left alone, each tomogram's list is cut where the expected F1 is
best; [cyan]tomopicker threshold[/cyan] cuts it elsewhere afterwards, in seconds.

A tomogram that fails does not stop the others. The same command again skips what is done and tries the rest."""

COPICK = "copick"

OutputFolder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.", show_default=False)
]
StarFormat = Literal["relion5", "relion4", "relion3", "warp"]


def command(
    model: Annotated[
        Path, typer.Option("--model", "-m", metavar="MODEL", help="From tomopicker train.", show_default=False)
    ],
    output: OutputFolder,
    tomograms: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[TOMOGRAM]...",
            help="Tomograms, or folders of them: MRC, OME-Zarr, HDF5, TIFF, EM.",
            show_default=False,
        ),
    ] = None,
    threshold: Threshold = None,
    target_precision: TargetPrecision = None,
    target_fdr: TargetFdr = None,
    max_particles: MaxParticles = None,
    min_distance: Annotated[
        float | None,
        typer.Option(
            metavar="Å",
            help="Least distance of two picks.  [dim]\\[default: 0.7 particle diameters; paper: 0.5][/dim]",
            rich_help_panel=PICKING,
        ),
    ] = None,
    mask: PickMask = None,
    star_format: Annotated[
        StarFormat, typer.Option(help="Whose STAR files to write; warp is for Warp and M.", rich_help_panel=PICKING)
    ] = "relion5",
    save_scores: Annotated[
        bool,
        typer.Option(
            "--save-scores",
            help="Write TOMOGRAM_scores.mrc too: the score of every working voxel, float32.",
            rich_help_panel=PICKING,
        ),
    ] = False,
    copick: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Configuration of a copick project: picks in its tomograms and writes its picks too.",
            rich_help_panel=COPICK,
        ),
    ] = None,
    copick_tomogram: Annotated[
        str | None,
        typer.Option(metavar="TYPE[@Å]", help="Which tomogram of each run, such as wbp@10.", rich_help_panel=COPICK),
    ] = None,
    copick_object: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The particle as the project names it.  [dim]\\[default: the only one][/dim]",
            rich_help_panel=COPICK,
        ),
    ] = None,
    copick_session: Annotated[
        str, typer.Option(metavar="ID", help="Session of the picks; their user is tomopicker.", rich_help_panel=COPICK)
    ] = "1",
    voxel_size: VoxelSize = None,
    dataset: Dataset = None,
    axes: Axes = None,
    invert: Invert = False,
    device: Device = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Pick again what is done already.", rich_help_panel=MORE)
    ] = False,
) -> None:
    """Parse, open, and pick."""
    from tomopicker.cli.inputs import check_writable
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.pick_folder import PickFolder, PickSettings
    from tomopicker.cli.progress import Reporter

    cut = the_cut(threshold, target_precision, target_fdr, max_particles)
    _check_distance(min_distance)
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
        asked = PickSettings(
            cut, min_distance, star_format, save_scores, voxel_size, invert, device, dataset, axes, masks.way
        )
        folder = PickFolder.open(output, model, loaded, asked, overwrite=overwrite)
        choose_device(device)
        reporter.say(
            f"{model}: particles of {loaded.settings.particle_diameter:g} Å, voxels of {loaded.voxel_size:.4g} Å."
        )
        failed = broken + pick_files(files, loaded, folder, reporter, masks=masks.files, overwrite=overwrite)
        if target is not None:
            target.write(folder, reporter, overwrite=overwrite)
        if failed:
            reporter.say(f"{failed} of {len(files) + broken} tomograms failed.")
            raise typer.Exit(1)


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
        mask=asked.mask if mask is None else read_mask(mask), device=choose_device(asked.device), listener=reporter,
    )  # fmt: skip
    reporter.end_bar()
    folder.add(tomogram, picked, mask, started)
    expected = picked.expected
    reporter.say(
        f"{tomogram.name}: {len(picked.picks)} picks (threshold {picked.threshold:.3f}; about {expected.particles:.0f} "
        f"particles, expected precision {expected.precision:.2f}, recall {expected.recall:.2f}), "
        f"{_left(picked)}{time.monotonic() - started:.1f} s."
    )
    if not len(picked.picks):
        reporter.warn(f"{file}: nothing is above {picked.threshold:.3g}, so there are no picks; lower --threshold")


def _left(picked: "Picked") -> str:
    """Say how much of the volume was looked at, where it is not all."""
    share = picked.working.share
    return "" if share == 1 else f"in {100 * share:.0f} % of the volume, "


def _check_distance(min_distance: float | None) -> None:
    if min_distance is not None and not 0 < min_distance < math.inf:
        raise UsageError(f"--min-distance {min_distance:g} cannot be; give a distance in Å")


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
