"""``tomopicker simulate``: tomograms with truth, made by physics."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tomopicker.cli.options import MORE
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.cli.progress import Reporter
    from tomopicker.types import Positions, Shape

HELP = """Make tomograms with known particles: molecules in a lamella, imaged as a tilt series and back-projected.

[bold]Examples[/bold]

  [cyan]tomopicker simulate vpp --preset vpp --count 3[/cyan]
  [cyan]tomopicker simulate hard --preset hard --maps maps --shape 480,464,200[/cyan]
  [cyan]tomopicker simulate ts037 --positions TS_037.csv --shape 960,928,500 --preset defocus[/cyan]

Writes, in the folder: TS_0001.mrc and so on; [bold]truth/[/bold] with the target's positions, orientations and class
as CSV and as STAR of RELION 5; [bold]molecules/[/bold], the same of everything else as well; [bold]settings/[/bold],
what each was made with.

Presets: [bold]vpp[/bold], a phase plate near focus; [bold]defocus[/bold], 2.5-4.5 µm without one; [bold]easy[/bold],
more dose and little besides the target; [bold]hard[/bold], half the dose, more look-alikes, a denser cytosol. The same
seed gives the same tomogram; a tomogram that is there already is skipped."""

SMALLEST = 16
Preset = Literal["vpp", "defocus", "easy", "hard"]


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
        str, typer.Option(metavar="NAME", help="The molecule whose positions are the truth.")
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
    seed: Annotated[int, typer.Option(min=0, help="Of the first tomogram; the next have the next.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make tomograms again that are there.", rich_help_panel=MORE)
    ] = False,
) -> None:
    """Parse, simulate, write."""
    from tomopicker.cli.inputs import check_writable
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter
    from tomopicker.simulate.write import settings_file

    size = parse_shape(shape)
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give a folder")
    if positions is not None and particles is not None:
        raise UsageError("--particles and --positions: the file says how many there are; give one of them")
    check_writable(output)
    with Reporter() as reporter, interruptible(lambda: "repeat the command; tomograms that are whole are skipped"):
        layout = None if positions is None else _layout(positions, size, voxel_size, reporter)
        for number in range(count):
            name = f"TS_{number + 1:04d}"
            if settings_file(output, name).exists() and not overwrite:
                reporter.say(f"{output / name}.mrc: is there already; --overwrite makes it again")
                continue
            _make(output, name, preset, size, voxel_size, seed + number, maps, target, particles, layout, reporter)


def parse_shape(text: str) -> "Shape":
    """Read X,Y,Z as the shape (z, y, x).

    Raises
    ------
    UsageError
        If it is not three whole numbers, or one is too small to hold a lamella.
    """
    try:
        x, y, z = (int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--shape {text}: give three whole numbers of voxels, X,Y,Z, such as 320,320,112") from error
    if min(x, y, z) < SMALLEST:
        raise UsageError(f"--shape {text}: each size must be at least {SMALLEST} voxels")
    return z, y, x


def _layout(path: Path, shape: "Shape", voxel_size: float, reporter: "Reporter") -> "Positions":
    """Read positions and keep those inside."""
    from tomopicker import formats
    from tomopicker.geometry import Unit, outside

    table = formats.read_table(path)
    if table.unit is not Unit.VOXEL:
        raise UsageError(f"{path}: counts {table.unit.value}; give a text file of x,y,z in voxels")
    inside: Positions = table.coordinates[~outside(table.coordinates, shape)]
    if not len(inside):
        raise UsageError(f"{path}: no position lies in a tomogram of --shape {','.join(map(str, shape[::-1]))}")
    if len(inside) < len(table):
        reporter.say(f"{path}: {len(inside)} of {len(table)} positions lie inside; the others are left out.")
    return inside


def _make(
    output: Path,
    name: str,
    preset: Preset,
    shape: "Shape",
    voxel_size: float,
    seed: int,
    maps: Path | None,
    target: str,
    particles: int | None,
    layout: "Positions | None",
    reporter: "Reporter",
) -> None:
    from tomopicker.simulate import simulate_tomogram
    from tomopicker.simulate.write import write_simulated

    made = simulate_tomogram(
        preset, shape, voxel_size, seed, maps=maps, n_targets=particles, target=target, layout=layout,
        progress=lambda what, done, total: reporter.step(name, what, done, total),
    )  # fmt: skip
    write_simulated(output, name, made)
    reporter.end_bar()
    wanted = made.settings.scene.n_targets
    found = len(made.positions_voxels)
    room = "" if found == wanted else f" (there was no room for {wanted - found} more)"
    others = len(made.distractor_classes)
    reporter.say(f"{output / name}.mrc: {found} × {target}{room} among {others} other molecules.")
