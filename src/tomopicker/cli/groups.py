"""Options that belong together, and what they give: tomograms, picks, a selection, workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tomopicker.cli.options import (
    CLUSTER,
    PICKING,
    Axes,
    Classes,
    Dataset,
    FromFormat,
    Invert,
    OptionGroup,
    PicksFile,
    PicksPixelSize,
    PicksUnit,
    Tomograms,
    VoxelSize,
    check_positive,
    option,
)
from tomopicker.cli.progress import Reporter
from tomopicker.errors import TomoPickerError, UsageError

if TYPE_CHECKING:
    from tomopicker.cluster.settings import ClusterSettings
    from tomopicker.io.coordinate_units import CoordinateUnits
    from tomopicker.io.volumes.arrays import ReadOptions
    from tomopicker.picking.selection import Selection
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram


@dataclass(frozen=True)
class TomogramOptions(OptionGroup):
    """How the files of tomograms are read."""

    voxel_size: VoxelSize = None
    dataset: Dataset = None
    axes: Axes = None

    def __post_init__(self) -> None:
        check_positive("--voxel-size", self.voxel_size)
        self.options()  # Refuses invalid axes.

    def options(self, *, invert: bool = False) -> "ReadOptions":
        """Give the options of the readers."""
        from tomopicker.io.volumes.arrays import ReadOptions

        return ReadOptions(self.dataset, self.axes, voxel_size=self.voxel_size, invert=invert)

    def open(self, paths: list[Path], reporter: Reporter, *, invert: bool = False) -> "list[Tomogram]":
        """Open the tomograms at paths, files or folders; suspicious headers are printed."""
        from tomopicker import io

        return [self.open_one(path, reporter, invert=invert) for path in io.volume_files(paths)]

    def open_one(self, path: Path, reporter: Reporter, *, invert: bool = False) -> "Tomogram":
        """Open one tomogram; suspicious headers are printed."""
        from tomopicker import io

        tomogram = io.open_tomogram(path, options=self.options(invert=invert))
        for warning in tomogram.warnings:
            reporter.warn(warning)
        return tomogram


@dataclass(frozen=True)
class CoordinateOptions(OptionGroup):
    """Unit and format of picks, and which classes are read."""

    from_format: FromFormat = None
    picks_unit: PicksUnit = None
    picks_pixel_size: PicksPixelSize = None
    classes: Classes = None

    @property
    def units(self) -> "CoordinateUnits":
        """For the readers."""
        from tomopicker.io.coordinate_units import CoordinateUnits

        return CoordinateUnits(self.picks_unit, self.picks_pixel_size, tuple(self.classes or ()), self.from_format)


@dataclass(frozen=True)
class PickedInput(OptionGroup):
    """Picks and their tomograms."""

    picks: PicksFile
    tomograms: Tomograms
    coordinates: CoordinateOptions
    reading: TomogramOptions
    invert: Invert = False

    def read(
        self, reporter: Reporter, *, check_inside: bool = True, keeps_classes: bool = False
    ) -> "tuple[list[Tomogram], Picks]":
        """Open the tomograms and read their picks; picks of other tomograms are left out with a warning.

        Raises `TomoPickerError` if a file is missing or invalid, or a pick lies outside and `check_inside`.
        """
        from tomopicker.output.find import files_of_picks

        opened = self.reading.open(self.tomograms, reporter, invert=self.invert)
        found = read_picks(
            files_of_picks(self.picks), opened, reporter, self.coordinates.units,
            check_inside=check_inside, keeps_classes=keeps_classes,
        )  # fmt: skip
        return opened, found


@dataclass(frozen=True)
class SelectionOptions(OptionGroup):
    """Which candidates become picks."""

    threshold: Annotated[
        float | None,
        option(
            "Minimum probability of a pick.", unit="P", default="the best expected F1 of each tomogram", panel=PICKING
        ),
    ] = None
    target_precision: Annotated[
        float | None, option("As many picks as keep the expected precision at P or above.", unit="P", panel=PICKING)
    ] = None
    target_fdr: Annotated[
        float | None,
        option("As many picks as keep the expected false discovery rate at Q or below.", unit="Q", panel=PICKING),
    ] = None
    max_particles: Annotated[
        int | None, option("Keep only the N best of each tomogram.", unit="N", default="all", panel=PICKING)
    ] = None

    def cut(self) -> "Selection":
        """Combine the options.

        Raises `UsageError` if one is out of range, or two of the first three are given.
        """
        from tomopicker.picking.selection import Selection

        shares = {
            "--threshold": self.threshold, "--target-precision": self.target_precision, "--target-fdr": self.target_fdr,
        }  # fmt: skip
        given = {name: value for name, value in shares.items() if value is not None}
        for name, value in given.items():
            if not 0 <= value <= 1:
                raise UsageError(f"{name} {value:g} is invalid; give a probability between 0 and 1")
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
        if self.max_particles is not None and self.max_particles < 1:
            raise UsageError(f"--max-particles {self.max_particles} is invalid; give 1 or more, or leave it out")
        precision = self.target_precision if self.target_fdr is None else 1 - self.target_fdr
        return Selection(self.threshold, precision, self.max_particles)


@dataclass(frozen=True)
class EngineOptions(OptionGroup):
    """Where the work is done."""

    engine: Annotated[
        Literal["local", "slurm", "pbs", "lsf", "sge"] | None,
        option(
            "Where the work is done: by workers on this machine, one for each GPU or as its cores allow, or by jobs of "
            "a queueing system.",
            default="this process alone",
            panel=CLUSTER,
        ),
    ] = None
    workers: Annotated[int | None, option("Maximum number of workers or jobs.", unit="N", panel=CLUSTER, min=1)] = None
    job: Annotated[
        list[str] | None,
        option(
            "Options of the queueing system for each job, such as [bold]'--gpus=1 -p gpu'[/bold]; may be repeated.",
            unit="OPTIONS",
            panel=CLUSTER,
        ),
    ] = None
    walltime: Annotated[str | None, option("Of each job.", unit="[D-]HH:MM:SS", panel=CLUSTER)] = None
    cluster: Annotated[
        Path | None, option("YAML file with these settings for your machines.", unit="FILE", panel=CLUSTER)
    ] = None
    scheduler: Annotated[
        Path | None, option("Scheduler file of a running Dask scheduler.", unit="FILE", panel=CLUSTER)
    ] = None
    tls: Annotated[Path | None, option("Its ca.pem, cert.pem and key.pem.", unit="DIR", panel=CLUSTER)] = None

    def settings(self) -> "ClusterSettings | None":
        """Resolve the options; None if none is given: the work is done in this process.

        Raises
        ------
        UsageError
            If they are invalid, or a package that they need is not installed.
        """
        flags = {
            "engine": self.engine, "workers": self.workers, "job": tuple(self.job) if self.job else None,
            "walltime": self.walltime, "scheduler": self.scheduler, "tls": self.tls,
        }  # fmt: skip
        if self.cluster is None and all(value is None for value in flags.values()):
            return None
        from tomopicker.cluster.engines import check_installed
        from tomopicker.cluster.settings import read_cluster_settings

        settings = read_cluster_settings(self.cluster, flags)
        check_installed(settings)
        return settings


def existing_volumes(paths: Sequence[Path], reporter: Reporter) -> tuple[list[Path], int]:
    """List the tomograms that paths mean, and count the paths that mean none, whose errors are printed.

    Without any tomogram the command ends.
    """
    from tomopicker import io
    from tomopicker.io.tomogram_names import by_folder

    found: list[Path] = []
    missing = 0
    for path in paths:
        try:
            found += io.volume_files(path)
        except TomoPickerError as error:
            missing += 1
            reporter.failed(error)
    if not found:
        raise typer.Exit(1)
    return by_folder(found), missing


def read_picks(
    paths: Sequence[Path],
    tomograms: "Sequence[Tomogram]",
    reporter: Reporter,
    units: "CoordinateUnits | None" = None,
    *,
    keeps_classes: bool = False,
    **options: Any,
) -> "Picks":
    """Read the picks of tomograms; those of others are left out with a warning, inferred units are printed as notes.

    Several classes are a warning, unless the command keeps them apart. The options are those of `io.read_picks`.
    """
    from tomopicker.io.classes import Mixed
    from tomopicker.io.coordinate_units import AS_STATED

    with reporter.showing_warnings(*([Mixed] if keeps_classes else [])):
        return (units or AS_STATED).read(paths, tomograms, ignore_unknown=True, **options)
