"""Settings: frozen, validated, and resolved before a run starts.

Each setting is declared once, with its type, unit, meaning and default: those of training and picking here, those of
workers in `tomopicker.cluster.settings`, of simulations in `tomopicker.simulation.settings`, of a selection in
`tomopicker.output.settings`. The declarations serve the command line (those with a flag), the settings file, Python and
the reference pages. `resolve` merges, in this order, a preset, a settings file and the command line.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from tomopicker.errors import UsageError
from tomopicker.presets import PRESETS, merged
from tomopicker.wording import wrong_value

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
PresetName = Literal["instant", "default", "best", "paper"]
LossName = Literal["kl", "pu", "pn", "distpu"]

LABELS_FOR_STEPS = 20
"""Maximum number of labels up to which pseudo-labels lengthen a training as clicks do."""


@dataclass(frozen=True)
class Flag:
    """The command-line option of a setting.

    Parameters
    ----------
    type : type
        The type on the command line; the setting itself may also be null, or a word.
    panel : str
        Panel of the help.
    default : str
        The default in words, if the value is not informative.
    short : str, optional
        Such as ``-d``.
    name : str, optional
        The option, if not named like the setting.
    """

    type: Any
    panel: str = "Method"
    default: str = ""
    short: str = ""
    name: str = ""


def setting(default: Any, description: str, *, unit: str = "", flag: Flag | None = None, **limits: Any) -> Any:
    """Declare a setting; ``...`` as default makes it required."""
    return Field(default, description=description, json_schema_extra={"unit": unit, "flag": flag}, **limits)  # type: ignore[dict-item]


def fields_of(kind: Any) -> dict[str, FieldInfo]:
    """Return the declared fields of a class of settings, by name."""
    fields: dict[str, FieldInfo] = kind.__pydantic_fields__
    return fields


def fields_by_path(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the declarations of settings and of their groups, by path such as ``training.steps``."""
    fields = dict(fields_of(kind))
    for group, field in fields_of(kind).items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            fields |= {f"{group}.{name}": inner for name, inner in fields_of(field.annotation).items()}
    return fields


class Frozen(BaseModel):
    """Base class of frozen settings: no unknown fields, no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Preprocess(Frozen):
    """From tomogram to working volume (section 3.1), at the particle's own scale."""

    clip_sd: Positive = setting(4.0, "Voxels are clipped at this distance from the mean.", unit="sd")
    working_diameter: Positive | None = setting(
        12.0, "The tomogram is resampled to this particle diameter; null: not resampled.", unit="voxels"
    )
    mask: Literal["auto", "none"] = setting(
        "auto",
        "auto: the lamella is detected, the rest ignored; none: the whole volume. --mask takes a file too.",
    )


class Labels(Frozen):
    """Label masks around clicks (section 3.1)."""

    radius_fraction: Annotated[float, Field(gt=0, le=1)] = setting(
        0.5, "Radius of the positive ball; the shell between it and the particle's surface is ignored.",
        unit="particle radii",
    )  # fmt: skip


class Patches(Frozen):
    """Sampling of the network's input."""

    sampling: Literal["blocks", "balanced"] = setting(
        "balanced", "blocks: every non-overlapping block once an epoch; balanced: half around clicks, half uniform."
    )
    size: Annotated[int, Field(ge=8)] = setting(24, "Edge of a patch.", unit="working voxels")
    batch: Count = setting(24, "Patches per step.")
    augment: bool = setting(True, "Random flips, quarter turns about z, gain, offset and noise.")
    rotation_prob: Fraction = setting(
        0.5, "balanced: probability of a free rotation of a patch, with the missing wedge imposed again."
    )
    negative_fraction: Fraction = setting(
        0.05, "balanced: fraction of the patches not around clicks that is cut around --negatives, if any."
    )


