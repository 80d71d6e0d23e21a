"""Groups of options and the values they produce: tomograms, picks, a selection, workers."""

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
    """Options for reading tomograms."""

    def __init__(self, **flags: Any) -> None:
        super().__init__(**flags)
        self.options = ReadOptions(**self.given)
        check_positive("--voxel-size", self.options.voxel_size)

    def open(self, paths: Sequence[Path], reporter: Reporter) -> "list[Tomogram]":
        """Open tomograms from files and folders, and print warnings about their headers."""
        from tomopicker import io

        return [self.open_one(path, reporter) for path in io.volume_files(paths)]

    def open_one(self, path: Path, reporter: Reporter) -> "Tomogram":
        """Open one tomogram, and print warnings about its header."""
        from tomopicker import io

        tomogram = io.open_tomogram(path, options=self.options)
        for warning in tomogram.warnings:
            reporter.warn(warning)
        return tomogram


def existing_volumes(paths: Sequence[Path], reporter: Reporter) -> tuple[list[Path], int]:
    """List the tomograms at paths, and count and print invalid paths; exit with code 1 if there is no tomogram."""
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
    """Options for reading tomograms, including whether protein is dark."""


class CoordinateOptions(SettingOptions, fields=fields_of(CoordinateUnits)):
    """Options for reading picks: unit, format and classes."""

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

        Picks of other tomograms are left out with a warning; inferred units are printed as notes. With `keeps_classes`,
        several classes cause no warning; with `any_class`, the option ``--class`` is not applied.
        """
        from tomopicker.io.classes import MixedClassesWarning
        from tomopicker.output.find import files_of_picks

        files = [file for path in paths for file in files_of_picks(path)]
        units = self.units.of_any_class if any_class else self.units
        with reporter.showing_warnings(*([MixedClassesWarning] if keeps_classes else [])):
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

    picks: Annotated[Path, argument(..., "File or folder of picks.", "PICKS")]
    tomograms: Tomograms
    coordinates: CoordinateOptions
    reading: DensityOptions

    def read(self, reporter: Reporter, **more: Any) -> "tuple[list[Tomogram], Picks]":
        """Open the tomograms and read their picks; `more` as for `CoordinateOptions.read`.

        Raises `TomoPickerError` if a file is missing or invalid.
        """
        opened = self.reading.open(self.tomograms, reporter)
        return opened, self.coordinates.read([self.picks], opened, reporter, **more)


class SelectionOptions(SettingOptions, fields=fields_of(SelectionSettings)):
    """Options for selecting picks among candidates."""

    def selection(self) -> "Selection":
        """Combine the options; raise `UsageError` if two exclude each other."""
        return self.validated(SelectionSettings).selection


class EngineOptions(SettingOptions, fields=ClusterSettings.model_fields):
    """Options for running on workers."""

    def __init__(
        self,
        *,
        cluster: Annotated[
            Path | None, option(..., "YAML file with settings of your workers.", unit="FILE", panel=PANEL)
        ] = None,
        **flags: Any,
    ) -> None:
        super().__init__(**flags)
        self.cluster = cluster

    def settings(self) -> ClusterSettings | None:
        """Resolve the options; None without any, to run in this process.

        Raises
        ------
        UsageError
            If an option is invalid, or a required package is not installed.
        """
        if self.cluster is None and not self.given:
            return None
        from tomopicker.cluster.engines import check_installed

        settings = read_cluster_settings(self.cluster, self.given)
        check_installed(settings)
        return settings
