"""Protocol of a benchmark, read from YAML: methods × numbers of clicks × seeds on a set of tomograms.

It has no setting for a count or a threshold, so that the truth of a test tomogram cannot leak into them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from tomopicker.benchmark.methods import BUILT_IN, Method, Name, parse_method
from tomopicker.config import Flag, Frozen, Positive, first_problem, read_yaml, setting
from tomopicker.errors import UsageError
from tomopicker.simulation.settings import Preset, Series

NAME_FIELD = "{tomogram}"
"""Placeholder for a tomogram's name in the path of its truth."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | int | float | Path) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_as_list), Field(min_length=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Optics(Frozen):
    """Imaging conditions of a data set, which also filter the template."""

    tilt_range: Annotated[float, Field(gt=0, le=90)] = Field(
        default=60.0, description="maximum tilt in degrees about y, in both directions; 90: no missing wedge"
    )
    defocus_um: float | None = Field(default=None, description="underfocus positive; null: no transfer function")
    phase_shift_degrees: float = Field(default=0.0, description="of a phase plate")

    @model_validator(mode="after")
    def _consistent(self) -> "Optics":
        if self.defocus_um is None and self.phase_shift_degrees:
            raise ValueError("phase_shift_degrees needs defocus_um")
        return self


class Template(Frozen):
    """The particle that template matching searches for."""

    map: Path | None = Field(default=None, description="density map of the particle, MRC, protein positive")
    molecule: str | None = Field(default=None, description="instead of a map: a molecule of 'tomopicker simulate'")
    orientations: Annotated[int, Field(ge=1)] = Field(default=400, description="number of orientations, evenly spread")

    @model_validator(mode="after")
    def _consistent(self) -> "Template":
        if (self.map is None) == (self.molecule is None):
            raise ValueError("give either a map or a molecule")
        return self


class Simulated(Series):
    """Tomograms that ``tomopicker simulate`` makes if they are missing."""

    preset: Preset
    count: Annotated[int, Field(ge=2)]


class DataSet(Frozen):
    """Tomograms with truth, imaged under the same conditions."""

    tomograms: Paths = Field(description="files or folders")
    truth: str = Field(description=f"path of the true positions; {NAME_FIELD} stands for the tomogram's name")
    training: str = Field(description="tomogram that clicks are drawn from and networks are trained on")
    validation: str | None = Field(
        default=None, description="for presets whose learning rate follows a validation score"
    )
    test: Names | None = Field(default=None, description="unseen tomograms; null: all the others")
    exclude: Names = Field(default=(), description="tomograms to ignore")
    voxel_size: Positive | None = Field(default=None, description="Å; null: the headers'")
    invert: bool = Field(default=False, description="protein is bright in the files")
    optics: Optics = Optics()
    simulate: Simulated | None = Field(default=None, description="simulate missing tomograms first")

    @model_validator(mode="after")
    def _consistent(self) -> "DataSet":
        if NAME_FIELD not in self.truth:
            raise ValueError(f"truth '{self.truth}' must contain {NAME_FIELD}, which stands for the tomogram's name")
        if self.simulate is not None and (len(self.tomograms) != 1 or self.tomograms[0].suffix):
            raise ValueError("simulate needs a folder to put its tomograms in; give one as tomograms")
        if self.validation == self.training:
            raise ValueError(f"{self.training} cannot be the training and the validation tomogram")
        for role, name in (("training", self.training), ("validation", self.validation)):
            if name in (self.test or ()):
                raise ValueError(f"the {role} tomogram {name} is among the test ones; take it out of test")
            if name in self.exclude:
                raise ValueError(f"the {role} tomogram {name} is excluded; take it out of exclude")
        return self


