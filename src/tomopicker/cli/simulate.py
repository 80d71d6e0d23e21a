"""``tomopicker simulate``: tomograms with truth, made by physics."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tomopicker.cli.cluster_options import Cluster, Engine, Job, Scheduler, Tls, Walltime, Workers, cluster_from
from tomopicker.cli.options import MORE
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.types import Positions, Shape

HELP = """Make tomograms with known particles: molecules in a lamella, imaged as a tilt series and reconstructed.

[bold]Examples[/bold]

  [cyan]tomopicker simulate vpp --preset vpp --count 3[/cyan]
  [cyan]tomopicker simulate hard --preset hard --maps maps --shape 480,464,200[/cyan]
  [cyan]tomopicker simulate ts037 --positions TS_037.csv --shape 960,928,500 --preset defocus[/cyan]
  [cyan]tomopicker simulate piece --positions TS_037.csv --positions-offset centre --shape 320,320,240[/cyan]
  [cyan]tomopicker simulate sirt --reconstruction sirt --set scene.n_gold_beads=20 --set imaging.hot_lines=3[/cyan]

Writes, in the folder: TS_0001.mrc and so on; [bold]truth/[/bold] with the target's positions, orientations and class
as CSV and as STAR of RELION 5; [bold]molecules/[/bold], the same of everything else as well; [bold]settings/[/bold],
what each was made with.

