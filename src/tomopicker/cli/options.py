"""Options of the command line, each declared once: type, unit, help, default and panel.

Options that are settings are declared with these, by a `Flag` (`tomopicker.config`). Options that belong together form
an `OptionGroup`: a command with a parameter of that type takes all of them (`with_groups`).
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any, ClassVar, Optional, TypeVar

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tomopicker.cli.progress import Reporter
from tomopicker.config import Flag, Frozen, first_problem
from tomopicker.errors import UsageError

INPUT, PICKING, MORE = "Input", "Picking", "More"
SettingsT = TypeVar("SettingsT", bound=Frozen)


def option(
    default: Any,
    help: str,
    *flags: str,
    unit: str | None = None,
    words: str = "",
    panel: str | None = None,
    **more: Any,
) -> Any:
    """Declare an option; its default is ``...`` if it is required, or declared in an `Annotated` type.

    `flags` are its names, if not that of the parameter; `unit` is that of a number, or a word for the value; `words`
    describe a default whose value is not self-explanatory; `panel` is a section of the help; `more` as for typer.
    """
    note = f"  [dim]\\[default: {words}][/dim]" if words else ""
    more.setdefault("show_default", not words)
    return typer.Option(default, *flags, help=help + note, metavar=unit, rich_help_panel=panel, **more)


def argument(default: Any, help: str, name: str) -> Any:
    """Declare an argument, required if its default is ``...``."""
    return typer.Argument(default, help=help, metavar=name, show_default=False)


def diameter_option(words: str = "") -> Any:
    """Declare the diameters of one kind of particle, or of several; `words` describe the default."""
    text = "Diameter of the particle. Repeat it for several kinds."
    return option(..., text, "--particle-diameter", "-d", unit="[KIND=]Å", words=words, panel=INPUT)


class OptionGroup:
    """Base of groups of options for commands and other groups."""


class SettingOptions(OptionGroup):
    """An option for each setting with a `Flag`, followed by those of a subclass; `given` has values by path."""

    paths: ClassVar[dict[str, str]]
    """Setting (by path) of each option."""

    def __init_subclass__(
        cls,
        fields: Mapping[str, FieldInfo],
        paper: Mapping[str, object] | None = None,
        types: Mapping[str, Any] | None = None,
    ) -> None:
        """Declare the options of settings (`fields`, by path).

        `paper` has their values in the paper preset where it has another than the default, `types` those of options
        that accept more than their setting does.
        """
        cls.paths, parameters = {}, list[inspect.Parameter]()
        for path, field in fields.items():
            extra = field.json_schema_extra
            flag = extra["flag"] if isinstance(extra, dict) and "flag" in extra else None
            if not isinstance(flag, Flag):
                continue
            dashed = flag.name or path.rpartition(".")[2].replace("_", "-")
            unset = field.default in (None, ()) or isinstance(field.default, bool)
            default = flag.default or ("" if unset else str(field.default))
            words = default + (f"; paper: {paper[path]}" if paper and path in paper else "")
            unit = str(extra["unit"]) or ("N" if flag.type in {int, float} else None) if extra else None
            flags = [f"--{dashed}", *([flag.short] if flag.short else [])]
            limits = {
                name: getattr(each, bound)
                for each in field.metadata
                for bound, name in (("ge", "min"), ("le", "max"))
                if hasattr(each, bound) and flag.type in {int, float}
            }
            text, panel = str(field.description), flag.panel or None
            declared = option(..., text, *flags, unit=unit, words=words, panel=panel, **limits)
            kind: Any = Annotated[Optional[flag.type], declared]  # noqa: UP045  (a variable, not a type)
            kind = types[path] if types and path in types else kind
            name = f"{dashed.replace('-', '_')}{'_' * iskeyword(dashed)}"
            cls.paths[name] = path
            parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind))
        own = [each for each in inspect.signature(cls.__init__).parameters.values() if each.kind is each.KEYWORD_ONLY]
        cls.__signature__ = inspect.Signature([*parameters, *own])  # type: ignore[attr-defined]

    def __init__(self, **flags: Any) -> None:
        self.given = {self.paths[name]: value for name, value in flags.items() if value is not None}

    def validated(self, kind: type[SettingsT]) -> SettingsT:
        """Validate the given options as settings; `UsageError` names the first invalid one."""
        try:
            return kind(**self.given)
        except ValidationError as error:
            raise UsageError(f"--{first_problem(error)}") from error


def with_groups(command: Callable[..., Any]) -> Callable[..., Any]:
    """Expand each `OptionGroup` among a command's parameters into its options, and supply a `Reporter`."""
    parameters = inspect.signature(command).parameters
    groups = {
        name: with_groups(each.annotation)
        for name, each in parameters.items()
        if isinstance(each.annotation, type) and issubclass(each.annotation, OptionGroup)
    }
    members = {name: inspect.signature(group).parameters for name, group in groups.items()}
    reports = "reporter" in parameters

    @wraps(command, updated=())
    def called(**given: Any) -> Any:
        for name, group in groups.items():
            given[name] = group(**{member: given.pop(member) for member in members[name]})
        if not reports:
            return command(**given)
        with Reporter() as reporter:
            return command(reporter=reporter, **given)

    flat = [
        member
        for name, own in parameters.items()
        if name != "reporter"
        for member in (members[name].values() if name in members else [own])
    ]
    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in flat]
    called.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    called.__annotations__ = {}  # Typer reads these too, and they would be the command's.
    return called


TOMOGRAMS = "Tomograms or folders of tomograms: MRC, OME-Zarr, HDF5, TIFF, EM."
MASK = (
    "Specimen mask. auto: detect the lamella; none: use the whole volume; or an MRC mask (1 inside), for several "
    "tomograms a folder of masks named after them."
)
Tomograms = Annotated[list[Path], argument(..., TOMOGRAMS, "TOMOGRAM")]
SomeTomograms = Annotated[list[Path] | None, argument(..., TOMOGRAMS, "[TOMOGRAM]...")]
TomogramList = Annotated[
    list[Path] | None,
    option(
        ..., "Tomograms, a folder of tomograms, or a RELION 5 tomograms.star, for sizes and names.", unit="PATH",
        words="as in the picks.json of a folder of picks", panel=INPUT,
    ),
]  # fmt: skip
PicksFolder = Annotated[Path, argument(..., "Folder written by tomopicker pick.", "DIR")]
ParticleDiameters = Annotated[list[str], diameter_option()]
OutputFolder = Annotated[Path, option(..., "Output folder.", "--output", "-o", unit="DIR")]
Mask = Annotated[str | None, option(..., MASK, unit="auto|none|FILE", words="auto; paper: none", panel=INPUT)]
Pictures = Annotated[
    bool,
    option(
        ..., "Draw the section with most picks of each tomogram: TOMOGRAM.png.", "--pictures/--no-pictures",
        panel=PICKING,
    ),
]  # fmt: skip
Device = Annotated[
    str | None, option(..., "cpu, cuda, cuda:1, mps.", unit="NAME", words="the best available", panel=MORE)
]
Resume = Annotated[bool, option(..., "Continue from the checkpoints of an interrupted run.", "--resume", panel=MORE)]
Overwrite = Annotated[bool, option(..., "Replace existing output.", "--overwrite", panel=MORE)]
DiscardRun = Annotated[
    bool, option(..., "Replace existing output, or discard an interrupted run.", "--overwrite", panel=MORE)
]
DryRun = Annotated[
    bool,
    option(..., "Check the input and print what would be done; write nothing.", "--dry-run", panel=MORE),
]
