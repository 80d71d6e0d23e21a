"""Options that belong together, and what they give: tomograms, picks, a selection, workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tomopicker.cli.options import OptionGroup, SettingOptions, Tomograms, argument, option
from tomopicker.cli.progress import Reporter
from tomopicker.cluster.settings import PANEL, ClusterSettings, read_cluster_settings
from tomopicker.config import fields_of
from tomopicker.io.read_options import CoordinateUnits, ReadOptions
from tomopicker.output.settings import SelectionSettings
from tomopicker.parsing import check_positive

if TYPE_CHECKING:
    from tomopicker.picking.selection import Selection
    from tomopicker.picks import Picks
    from tomopicker.tomogram import Tomogram


READING = fields_of(ReadOptions)


class TomogramOptions(SettingOptions, fields={name: READING[name] for name in ("voxel_size", "dataset", "axes")}):
    """How the files of tomograms are read."""

    def __init__(self, **flags: Any) -> None:
        super().__init__(**flags)
        self.options = ReadOptions(**self.given)
        check_positive("--voxel-size", self.options.voxel_size)

    def open(self, paths: Sequence[Path], reporter: Reporter) -> "list[Tomogram]":
        """Open the tomograms at paths, files or folders; suspicious headers are printed."""
        from tomopicker import io

        return [self.open_one(path, reporter) for path in io.volume_files(paths)]

    def open_one(self, path: Path, reporter: Reporter) -> "Tomogram":
        """Open one tomogram; suspicious headers are printed."""
        from tomopicker import io

        tomogram = io.open_tomogram(path, options=self.options)
        for warning in tomogram.warnings:
            reporter.warn(warning)
        return tomogram


def existing_volumes(paths: Sequence[Path], reporter: Reporter) -> tuple[list[Path], int]:
    """List the tomograms that paths mean, and count the paths that mean none, whose errors are printed.

    Without any tomogram the command ends.
    """
    from tomopicker.io.volumes.open import present_volumes

    found, errors = present_volumes(paths)
    for error in errors:
        reporter.failed(error)
    if not found:
        raise typer.Exit(1)
    return found, len(errors)


class DensityOptions(
    TomogramOptions, fields={name: READING[name] for name in ("voxel_size", "dataset", "axes", "invert")}
):
    """How the files of tomograms are read, where it matters whether protein is dark."""


class CoordinateOptions(SettingOptions, fields=fields_of(CoordinateUnits)):
    """Unit and format of picks, and which classes are read."""

    def __init__(self, **flags: Any) -> None:
        super().__init__(**flags)
        self.units = CoordinateUnits(**self.given)

    def read(
        self,
        paths: Sequence[Path],
        tomograms: "Sequence[Tomogram]",
        reporter: Reporter,
        *,
        keeps_classes: bool = False,
        any_class: bool = False,
        **more: Any,
    ) -> "Picks":
        """Read the picks of tomograms from files and folders; `more` are options of `io.read_picks`.

        Picks of other tomograms are left out with a warning, inferred units are printed as notes. Several classes are
        no reason for a warning if the command keeps them apart (`keeps_classes`); all are read if the chosen ones are
        those of other files (`any_class`).
        """
        from tomopicker.io.classes import Mixed
        from tomopicker.output.find import files_of_picks

        files = [file for path in paths for file in files_of_picks(path)]
        units = self.units.of_any_class if any_class else self.units
        with reporter.showing_warnings(*([Mixed] if keeps_classes else [])):
            return units.read(files, tomograms, ignore_unknown=True, **more)

    def read_kinds(
        self,
        files: Mapping[str, Sequence[Path]],
        tomograms: "Sequence[Tomogram]",
        reporter: Reporter,
        *,
        class_numbers: bool = False,
        **more: Any,
    ) -> "Picks":
        """Read picks from files by kind; see `join_kinds` for the kinds, and `read` for the other parameters."""
        from tomopicker.io.classes import join_kinds

        options = {"keeps_classes": class_numbers} | more
        parts = {kind: self.read(paths, tomograms, reporter, **options) for kind, paths in files.items()}
        return join_kinds(parts, class_numbers=class_numbers)


@dataclass(frozen=True)
class PickedInput(OptionGroup):
    """Picks and their tomograms."""

    picks: Annotated[Path, argument(..., "File of picks, or a folder.", "PICKS")]
    tomograms: Tomograms
    coordinates: CoordinateOptions
    reading: DensityOptions

    def read(self, reporter: Reporter, **more: Any) -> "tuple[list[Tomogram], Picks]":
        """Open the tomograms and read their picks; `more` is as of `CoordinateOptions.read`.

        Raises `TomoPickerError` if a file is missing or invalid.
        """
        opened = self.reading.open(self.tomograms, reporter)
        return opened, self.coordinates.read([self.picks], opened, reporter, **more)


class SelectionOptions(SettingOptions, fields=fields_of(SelectionSettings)):
    """Which candidates become picks."""

    def selection(self) -> "Selection":
        """Combine the options; `UsageError` if two of them exclude each other."""
        return self.validated(SelectionSettings).selection


class EngineOptions(SettingOptions, fields=ClusterSettings.model_fields):
    """Where the work is done."""

    def __init__(
        self,
        *,
        cluster: Annotated[
            Path | None, option(..., "YAML file with these settings for your machines.", unit="FILE", panel=PANEL)
        ] = None,
        **flags: Any,
    ) -> None:
        super().__init__(**flags)
        self.cluster = cluster

    def settings(self) -> ClusterSettings | None:
        """Resolve the options; None if none is given: the work is done in this process.

        Raises
        ------
        UsageError
            If they are invalid, or a package that they need is not installed.
        """
        if self.cluster is None and not self.given:
            return None
        from tomopicker.cluster.engines import check_installed

        settings = read_cluster_settings(self.cluster, self.given)
        check_installed(settings)
        return settings
