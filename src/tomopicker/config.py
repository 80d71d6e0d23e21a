"""Settings: frozen, validated, and resolved before anything runs; presets give the numbers.

`resolve` merges, in this order, a preset, a settings file and what the user asked for on the command line.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tomopicker.errors import UsageError
from tomopicker.presets import PRESETS, merged
from tomopicker.wording import wrong_value

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


PresetName = Literal["instant", "fast", "default", "best", "paper"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Preprocess(_Frozen):
    """From tomogram to working volume (section 3.1), at the particle's own scale."""

    clip_sd: Positive = Field(description="clip values further from the mean than this many standard deviations")
    working_diameter: Positive | None = Field(
        description="resample so that a particle is this many voxels wide; null: do not"
    )
    mask: Literal["auto", "none"] = Field(
        description="auto: find the lamella, and leave out what lies outside it; none: take all of the volume"
    )


class Labels(_Frozen):
    """Balls around clicks (section 3.1)."""

    target_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        description="radius of the positive ball, as a fraction of the particle's; the shell around it is ignored"
    )


class Patches(_Frozen):
    """What one training step sees."""

    sampling: Literal["blocks", "two-stream"] = Field(
        description="blocks: every non-overlapping block once an epoch; two-stream: half around clicks, half uniform"
    )
    size: Annotated[int, Field(ge=8)] = Field(description="edge in working voxels")
    batch: Count = Field(description="patches a step")
    augment: bool = Field(description="flips, quarter turns about z, gain, offset and noise")
    turned: Fraction = Field(description="two-stream: share of patches turned freely, the missing wedge imposed again")
    rejected: Fraction = Field(
        description="two-stream: share of patches not around clicks that are cut around --negatives, if given"
    )


class Network(_Frozen):
    """The voxel classifier (section 3.3)."""

    block: Literal["resunet", "unet", "multires"] = Field(
        description="two convolutions, with or without residual; or MultiRes"
    )
    channels: tuple[Count, ...] = Field(min_length=2, description="channels of each level")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(description="probability, after every block")
    stride: Literal[1, 2] = Field(description="2: the first convolution halves the resolution, the last doubles it")
    start: str = Field(
        min_length=1,
        description="weights to start from: shipped (learned on random molecules), scratch, or a file of 'pretrain'",
    )
    head: Literal["trained", "discriminant"] = Field(
        description="last layer: learnt with the rest; or, in closed form from the features at the clicks, in each "
        "tomogram, and nothing is trained"
    )


class Objective(_Frozen):
    """The risk that is minimised (section 3.2)."""

    kind: Literal["kl", "pu", "pn", "distpu"] = Field(
        description="KL-regularised, non-negative PU, positive-negative, or Dist-PU"
    )
    loss: Literal["logistic", "sigmoid"] = Field(
        description="PN, PU, KL: cost of a voxel, the cross-entropy of eq. 3, or 1 - f and f; Dist-PU's is the latter"
    )
    balanced: bool = Field(description="PN, Dist-PU: weigh positive and unlabelled terms alike instead of by the prior")
    gamma: Literal["none", "fraction", "literal"] = Field(
        description="scale of the positive terms: 1; 10·|P|/voxels of the batch; 10·|P|/patches of the batch"
    )
    kl_weight: Positive = Field(description="λ of eq. 6")
    kl_direction: Literal["model-prior", "prior-model"] = Field(
        description="KL(E[f] ‖ π'') as in eq. 6, or KL(π'' ‖ E[f])"
    )
    entropy_weight: Annotated[float, Field(ge=0)] = Field(description="Dist-PU: weight of the scores' entropy")
    negative_weight: Annotated[float, Field(ge=0)] = Field(
        description="weight of rejected picks (--negatives), as a share of what the positive term weighs"
    )
    prior_denominator: Literal["all", "unlabelled"] = Field(description="π'' divides by |P ∪ U| as in eq. 8, or by |U|")
    running_mean: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="memory of the mean over unlabelled voxels; 0: this batch"
    )


class Training(_Frozen):
    """The loop (section 3.3)."""

    steps: Count | Literal["by-clicks"] | None = Field(
        description="optimiser steps; by-clicks: 25.5 times the root of their number, 40 to 280; null: count epochs"
    )
    epochs: Count | None = Field(description="passes over the blocks; null: count steps")
    rounds: Count = Field(
        description="trainings in turn; each also learns from the confident picks, in the tomograms clicked "
        "in, of the networks before it, and the last network is kept; 1: from the clicks alone"
    )
    teachers: Annotated[int, Field(ge=1, le=26)] = Field(
        description="networks trained in each of several rounds but the last; what is confident is told by the mean of "
        "their scores and those of earlier rounds"
    )
    rounds_from: Count = Field(
        description="clicks it takes for more than one round: fewer teach a network too little to be taught by"
    )
    last_round: Positive = Field(
        description="steps of the last of several rounds over those of each before it; epochs are alike in all"
    )
    growth: Annotated[float, Field(gt=1)] = Field(
        description="clicks and confident picks together are at most so many times as many in each round as before"
    )
    confident: Fraction = Field(description="least calibrated probability of a pick that the next round learns from")
    doubtful: Fraction = Field(
        description="the next round takes no pick of at least this probability for background; it ignores it"
    )
    learning_rate: Positive = Field(description="Adam's")
    head_rate: Positive = Field(
        description="the head's learning rate over the rest's: a new head has more to learn than pretrained weights"
    )
    schedule: Literal["plateau", "one-cycle"] = Field(
        description="halve after 5 epochs without improvement; or warm up, then decay"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(description="decoupled weight decay")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(description="decay of the moving average of the weights; 0: none")
    hold_out: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="share of 10 or more clicks held out to follow the training without a validation tomogram"
    )
    fold_steps: Annotated[int, Field(ge=0)] = Field(
        description="pu, kl, distpu: steps of each of two networks on half of the clicks, that count; 0: none"
    )

    def steps_for(self, clicks: int) -> int | None:
        """Give the steps of a training on so many clicks; none if epochs are counted.

        Few clicks are learnt by heart soon, and what was learnt beforehand is then forgotten.
        """
        if self.steps != "by-clicks":
            return self.steps
        return int(np.clip(round(25.5 * np.sqrt(clicks)), 40, 280))

    def rounds_for(self, clicks: int) -> int:
        """Give the rounds of a training on so many clicks."""
        return self.rounds if clicks >= self.rounds_from else 1


