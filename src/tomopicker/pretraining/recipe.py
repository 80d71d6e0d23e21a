"""Settings of pretraining, each with its limits and meaning."""

from dataclasses import asdict
from typing import Any

from pydantic.dataclasses import dataclass

from tomopicker.config import Flag, setting

_PANEL = ""
"""Unnamed panel of the command's help."""
_MOLECULES = setting(
    150, "Number of random molecules; with --episodes each has a sub-complex too.", ge=2, le=100_000,
    flag=Flag(int, _PANEL, name="classes"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _CommonRecipe:
    """Settings of both kinds of pretraining that determine the weights.

    The seed determines molecules, scenes and initial weights. A step uses one scene of 72³ working voxels, in episodes
    two.
    """

    steps: int = setting(
        5000, "Training steps of one scene of 72³ voxels; of two with --episodes.", ge=1, flag=Flag(int, _PANEL)
    )
    seed: int = setting(0, "Random seed.", ge=0, flag=Flag(int, _PANEL))
    weight_decay: float = setting(1e-3, "Weight decay of AdamW.")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings by name, as files state them."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Recipe(_CommonRecipe):
    """Settings that determine the weights of a classifier of random molecules."""

    classes: int = _MOLECULES
    orientations: int = setting(32, "Stored orientations of each molecule.")
    learning_rate: float = setting(3e-3, "Maximum learning rate of AdamW, with a one-cycle schedule.")
    pretrained: str = setting("none", "Initial weights: none, shipped, or a file of an earlier pretraining.")


@dataclass(frozen=True, kw_only=True)
class EpisodeRecipe(_CommonRecipe):
    """Settings that determine the weights of pretraining in episodes."""

    molecules: int = _MOLECULES
    orientations: int = setting(16, "Stored orientations of each molecule.")
    learning_rate: float = setting(5e-4, "Maximum learning rate of AdamW, with a one-cycle schedule.")
    pretrained: str = setting(
        "shipped", "Initial weights: none, shipped, or a file made by this command.", unit="FILE",
        flag=Flag(str, _PANEL, "none; with --episodes, shipped"),
    )  # fmt: skip
    validate_every: int = setting(100, "Episodes: steps between validations.", ge=1, flag=Flag(int, _PANEL))
    trials: int = setting(12, "Pairs of scenes in the validation.")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings by name, as files state them."""
        return {"episodes": True} | super().to_dict()
