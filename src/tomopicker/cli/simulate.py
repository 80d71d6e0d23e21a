"""``tomopicker simulate``: tomograms with truth, made by physics."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tomopicker.cli.groups import EngineOptions
from tomopicker.cli.options import MORE, OutputFolder, Overwrite, option, size_in_voxels
from tomopicker.cli.progress import EventPrinter, Reporter
from tomopicker.cli.settings import split_changes
from tomopicker.errors import UsageError
from tomopicker.files import check_writable

if TYPE_CHECKING:
    from tomopicker.types import Positions, Shape

HELP = """Make tomograms with known particles: molecules in a lamella, imaged as a tilt series and reconstructed.

[bold]Examples[/bold]

  [cyan]tomopicker simulate --output vpp --preset vpp --count 3[/cyan]
  [cyan]tomopicker simulate --output hard --preset hard --maps maps --shape 480,464,200[/cyan]
  [cyan]tomopicker simulate --output ts037 --positions TS_037.csv --shape 960,928,500 --preset defocus[/cyan]
  [cyan]tomopicker simulate -o piece --positions TS_37.csv --positions-offset centre --shape 320,320,240[/cyan]
  [cyan]tomopicker simulate --output sirt --reconstruction sirt --set scene.n_gold_beads=20[/cyan]

Writes, in the folder: TS_0001.mrc and so on; [bold]truth/[/bold] with the target's positions, orientations and class
as CSV and as STAR of RELION 5; [bold]molecules/[/bold], the same of everything else as well; [bold]settings/[/bold],
what each was made with.

[bold]--set[/bold] changes any setting of the scene (lamella, membranes, filaments, gold, ice, clusters, cytosol) or of
the imaging (optics, dose, camera, reconstruction); the names are those in settings/*.json, and
docs/commands/simulate.md explains each.

Presets: [bold]vpp[/bold], a phase plate near focus; [bold]defocus[/bold], 2.5-4.5 µm without one; [bold]easy[/bold],
more dose and little besides the target; [bold]hard[/bold], half the dose, more look-alikes, a denser cytosol. The same
seed gives the same tomogram; an existing tomogram is skipped."""

SAMPLE, IMAGING = "Sample", "Imaging"
SMALLEST = 16
"""Voxels along each axis: the smallest volume that a lamella fits in."""


def command(
    output: OutputFolder,
    engine: EngineOptions,
    preset: Annotated[
        Literal["vpp", "defocus", "easy", "hard"], option("How it is imaged, and what surrounds the target.")
    ] = "vpp",
    count: Annotated[int, option("Number of tomograms.", unit="N", min=1)] = 1,
    shape: Annotated[str, option("Size in voxels.", unit="X,Y,Z")] = "320,320,112",
    voxel_size: Annotated[float, option("Voxel size.", unit="Å")] = 13.48,
    maps: Annotated[
        Path | None,
        option("Density maps of the molecules (MRC, protein positive), instead of built-in ones.", unit="DIR"),
    ] = None,
    target: Annotated[
        str, option("The molecule whose positions are the truth; with --maps, the name of its file.", unit="NAME")
    ] = "ribosome",
    particles: Annotated[
        int | None, option("Targets per tomogram.", unit="N", default="as crowded as yeast cytosol", min=1)
    ] = None,
    positions: Annotated[
        Path | None,
        option("Place the targets at these positions (voxels, x,y,z); those outside are left out.", unit="FILE"),
    ] = None,
    positions_offset: Annotated[
        str | None,
        option(
            "Corner of the tomogram in --positions, in voxels, or [bold]centre[/bold]: the middle of a larger layout.",
            unit="X,Y,Z",
            default="0,0,0",
        ),
    ] = None,
    thickness: Annotated[
        float | None,
        option("Of the lamella.", unit="Å", default="half to two thirds of z, or around --positions", panel=SAMPLE),
    ] = None,
    lamella_tilt: Annotated[
        float | None,
        option("Of the lamella out of the xy plane, about y.", unit="°", default="a few, drawn; easy: 0", panel=SAMPLE),
    ] = None,
    tilt_range: Annotated[
        float | None, option("Largest tilt to both sides.", unit="°", default="60", panel=IMAGING)
    ] = None,
    tilt_step: Annotated[float | None, option("Between tilts.", unit="°", default="3", panel=IMAGING)] = None,
    tilt_scheme: Annotated[
        Literal["dose-symmetric", "bidirectional", "continuous"] | None,
        option("Order of the tilts: later ones are more damaged.", default="dose-symmetric", panel=IMAGING),
    ] = None,
    defocus: Annotated[
        float | None, option("Underfocus positive.", unit="µm", default="drawn, see Presets", panel=IMAGING)
    ] = None,
    dose: Annotated[
        float | None,
        option(
            "Of the whole series; 0: neither noise nor damage.",
            unit="e/Å²",
            default="the preset's",
            panel=IMAGING,
            min=0.0,
        ),
    ] = None,
    reconstruction: Annotated[
        Literal["wbp", "sirt"] | None, option("Weighted back-projection, or SIRT.", default="wbp", panel=IMAGING)
    ] = None,
    settings: Annotated[
        list[str] | None,
        option(
            "Any other setting, such as scene.n_microtubules=2; may be repeated.",
            "--set",
            unit="NAME=VALUE",
            panel=MORE,
        ),
    ] = None,
    seed: Annotated[int, option("Of the first tomogram; the next have the next.", unit="N", min=0, max=2**32 - 1)] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Parse, simulate, write."""
    from tomopicker.cluster.mapping import map_tomograms
    from tomopicker.cluster.simulate_work import SimulateWork
    from tomopicker.cluster.work import Item

    size = size_in_voxels(shape, SMALLEST)
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give a folder")
    if positions is not None and particles is not None:
        raise UsageError("--particles and --positions: the file sets the number of particles; give one of them")
    if positions is None and positions_offset is not None:
        raise UsageError("--positions-offset: locates the tomogram in a file of --positions; give that as well")
    check_writable(output)
    on = engine.settings()
    flags: dict[str, Any] = {
        "scene.thickness_angstrom": thickness,
        "scene.lamella_tilt_degrees": lamella_tilt,
        "imaging.tilt_range_degrees": tilt_range,
        "imaging.tilt_step_degrees": tilt_step,
        "imaging.tilt_scheme": tilt_scheme,
        "imaging.defocus_um": defocus,
        "imaging.dose_per_square_angstrom": "none" if dose == 0 else dose,
        "imaging.reconstruction": reconstruction,
    }
    changes = {name: value for name, value in flags.items() if value is not None}
    changes |= split_changes(settings or [], "scene.n_gold_beads=10", changes)
    with Reporter(lambda: "repeat the command; tomograms that are whole are skipped") as reporter:
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


def _layout(path: Path, shape: "Shape", offset: str | None, reporter: Reporter) -> "Positions":
    """Read positions, and print how many are left out."""
    from tomopicker.simulation.layout import read_layout

    layout, n_read = read_layout(path, shape, offset)
    if len(layout) < n_read:
        reporter.log(f"{path}: {len(layout)} of {n_read} positions lie inside; the others are left out.")
    return layout