class Network(Frozen):
    """The voxel classifier (section 3.3)."""

    block: Literal["resunet", "unet", "multires"] = setting(
        "resunet", "Two convolutions with (resunet) or without (unet) a residual connection, or MultiRes."
    )
    channels: tuple[Count, ...] = setting((32, 80, 160), "Channels of each level.", min_length=2)
    dropout: BelowOne = setting(0.0, "Probability of dropout after every block.")
    stride: Literal[1, 2] = setting(
        2, "2: the first convolution halves the resolution and the last doubles it; 1: full resolution."
    )
    pretrained: str = setting(
        "shipped", "Initial weights: shipped (of random molecules), none, or a file by 'tomopicker pretrain'.",
        min_length=1,
    )  # fmt: skip
    head: Literal["trained", "discriminant"] = setting(
        "trained",
        "Last layer: trained with the rest, or a discriminant in closed form from the features at the clicks, solved "
        "in each tomogram; then nothing is trained.",
    )


class Objective(Frozen):
    """The objective that training minimises (section 3.2)."""

    loss: LossName = setting(
        "pn",
        "pn: positive-negative; pu: non-negative positive-unlabelled; kl: KL-regularised; distpu: Dist-PU.",
        flag=Flag(LossName),
    )
    surrogate: Literal["logistic", "sigmoid"] = setting(
        "logistic",
        "pn, pu, kl: loss of a voxel, the cross-entropy of eq. 3, or 1 - f and f; distpu always uses the latter.",
    )
    balanced: bool = setting(
        True, "pn, distpu: positive and unlabelled terms weigh the same, not according to the prior."
    )
    gamma: Literal["none", "fraction", "literal"] = setting(
        "none", "Scale of the positive terms: 1; 10·|P|/voxels of the batch; 10·|P|/patches of the batch."
    )
    kl_weight: Positive = setting(1.0, "λ of eq. 6.")
    kl_direction: Literal["model-prior", "prior-model"] = setting(
        "prior-model", "KL(E[f] ‖ π'') as in eq. 6, or KL(π'' ‖ E[f])."
    )
    entropy_weight: NotNegative = setting(0.01, "distpu: weight of the entropy of the scores.")
    negative_weight: NotNegative = setting(
        0.1, "Weight of --negatives, as a fraction of the weight of the positive term."
    )
    prior_denominator: Literal["all", "unlabelled"] = setting(
        "unlabelled", "π'' divides by |P ∪ U| as in eq. 8, or by |U|."
    )
    prior_momentum: BelowOne = setting(
        0.9, "Momentum of the running mean of the scores of unlabelled voxels; 0: this batch only."
    )


class Training(Frozen):
    """The training loop (section 3.3)."""

    steps: Count | Literal["by-clicks"] | None = setting(
        "by-clicks",
        "Optimiser steps. by-clicks: 25.5·√labels, 40 to 280, pseudo-labels counted up to 20 labels; null: epochs are "
        "counted.",
        flag=Flag(int, default="by the number of labels, 114 for up to 20 clicks with pseudo-labels"),
    )
    epochs: Count | None = setting(
        None, "Passes over the training tomograms, instead of steps.", flag=Flag(int, default="none, steps are counted")
    )
    learning_rate: Positive = setting(3e-3, "Of Adam.")
    head_lr_factor: Positive = setting(3.0, "Learning rate of the head, relative to that of the pretrained layers.")
    schedule: Literal["plateau", "one-cycle"] = setting(
        "one-cycle", "plateau: halved after 5 epochs without improvement; one-cycle: warm-up, then decay."
    )
    weight_decay: NotNegative = setting(1e-4, "Decoupled weight decay.")
    ema: BelowOne = setting(0.98, "Decay of the moving average of the weights; 0: no averaging.")
    validation_fraction: BelowOne = setting(
        0.0, "Fraction of 10 or more clicks held out for validation if there is no validation tomogram."
    )