class Inference(_Frozen):
    """From working volume to score volume (section 3.4)."""

    tile: Annotated[int, Field(ge=8)] = Field(description="edge of a tile's core in working voxels")
    halo: Annotated[int, Field(ge=0)] = Field(description="context around the core, computed and thrown away")
    half_turns: bool = Field(description="average the scores over half-turns about x, y and z: four times the work")
    adapt: bool = Field(description="measure batch normalisation's statistics in each tomogram that is scored")


class Picking(_Frozen):
    """From score volume to picks (section 3.4)."""

    peaks: Literal["greedy", "local"] = Field(
        description="the paper's greedy loop; or local maxima with sub-voxel centres"
    )
    min_distance_fraction: Positive = Field(
        description="least distance of two picks, as a fraction of the particle's radius"
    )
    border_fraction: Annotated[float, Field(ge=0)] = Field(
        description="no picks nearer to the volume's border than this fraction of the radius: the particle is cut there"
    )
    smoothing_fraction: Annotated[float, Field(ge=0)] = Field(
        description="sd of the Gaussian over the scores, likewise"
    )


class Settings(_Frozen):
    """Everything that decides what a training run computes, and how its scores become picks."""

    preset: PresetName
    particle_diameter: Positive = Field(description="Å")
    expected_particles: Positive | None = Field(
        default=None, description="particles in a training tomogram; null: estimated"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    preprocess: Preprocess
    labels: Labels
    patches: Patches
    network: Network
    objective: Objective
    training: Training
    inference: Inference
    picking: Picking

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        divisor = self.network.stride * 2 ** (len(self.network.channels) - 1)
        for name, value in {
            "patches.size": self.patches.size,
            "inference.tile": self.inference.tile,
            "inference.halo": self.inference.halo,
        }.items():
            if value % divisor:
                raise ValueError(
                    f"{name} must be a multiple of {divisor} for {len(self.network.channels)} levels "
                    f"and a stride of {self.network.stride}, not {value}"
                )
        if (self.training.steps is None) == (self.training.epochs is None):
            raise ValueError("training needs either steps or epochs")
        if self.training.rounds > 1 and not self.inference.adapt:
            raise ValueError("training.rounds must be 1 without inference.adapt: confident picks need probabilities")
        if self.training.rounds > 1 and self.training.hold_out:
            raise ValueError(
                "training.rounds must be 1 with training.hold_out: clicks held out would come back as confident picks"
            )
        if self.network.head == "discriminant" and not self.inference.adapt:
            raise ValueError("network.head discriminant is solved in each tomogram: inference.adapt must be true")
        if self.network.head == "discriminant" and self.network.start == "scratch":
            raise ValueError("network.head discriminant needs weights: network.start must not be scratch")
        if self.training.doubtful > self.training.confident:
            raise ValueError("training.doubtful must be no more than training.confident")
        if self.patches.sampling == "two-stream" and self.patches.batch < 2:
            raise ValueError("patches.batch must be at least 2: one patch around a click, one anywhere")
        return self


def read_settings_file(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings: any part of `Settings`, nested as there.

    Raises
    ------
    UsageError
        If the file is missing, is not YAML, or is not a mapping.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); give another --config"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(
            f"{path}: is not YAML ({str(error).splitlines()[0]}); mend it or leave out --config"
        ) from error
    if not isinstance(loaded, dict):
        raise UsageError(f"{path}: must be a mapping of settings such as 'training: {{steps: 200}}'")
    return loaded


def resolve(asked: dict[str, Any], config: dict[str, Any] | None = None) -> Settings:
    """Merge a preset, a settings file and what was asked for into settings.

    Parameters
    ----------
    asked : dict
        Nested like `Settings`; wins over `config`, which wins over the preset that either names.
    config : dict, optional
        What a settings file holds.

    Raises
    ------
    UsageError
        One line that names the first setting that cannot be.
    """
    config = config or {}
    preset = asked.get("preset") or config.get("preset") or "default"
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UsageError(f"there is no preset '{preset}'; use {' or '.join(PRESETS)}")
    try:
        return Settings.model_validate(merged(merged({"preset": preset, **PRESETS[preset]}, config), asked))
    except ValidationError as error:
        raise UsageError(first_problem(error)) from error


def first_problem(error: ValidationError) -> str:
    """Say what pydantic found first, in one line: where, and what."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    said = wrong_value(first["type"], first["input"], first["msg"].removeprefix("Value error, "))
    return f"{place}: {said}" if place else said
