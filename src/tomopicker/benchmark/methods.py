"""The methods that a protocol may name: networks of this program, baselines without training, and other programs."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tomopicker.config import PresetName, first_problem, resolve
from tomopicker.errors import UsageError

CHEAP_EPOCHS = 8
"""Of the rows named after it: the paper's 20 epochs, 2.5 times cheaper."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Also the name of a folder of results."""


class Method(BaseModel):
    """One row of the tables.

    A protocol names a built-in method, or describes a network of its own: ``{name: short, preset: default, settings:
    {training: {steps: 200}}}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Literal["network", "dog", "ball", "template", "external"] = Field(
        default="network", description="a network is trained; dog, ball and template score; external reads files"
    )
    preset: PresetName = "default"
    settings: dict[str, Any] = Field(default={}, description="changes to the preset, nested like Settings")
    labelled: Literal["clicks", "all"] = Field(
        default="clicks", description="all: every particle of the training tomogram, the ceiling for a network"
    )
    folder: Path | None = Field(default=None, description="external: where its files of picks are")

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
            raise ValueError(f"method {self.name}: a folder is what an external method has, and no other")
        return self


def _network(name: str, preset: PresetName, **settings: Any) -> Method:
    return Method(name=name, preset=preset, settings=settings)


BUILT_IN: dict[str, Method] = {
    method.name: method
    for method in (
        *(_network(f"paper-{kind}", "paper", objective={"loss": kind}) for kind in ("pn", "pu", "kl")),
        *(
            _network(
                f"paper-{kind}-{CHEAP_EPOCHS}-epochs", "paper",
                objective={"loss": kind}, training={"epochs": CHEAP_EPOCHS},
            )
            for kind in ("pn", "pu", "kl")
        ),
        *(_network(f"default-{kind}", "default", objective={"loss": kind}) for kind in ("pn", "pu", "kl", "distpu")),
        _network("default-pu-sigmoid", "default", objective={"loss": "pu", "surrogate": "sigmoid"}),
        *(_network(preset, preset) for preset in get_args(PresetName) if preset not in {"default", "paper"}),
        Method(name="all-labelled", labelled="all"),
        Method(name="dog", kind="dog"),
        Method(name="ball", kind="ball"),
        Method(name="template", kind="template"),
    )
}  # fmt: skip
"""By name. The default preset's own objective is one of these; its row is the program as it comes."""


def method_of(asked: object) -> Method:
    """Give the method that an entry of a protocol's list means.

    Raises
    ------
    ValueError
        One line, for pydantic to pass on.
    """
    if isinstance(asked, Method):
        return asked
    if isinstance(asked, str):
        if asked not in BUILT_IN:
            raise ValueError(f"there is no method '{asked}'; use {', '.join(BUILT_IN)}, or describe a network")
        return BUILT_IN[asked]
    if not isinstance(asked, dict):
        raise ValueError("a method is a name, or a mapping such as {name: short, settings: {training: {steps: 200}}}")
    if asked.get("name") in BUILT_IN:
        raise ValueError(f"'{asked['name']}' is a built-in method; give yours another name")
    try:
        return Method.model_validate(asked)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error