class PseudoLabels(Frozen):
    """Instant picks in the training tomograms, from which the network learns in addition to the clicks."""

    source: Literal["auto", "discriminant", "none"] = setting(
        "auto",
        "discriminant: instant picks; none: the network learns from clicks alone; auto: the discriminant where the "
        "network starts from pretrained weights, batch statistics are adapted and no click is held out.",
    )
    limit: Annotated[int, Field(ge=0)] = setting(
        20, "Most pseudo-labels per training tomogram; as many as clicks where those are more."
    )
    positive_threshold: Fraction = setting(0.9, "Picks of at least this probability become pseudo-labels.")
    ignore_threshold: Fraction = setting(
        0.2, "Other picks of at least this probability are ignored, not taken as background."
    )


class Inference(Frozen):
    """From working volume to score volume (section 3.4)."""

    tile: Annotated[int, Field(ge=8)] = setting(192, "Edge of a tile without its halo.", unit="working voxels")
    halo: Annotated[int, Field(ge=0)] = setting(
        8, "Context around a tile, computed and discarded.", unit="working voxels"
    )
    tta: bool = setting(False, "Test-time augmentation: mean over half-turns about x, y and z, four times the work.")
    adabn: bool = setting(True, "Batch normalisation uses the statistics of each tomogram that is scored.")


class Picking(Frozen):
    """From score volume to picks (section 3.4)."""

    method: Literal["greedy", "local"] = setting(
        "local", "greedy: the paper's greedy loop; local: local maxima with sub-voxel centres."
    )
    min_distance_fraction: Positive = setting(1.4, "Minimum distance between two picks.", unit="particle radii")
    border_fraction: NotNegative = setting(
        0.4, "No picks closer to the border of the volume than this.", unit="particle radii"
    )
    smoothing_fraction: NotNegative = setting(
        0.2, "Standard deviation of the Gaussian that smooths the scores.", unit="particle radii"
    )


class Settings(Frozen):
    """All settings of training and of picking."""

    preset: PresetName = setting(
        "default",
        "default: works at the particle's own scale, nothing to tune; instant: no training at all, seconds; best: four "
        "times the picking time; paper: the method as published.",
        flag=Flag(PresetName),
    )
    particle_diameter: Positive = setting(
        ..., "Diameter of the particle.", unit="Å", flag=Flag(float, "Input", short="-d")
    )
    expected_particles: Positive | None = setting(
        None,
        "Approximate number of particles in a training tomogram, clicked or not; a prior that clicks can contradict.",
        flag=Flag(float, default="estimated; kl, pu, distpu: by a first network with the PN loss"),
    )
    seed: Annotated[int, Field(ge=0)] = setting(0, "Random seed.", flag=Flag(int))
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Arithmetic of the network; auto: bfloat16 where the processor has it."
    )
    preprocess: Preprocess = Preprocess()
    labels: Labels = Labels()
    patches: Patches = Patches()
    network: Network = Network()
    objective: Objective = Objective()
    training: Training = Training()
    pseudo_labels: PseudoLabels = PseudoLabels()
    inference: Inference = Inference()
    picking: Picking = Picking()

    @model_validator(mode="after")
    def _check_consistency(self) -> "Settings":
        levels, stride = len(self.network.channels), self.network.stride
        divisor = stride * 2 ** (levels - 1)
        edges = {"patches.size": self.patches.size, "inference.tile": self.inference.tile}
        for name, value in {**edges, "inference.halo": self.inference.halo}.items():
            if value % divisor:
                raise ValueError(
                    f"{name} must be a multiple of {divisor} for {levels} levels and a stride of {stride}, not {value}"
                )
        if (self.training.steps is None) == (self.training.epochs is None):
            raise ValueError("training needs either steps or epochs")
        if self.pseudo_labels.ignore_threshold > self.pseudo_labels.positive_threshold:
            raise ValueError("pseudo_labels.ignore_threshold must be no more than pseudo_labels.positive_threshold")
        if self.patches.sampling == "balanced" and self.patches.batch < 2:
            raise ValueError("patches.batch must be at least 2: one patch around a click, one anywhere")
        sources = {"network.head": self.network.head, "pseudo_labels.source": self.pseudo_labels.source}
        for name, source in sources.items():
            if source == "discriminant" and not self.inference.adabn:
                raise ValueError(f"{name} discriminant is solved in each tomogram: inference.adabn must be true")
            if source == "discriminant" and self.network.pretrained == "none":
                raise ValueError(f"{name} discriminant needs weights: network.pretrained must not be none")
        if self.pseudo_labels.source == "discriminant" and self.training.validation_fraction:
            raise ValueError(
                "pseudo_labels.source must be none with training.validation_fraction: validation clicks would return "
                "as pseudo-labels"
            )
        return self

    @property
    def has_pseudo_labels(self) -> bool:
        """True if a network is trained on pseudo-labels too."""
        if self.pseudo_labels.source == "auto":
            possible = self.network.pretrained != "none" and self.inference.adabn
            return possible and not self.training.validation_fraction
        return self.pseudo_labels.source == "discriminant"

    def steps_for(self, clicks: int, pseudo_labels: int = 0) -> int | None:
        """Return the optimiser steps for `clicks` and `pseudo_labels` labels; None if epochs are counted.

        Networks soon overfit few labels, and then forget the pretrained features.
        """
        if self.training.steps != "by-clicks":
            return self.training.steps
        labels = max(clicks, min(clicks + pseudo_labels, LABELS_FOR_STEPS))
        return min(max(round(25.5 * math.sqrt(labels)), 40), 280)

    def particles_in(self, tomograms: int) -> float | None:
        """Return the expected number of particles in `tomograms` training tomograms; None if it is not given."""
        return None if self.expected_particles is None else self.expected_particles * tomograms


