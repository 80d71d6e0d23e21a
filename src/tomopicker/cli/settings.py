"""The settings on the command line: an option for each with a flag, ``--set`` for any, ``--config`` for a file."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml

from tomopicker.cli.options import SettingOptions, diameter_option, option
from tomopicker.config import Settings, fields_by_path, read_settings_file, resolve
from tomopicker.errors import UsageError
from tomopicker.parsing import diameters_by_kind, named_values
from tomopicker.presets import PRESETS

METHOD = "Method"
DIAMETER = "particle_diameter"
"""The setting that may differ between kinds of particle."""
PAPER = {f"{group}.{name}": value for group, own in PRESETS["paper"].items() for name, value in own.items() if value}

DIAMETERS = Annotated[list[str] | None, diameter_option("none, required here or in --config")]


class SettingsOptions(SettingOptions, fields=fields_by_path(Settings), paper=PAPER, types={DIAMETER: DIAMETERS}):
    """Options for settings, and the particle diameters of single kinds."""

    def __init__(
        self,
        *,
        config: Annotated[
            Path | None,
            option(
                ..., "YAML file of settings, nested: 'training: {learning_rate: 0.001}'. Flags and --set win over it.",
                unit="FILE", panel=METHOD,
            ),
        ] = None,
        changes: Annotated[
            list[str] | None,
            option(
                ..., "Any setting, such as training.learning_rate=0.001; may be repeated. docs/reference/settings.md "
                "lists them.", "--set", unit="NAME=VALUE", panel=METHOD,
            ),
        ] = None,
        **flags: Any,
    ) -> None:  # fmt: skip
        super().__init__(**flags)
        self.config = config
        common, self.diameters = diameters_by_kind(self.given.pop(DIAMETER, []))
        self.given |= {} if common is None else {DIAMETER: common}
        for name, text in named_values(changes or [], "training.learning_rate=0.001", taken=self.given).items():
            try:
                self.given[name] = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise UsageError(f"--set {name}={text}: is not a value") from error

    def resolve(self, mask: str | None) -> Settings:
        """Merge preset, settings file and options, and ``--mask`` if it names no file.

        Raises `UsageError`: one line that names the first invalid setting.
        """
        given = self.given | ({"preprocess.mask": mask} if mask in {"auto", "none"} else {})
        if self.common_diameter is None:
            if not self.diameters:
                raise UsageError("how large is the particle? give --particle-diameter in Å")
            given[DIAMETER] = next(iter(self.diameters.values()))
        return resolve(given, self._from_file)

    @property
    def common_diameter(self) -> Any:
        """Å, unchecked, for kinds of particle without their own diameter; None if there is none."""
        return self.given.get(DIAMETER, self._from_file.get(DIAMETER))

    def diameters_of(self, kinds: list[str]) -> dict[str, float]:
        """Return the diameters (Å) of single kinds; without a common diameter, every clicked kind needs one.

        Raises `UsageError` if a kind has none.
        """
        from tomopicker.pipeline.kinds import diameters_of

        if self.diameters and self.common_diameter is None:
            diameters_of(kinds, self.diameters, None)
        return self.diameters

    @cached_property
    def _from_file(self) -> dict[str, Any]:
        return {} if self.config is None else read_settings_file(self.config)