[bold]--set[/bold] changes any setting of the scene (lamella, membranes, filaments, gold, ice, clusters, cytosol) or of
the imaging (optics, dose, camera, reconstruction); the names are those in settings/*.json, and
docs/commands/simulate.md explains each.

Presets: [bold]vpp[/bold], a phase plate near focus; [bold]defocus[/bold], 2.5-4.5 µm without one; [bold]easy[/bold],
more dose and little besides the target; [bold]hard[/bold], half the dose, more look-alikes, a denser cytosol. The same
seed gives the same tomogram; a tomogram that is there already is skipped."""

SAMPLE, IMAGING = "Sample", "Imaging"
Preset = Literal["vpp", "defocus", "easy", "hard"]
Scheme = Literal["dose-symmetric", "bidirectional", "continuous"]


def command(
    output: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to.", show_default=False)],
    preset: Annotated[Preset, typer.Option(help="How it is imaged, and what surrounds the target.")] = "vpp",
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many tomograms.")] = 1,
    shape: Annotated[str, typer.Option(metavar="X,Y,Z", help="Size in voxels.")] = "320,320,112",
    voxel_size: Annotated[float, typer.Option(metavar="Å", help="Voxel size.")] = 13.48,
    maps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Density maps of the molecules (MRC, protein positive), in place of built-in ones."
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(metavar="NAME", help="The molecule whose positions are the truth; with --maps, its file's name."),
    ] = "ribosome",
    particles: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Targets a tomogram.  [dim]\\[default: as crowded as yeast cytosol][/dim]"
        ),
    ] = None,
    positions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Put the targets at these positions (voxels, x,y,z); those outside are left out."
        ),
    ] = None,
    positions_offset: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z",
            help="Where in --positions the tomogram's corner lies, in voxels, or [bold]centre[/bold]: take the middle "
            "of a larger layout.  [dim]\\[default: 0,0,0][/dim]",
        ),
    ] = None,
    thickness: Annotated[
        float | None,
        typer.Option(
            metavar="Å",
            help="Of the lamella.  [dim]\\[default: half to two thirds of z, or around --positions][/dim]",
            rich_help_panel=SAMPLE,
        ),
    ] = None,
    lamella_tilt: Annotated[
        float | None,
        typer.Option(
            metavar="°",
            help="Of the lamella out of the xy plane, about y.  [dim]\\[default: a few, drawn; easy: 0][/dim]",
            rich_help_panel=SAMPLE,
        ),
    ] = None,
    tilt_range: Annotated[
        float | None,
        typer.Option(metavar="°", help="Tilts to both sides.  [dim]\\[default: 60][/dim]", rich_help_panel=IMAGING),
    ] = None,
    tilt_step: Annotated[
        float | None,
        typer.Option(metavar="°", help="Between tilts.  [dim]\\[default: 3][/dim]", rich_help_panel=IMAGING),
    ] = None,
    tilt_scheme: Annotated[
        Scheme | None,
        typer.Option(
            help="Order of the tilts: later ones are more damaged.  [dim]\\[default: dose-symmetric][/dim]",
            rich_help_panel=IMAGING,
        ),
    ] = None,
    defocus: Annotated[
        float | None,
        typer.Option(
            metavar="µm",
            help="Underfocus positive.  [dim]\\[default: drawn, see Presets][/dim]",
            rich_help_panel=IMAGING,
        ),
    ] = None,
    dose: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="e/Å²",
            help="Of the whole series; 0: neither noise nor damage.  [dim]\\[default: the preset's][/dim]",
            rich_help_panel=IMAGING,
        ),
    ] = None,
    reconstruction: Annotated[
        Literal["wbp", "sirt"] | None,
        typer.Option(
            help="Weighted back-projection, or SIRT.  [dim]\\[default: wbp][/dim]",
            rich_help_panel=IMAGING,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other setting, such as scene.n_microtubules=2; may be given again.",
            rich_help_panel=MORE,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the first tomogram; the next have the next.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make tomograms again that are there.", rich_help_panel=MORE)
    ] = False,
    engine: Engine = None,
    workers: Workers = None,
    job: Job = None,
    walltime: Walltime = None,
    cluster: Cluster = None,
    scheduler: Scheduler = None,
    tls: Tls = None,
) -> None:
    """Parse, simulate, write."""
    from tomopicker.cli.inputs import check_writable
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter
    from tomopicker.cli.run_printer import EventPrinter
    from tomopicker.cli.simulated_inputs import changes_from, parse_shape
    from tomopicker.cluster.mapping import map_tomograms
    from tomopicker.cluster.simulate_work import SimulateWork
    from tomopicker.cluster.work import Item

    size = parse_shape(shape)
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give a folder")
    if positions is not None and particles is not None:
        raise UsageError("--particles and --positions: the file says how many there are; give one of them")
    if positions is None and positions_offset is not None:
        raise UsageError("--positions-offset: says where in a file of --positions the tomogram lies; give that as well")
    check_writable(output)
    on = cluster_from(engine, workers, job, walltime, cluster, scheduler, tls)
    changes = changes_from(
        settings or [],
        {
            "scene.thickness_angstrom": thickness,
            "scene.lamella_tilt_degrees": lamella_tilt,
            "imaging.tilt_range_degrees": tilt_range,
            "imaging.tilt_step_degrees": tilt_step,
            "imaging.tilt_scheme": tilt_scheme,
            "imaging.defocus_um": defocus,
            "imaging.dose_per_square_angstrom": "none" if dose == 0 else dose,
            "imaging.reconstruction": reconstruction,
        },
    )
    with Reporter() as reporter, interruptible(lambda: "repeat the command; tomograms that are whole are skipped"):
        layout = None if positions is None else _layout(positions, size, positions_offset, reporter)
        work = SimulateWork(
            output, preset, size, voxel_size, maps, target, particles, layout, changes, overwrite,
            **({"progress": reporter.step} if on is None else {}),
        )  # fmt: skip
        items = [Item(f"TS_{number + 1:04d}", math.prod(size), seed + number) for number in range(count)]
        output.mkdir(parents=True, exist_ok=True)
        printer = EventPrinter(reporter, with_bar=on is not None)
        if map_tomograms(work, items, on, printer):
            raise typer.Exit(1)


def _layout(path: Path, shape: "Shape", offset: str | None, reporter: "Reporter") -> "Positions":
    """Read positions, and say how many are left out."""
    from tomopicker.cli.simulated_inputs import read_layout

    layout, n_read = read_layout(path, shape, offset)
    if len(layout) < n_read:
        reporter.say(f"{path}: {len(layout)} of {n_read} positions lie inside; the others are left out.")
    return layout
