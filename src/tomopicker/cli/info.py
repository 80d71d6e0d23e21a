"""``tomopicker info``: what is in a tomogram file."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.options import Axes, Dataset, Tomograms, VoxelSize
from tomopicker.errors import TomoPickerError, failure_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from jaxtyping import Num
    from rich.table import Table

    from tomopicker.tomogram import Tomogram

HELP = """Show shape, voxel size, type and statistics of tomograms, and what is odd about their headers.

[bold]Example[/bold]

  [cyan]tomopicker info tomograms/ TS_99.rec[/cyan]

Shapes are x × y × z. Voxels are read section by section, so that the largest tomogram fits in little memory;
[cyan]--header[/cyan] reads none at all."""

SLAB_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Statistics:
    """Of the finite voxels of a tomogram."""

    least: float
    mean: float
    most: float
    sd: float
    not_finite: int


def command(
    tomograms: Tomograms,
    header: Annotated[bool, typer.Option("--header", help="Only what the header says; fast.")] = False,
    voxel_size: VoxelSize = None,
    dataset: Dataset = None,
    axes: Axes = None,
) -> None:
    """Open, and print a table."""
    from tomopicker import formats
    from tomopicker.cli.inputs import open_one
    from tomopicker.cli.progress import Reporter
    from tomopicker.formats.tomogram_names import by_folder
    from tomopicker.formats.volumes.arrays import ReadOptions

    stored = ReadOptions(dataset, axes)
    failed = 0
    with Reporter() as reporter:
        table = _table(header)
        files: list[Path] = []
        for path in tomograms:
            try:
                files += formats.volume_files(path)
            except TomoPickerError as error:
                failed += 1
                reporter.failed(error)
        for file in by_folder(files):
            try:
                tomogram = open_one(file, reporter, voxel_size=voxel_size, stored=stored)
                found = None if header else statistics(tomogram)
            except Exception as error:
                failed += 1
                reporter.failed(failure_line(error, file))
                continue
            table.add_row(*_row(tomogram, found))
            if found and found.not_finite:
                reporter.warn(f"{file}: {found.not_finite} voxels are NaN or infinite; 'train' and 'pick' refuse it")
            elif found and found.sd == 0:
                reporter.warn(f"{file}: all voxels are the same; 'train' and 'pick' refuse it")
        if table.row_count:
            reporter.console.print(table)
    if failed:
        raise typer.Exit(1)


def statistics(tomogram: "Tomogram") -> Statistics:
    """Work out the statistics of the finite voxels, slab by slab.

    Parameters
    ----------
    tomogram : Tomogram
        Of any size.
    """
    import numpy as np

    from tomopicker.moments import moments

    least, most = math.inf, -math.inf

    def parts() -> "Iterator[Num[np.ndarray, '...']]":
        nonlocal least, most
        for block in tomogram.blocks(SLAB_BYTES):
            voxels = tomogram.part(*block)
            finite = voxels[np.isfinite(voxels)]
            if finite.size:
                least, most = min(least, float(finite.min())), max(most, float(finite.max()))
                yield finite

    found = moments(parts())
    if not found.count:
        least = most = math.nan
    return Statistics(least, found.mean, most, found.sd, math.prod(tomogram.shape) - found.count)


def _table(header_only: bool) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tomogram", overflow="fold")
    for name in ("voxels (x × y × z)", "voxel size", "size (Å)", "type"):
        table.add_column(name, justify="right")
    if not header_only:
        for name in ("min", "mean", "max", "sd"):
            table.add_column(name, justify="right")
    return table


def _row(tomogram: "Tomogram", found: Statistics | None) -> list[str]:
    from rich.markup import escape

    z, y, x = tomogram.shape
    size = " × ".join(f"{edge * tomogram.voxel_size:.0f}" for edge in (x, y, z))
    kind = f"{tomogram.data.dtype.name}{' (big-endian)' if tomogram.data.dtype.byteorder == '>' else ''}"
    row = [escape(tomogram.name), f"{x} × {y} × {z}", f"{tomogram.voxel_size:g} Å", size, kind]
    if found is not None:
        row += [f"{value:.4g}" for value in (found.least, found.mean, found.most, found.sd)]
    return row