def read_yaml(path: Path, unreadable: str, invalid: str) -> Any:
    """Read a YAML file; raises `UsageError` that ends with a remedy, `unreadable` or, for bad YAML, `invalid`."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: cannot be read ({reason}); {unreadable}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path}: is not YAML ({str(error).splitlines()[0]}); {invalid}") from error


def read_settings_file(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings: any part of `Settings`, nested as there.

    Raises
    ------
    UsageError
        If the file is missing, is not YAML, or is not a mapping.
    """
    loaded = read_yaml(path, "give another --config", "correct it or leave out --config") or {}
    if not isinstance(loaded, dict):
        raise UsageError(f"{path}: must be a mapping of settings such as 'training: {{steps: 200}}'")
    return loaded


def resolve(options: dict[str, Any], config: dict[str, Any] | None = None) -> Settings:
    """Merge a preset, a settings file and options into settings.

    Parameters
    ----------
    options : dict
        Nested like `Settings`, or by path such as ``training.steps``; wins over `config`, which wins over the preset
        that either names.
    config : dict, optional
        Content of a settings file.

    Raises
    ------
    UsageError
        One line that names the first invalid setting.
    """
    config, options = config or {}, nested(options)
    preset = options.get("preset") or config.get("preset") or "default"
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UsageError(f"there is no preset '{preset}'; use {' or '.join(PRESETS)}")
    try:
        return Settings.model_validate(merged(merged({"preset": preset, **PRESETS[preset]}, config), options))
    except ValidationError as error:
        raise UsageError(first_problem(error)) from error


def nested(options: dict[str, Any]) -> dict[str, Any]:
    """Nest settings whose names are paths: ``{"training.steps": 9}`` becomes ``{"training": {"steps": 9}}``."""
    result: dict[str, Any] = {}
    for path, value in options.items():
        *groups, name = path.split(".")
        parent = result
        for group in groups:
            parent = parent.setdefault(group, {})
        parent[name] = dict(value) if isinstance(value, dict) else value
    return result


def first_problem(error: ValidationError) -> str:
    """Describe the first validation error in one line: the setting and its error."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    problem = wrong_value(first["type"], first["input"], first["msg"].removeprefix("Value error, "))
    return f"{name}: {problem}" if name else problem
