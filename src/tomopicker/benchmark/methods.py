"""The methods of a protocol: networks of this program, baselines without training, and other programs."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from tomopicker.config import Frozen, PresetName, first_problem, resolve
from tomopicker.errors import UsageError

SHORT_EPOCHS = 8
"""Epochs of the ``paper-*-8-epochs`` methods, instead of the paper's 20."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Name of a method or a data set, and of its folder of results."""


class Method(Frozen):
    """A method, one row of the tables.

    A protocol names a built-in method or describes a network: ``{name: short, preset: default, settings: {training:
    {steps: 200}}}``.
    """

    name: Name
    kind: Literal["network", "dog", "ball", "template", "external"] = Field(
        default="network", description="network is trained; dog, ball, template score; external reads files"
    )
    preset: PresetName = "default"
    settings: dict[str, Any] = Field(default={}, description="changes to the preset, nested like Settings")
    labelled: Literal["clicks", "all"] = Field(
        default="clicks", description="all: every particle of the training tomogram, an upper bound"
    )
    folder: Path | None = Field(default=None, description="external: folder of its files of picks")

    @model_validator(mode="after")
    def _consistent(self) -> "Method":
        if self.kind == "network":
            try:
                resolve({"preset": self.preset, "particle_diameter": 1.0, **self.settings})
            except UsageError as error:
                raise ValueError(f"method {self.name}: {error}") from error
        elif self.settings or self.labelled != "clicks" or self.preset != "default":
            raise ValueError(f"method {self.name}: only a network has a preset, settings or labels")
        if (self.kind == "external") != (self.folder is not None):
            raise ValueError(f"method {self.name}: an external method needs a folder, and no other takes one")
        return self


def _network(name: str, preset: PresetName, **settings: Any) -> Method:
    return Method(name=name, preset=preset, settings=settings)


BUILT_IN: dict[str, Method] = {
    method.name: method
    for method in (
        *(_network(f"paper-{loss}", "paper", objective={"loss": loss}) for loss in ("pn", "pu", "kl")),
        *(
            _network(
                f"paper-{loss}-{SHORT_EPOCHS}-epochs", "paper",
                objective={"loss": loss}, training={"epochs": SHORT_EPOCHS},
            )
            for loss in ("pn", "pu", "kl")
        ),
        *(_network(f"default-{loss}", "default", objective={"loss": loss}) for loss in ("pn", "pu", "kl", "distpu")),
        _network("default-pu-sigmoid", "default", objective={"loss": "pu", "surrogate": "sigmoid"}),
        *(_network(preset, preset) for preset in get_args(PresetName) if preset not in {"default", "paper"}),
        Method(name="all-labelled", labelled="all"),
        Method(name="dog", kind="dog"),
        Method(name="ball", kind="ball"),
        Method(name="template", kind="template"),
    )
}  # fmt: skip
"""Built-in methods by name; one of the ``default-*`` is the default preset itself."""


def parse_method(entry: object) -> Method:
    """Parse an entry of a protocol's list of methods; raise `ValueError`, which pydantic reports, if it is invalid."""
    if isinstance(entry, Method):
        return entry
    if isinstance(entry, str):
        if entry not in BUILT_IN:
            raise ValueError(f"there is no method '{entry}'; use {', '.join(BUILT_IN)}, or describe a network")
        return BUILT_IN[entry]
    if not isinstance(entry, dict):
        raise ValueError("a method is a name, or a mapping such as {name: short, settings: {training: {steps: 200}}}")
    if entry.get("name") in BUILT_IN:
        raise ValueError(f"'{entry['name']}' is a built-in method; give yours another name")
    try:
        return Method.model_validate(entry)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error
