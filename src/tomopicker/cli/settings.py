"""The settings on the command line: an option for each with a flag, ``--set`` for any, ``--config`` for a file."""

import inspect
from pathlib import Path
from typing import Annotated, Any, Optional

import yaml

from tomopicker.cli.kinds import Diameter, diameter_option, diameters_by_kind
from tomopicker.cli.options import OptionGroup, option
from tomopicker.config import Flag, Settings, read_settings_file, resolve
from tomopicker.errors import UsageError
from tomopicker.presets import PRESETS

METHOD = "Method"
DIAMETER = "particle_diameter"
"""The setting that may differ from kind to kind of particle."""


def _flags() -> dict[str, tuple[str, inspect.Parameter]]:
    """Make an option of each setting with a flag; by its name on the command line, the setting's path and parameter."""
    found = {}
    groups = {"": Settings, **{name: field.annotation for name, field in Settings.model_fields.items()}}
    for group, model in groups.items():
        for name, field in getattr(model, "model_fields", {}).items():
            extra = field.json_schema_extra
            flag = extra["flag"] if isinstance(extra, dict) else None
            if not isinstance(flag, Flag):
                continue
            path = f"{group}.{name}" if group else name
            paper = PRESETS["paper"].get(group, {}).get(name) if group else None
            default = flag.default or str(field.default)
            names = [f"--{name.replace('_', '-')}", *([flag.short] if flag.short else [])]
            unit = str(extra["unit"]) or ("N" if flag.type in {int, float} else None)
            declared = option(
                str(field.description), *names, unit=unit, default=default + (f"; paper: {paper}" if paper else ""),
                panel=flag.panel,
            )  # fmt: skip
            kind: Any = Annotated[Optional[flag.type], declared]  # noqa: UP045  (a variable, not a type)
            if path == DIAMETER:
                kind = Annotated[list[Diameter] | None, diameter_option(default)]
            found[name] = path, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
    return found


FLAGS = _flags()
CONFIG = Annotated[
    Path | None,
    option(
        "YAML file of settings, nested: 'training: {learning_rate: 0.001}'. Flags and --set win over it.",
        unit="FILE", panel=METHOD,
    ),
]  # fmt: skip
SET = Annotated[
    list[str] | None,
    option(
        "Any setting, such as training.learning_rate=0.001; may be repeated. docs/reference/settings.md lists them.",
        "--set", unit="NAME=VALUE", panel=METHOD,
    ),
]  # fmt: skip


class SettingsOptions(OptionGroup):
    """What the command line gives of the settings, and the diameters of single kinds of particle."""

    __signature__ = inspect.Signature(
        [
            *(parameter for _, parameter in FLAGS.values()),
            inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=CONFIG),
            inspect.Parameter("changes", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=SET),
        ]
    )

    def __init__(self, *, config: Path | None = None, changes: list[str] | None = None, **flags: Any) -> None:
        self.config = config
        flags[DIAMETER], self.diameters = diameters_by_kind(flags[DIAMETER] or [])
        self.given = {FLAGS[name][0]: value for name, value in flags.items() if value is not None}
        for name, text in split_changes(changes or [], "training.learning_rate=0.001", self.given).items():
            try:
                self.given[name] = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise UsageError(f"--set {name}={text}: is not a value") from error

    def resolve(self, **more: Any) -> Settings:
        """Merge preset, settings file and options; `more` has settings by path, ``__`` for a dot.

        Raises `UsageError`: one line that names the first invalid setting.
        """
        nested: dict[str, Any] = {}
        others = {name.replace("__", "."): value for name, value in more.items() if value is not None}
        for name, value in (self.given | others).items():
            *groups, last = name.split(".")
            place = nested
            for group in groups:
                place = place.setdefault(group, {})
            place[last] = value
        if self.common_diameter is None:
            if not self.diameters:
                raise UsageError("how large is the particle? give --particle-diameter in Å")
            nested[DIAMETER] = next(iter(self.diameters.values()))
        return resolve(nested, self._from_file())

    @property
    def common_diameter(self) -> Any:
        """Of all kinds of particle without one of their own, in Å, unchecked; None if only single kinds have one."""
        return self.given.get(DIAMETER, self._from_file().get(DIAMETER))

    def diameters_of(self, kinds: list[str]) -> dict[str, float]:
        """Give the diameters of single kinds, in Å; all those clicked must have one if there is no common diameter.

        Raises `UsageError` if a kind has none.
        """
        from tomopicker.pipeline.kinds import diameters_of

        if self.diameters and self.common_diameter is None:
            diameters_of(kinds, self.diameters, None)
        return self.diameters

    def _from_file(self) -> dict[str, Any]:
        return {} if self.config is None else read_settings_file(self.config)


def split_changes(texts: list[str], example: str, taken: dict[str, Any]) -> dict[str, str]:
    """Read ``NAME=VALUE`` options; a name that an option of its own has given is refused.

    Raises `UsageError` if there is no ``=``, or a name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: give NAME=VALUE, such as {example}")
        if name in taken or name in found:
            raise UsageError(f"--set {text}: is given twice")
        found[name] = value
    return found