class Protocol(Frozen):
    """Methods × numbers of clicks × seeds, on data sets."""

    name: str = "Benchmark"
    particle_diameter: Positive = Field(description="Å")
    tolerances: tuple[Positive, ...] = Field(
        default=(10.0, 8.0, 5.0),
        min_length=1,
        description="voxels within which a pick is correct; the first is the headline",
    )
    clicks: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, description="in the training tomogram")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1, description="of clicks and weights")
    jitter: Annotated[float, Field(ge=0)] = Field(
        default=1.5, description="displacement of clicks from the centres in voxels (root mean square)"
    )
    methods: tuple[Annotated[Method, BeforeValidator(parse_method)], ...] = Field(
        min_length=1, description="names of built-in methods, or networks described here"
    )
    template: Template | None = Field(default=None, description="template of the method template")
    external: dict[Name, Path] = Field(default={}, description="folder of another program's picks, by its name")
    datasets: dict[Name, DataSet] = Field(min_length=1)

    @field_validator("clicks", "seeds", "tolerances")
    @classmethod
    def _distinct(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{', '.join(map(str, values))}: duplicate value")
        return values

    @model_validator(mode="after")
    def _consistent(self) -> "Protocol":
        names = [method.name for method in self.rows]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate:
            raise ValueError(f"the method '{duplicate}' is listed twice; rename one")
        if self.template is None and any(method.kind == "template" for method in self.methods):
            raise ValueError("the method template needs a map: template: {map: ribosome.mrc}")
        return self

    @property
    def rows(self) -> tuple[Method, ...]:
        """All methods, external programs last."""
        others = (Method(name=name, kind="external", folder=folder) for name, folder in self.external.items())
        return (*self.methods, *others)


_PANEL = "Part of the protocol"


class Part(Frozen):
    """The part of a protocol to run; an empty field selects everything."""

    methods: tuple[str, ...] = setting(
        (), "Run this method; may be repeated.", unit="METHOD", flag=Flag(list[str], _PANEL, name="method")
    )
    datasets: tuple[str, ...] = setting(
        (), "Run this data set; may be repeated.", unit="NAME", flag=Flag(list[str], _PANEL, name="dataset")
    )
    clicks: tuple[int, ...] = setting(
        (), "Run this number of clicks; may be repeated.", unit="N", flag=Flag(list[int], _PANEL)
    )
    seeds: tuple[int, ...] = setting(
        (), "Run this seed; may be repeated.", unit="SEED", flag=Flag(list[int], _PANEL, name="seed")
    )


def make_protocol(content: dict[str, Any], source: str, folder: Path) -> Protocol:
    """Validate a protocol's content, nested like `Protocol`; relative paths are relative to a folder.

    Raises `UsageError`, naming the source, if an entry is invalid.
    """
    try:
        protocol = Protocol.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{source}: {first_problem(error)}") from error
    return _map_paths(protocol, lambda path: folder / path)


def read_protocol(path: Path) -> Protocol:
    """Read a protocol from YAML; its paths are relative to its folder.

    Raises `UsageError` if the file cannot be read, is not YAML, or is not a valid protocol.
    """
    content = read_yaml(path, "give a protocol, see docs/benchmark.md", "correct it")
    if not isinstance(content, dict):
        raise UsageError(f"{path}: is not a protocol, which is a mapping; see docs/benchmark.md")
    return make_protocol(content, str(path), path.absolute().parent)


def add_external(protocol: Protocol, folders: Mapping[str, Path]) -> Protocol:
    """Add folders of external programs' picks, by name; raise `UsageError` if a name is that of a method."""
    content = protocol.model_dump() | {"methods": list(protocol.methods)}
    content["external"] |= folders
    return make_protocol(content, "--external", Path())


def filter_protocol(
    protocol: Protocol,
    *,
    methods: Sequence[str] = (),
    datasets: Sequence[str] = (),
    clicks: Sequence[int] = (),
    seeds: Sequence[int] = (),
) -> Protocol:
    """Return a part of a protocol, as `Part` declares it; an empty list selects everything.

    Raises `UsageError` if a name or number is not in the protocol.
    """
    selections = {
        "--method": (methods, [row.name for row in protocol.rows]),
        "--dataset": (datasets, list(protocol.datasets)),
        "--clicks": (clicks, protocol.clicks),
        "--seed": (seeds, protocol.seeds),
    }
    for flag, (selected, available) in selections.items():
        for value in selected:
            if value not in available:
                raise UsageError(f"{flag} {value}: the protocol has {', '.join(map(str, available))}; add it there")
    return protocol.model_copy(
        update={
            "methods": tuple(row for row in protocol.methods if not methods or row.name in methods),
            "external": {name: path for name, path in protocol.external.items() if not methods or name in methods},
            "datasets": {name: data for name, data in protocol.datasets.items() if not datasets or name in datasets},
            "clicks": tuple(clicks) or protocol.clicks,
            "seeds": tuple(seeds) or protocol.seeds,
        }
    )


def protocol_text(protocol: Protocol, folder: Path) -> str:
    """Format a protocol as YAML that `read_protocol` reads from a folder; built-in methods by name."""
    content = _relative_to(folder, protocol).model_dump(mode="json", exclude_defaults=True)
    content["methods"] = [
        method.name if BUILT_IN.get(method.name) == method else method.model_dump(mode="json", exclude_defaults=True)
        for method in protocol.methods
    ]
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def protocol_content(protocol: Protocol, folder: Path) -> dict[str, Any]:
    """Return the protocol as JSON values, with paths as in `protocol_text`."""
    return _relative_to(folder, protocol).model_dump(mode="json")


def _relative_to(folder: Path, protocol: Protocol) -> Protocol:
    """Make paths relative to a folder in the same tree, so that data and results can be moved together."""
    base = folder.resolve()  # `..` of a symbolic link would be another folder.

    def relative(path: Path) -> Path:
        # If only the root is in common, an absolute path is clearer.
        target = path.parent.resolve() / path.name
        is_near = path.is_absolute() and target.parts[:2] == base.parts[:2]
        return Path(os.path.relpath(target, base) if is_near else os.path.normpath(path))

    return _map_paths(protocol, relative)


def _map_paths(protocol: Protocol, move: Callable[[Path], Path]) -> Protocol:
    template = protocol.template
    if template is not None and template.map is not None:
        template = template.model_copy(update={"map": move(template.map)})
    datasets = {
        name: data.model_copy(
            update={"tomograms": tuple(map(move, data.tomograms)), "truth": move(Path(data.truth)).as_posix()}
        )
        for name, data in protocol.datasets.items()
    }
    external = {name: move(path) for name, path in protocol.external.items()}
    return protocol.model_copy(update={"template": template, "datasets": datasets, "external": external})
