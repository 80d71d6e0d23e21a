"""Settings of pretraining, each with its limits and meaning."""

from pydantic.dataclasses import dataclass

from tomopicker.config import Flag, setting

FIRST = ""
"""Panel of the help, without a name."""
MOLECULES = setting(
    150, "Random molecules; with --episodes each has a sub-complex as well.", ge=2, le=100_000,
    flag=Flag(int, FIRST, name="classes"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Settings of both ways of pretraining that determine the weights.

    The seed is that of the molecules, the scenes and the first weights. A step takes a scene of 72³ working voxels, in
    episodes two.
    """

    steps: int = setting(
        5000, "Training steps, a scene of 72³ voxels each; two with --episodes.", ge=1, flag=Flag(int, FIRST)
    )
    seed: int = setting(0, "Seed of everything random.", ge=0, flag=Flag(int, FIRST))
    weight_decay: float = setting(1e-3, "Of AdamW.")


@dataclass(frozen=True, kw_only=True)
class Recipe(Shared):
    """Settings that determine the weights of a classifier of random molecules."""

    classes: int = MOLECULES
    orientations: int = setting(32, "Stored orientations of each molecule.")
    learning_rate: float = setting(3e-3, "Of AdamW, with a one-cycle schedule.")
    pretrained: str = setting("none", "Initial weights, of an earlier pretraining: none, shipped or a file.")


@dataclass(frozen=True, kw_only=True)
class EpisodeRecipe(Shared):
    """Settings that determine the weights of pretraining in episodes."""

    molecules: int = MOLECULES
    orientations: int = setting(16, "Stored orientations of each molecule.")
    learning_rate: float = setting(5e-4, "Of AdamW, with a one-cycle schedule.")
    pretrained: str = setting(
        "shipped", "Initial weights: none, shipped, or a file made by this command.", unit="FILE",
        flag=Flag(str, FIRST, "none; with --episodes, shipped"),
    )  # fmt: skip
    validate_every: int = setting(100, "Episodes: steps between two validations.", ge=1, flag=Flag(int, FIRST))
    trials: int = setting(12, "Pairs of scenes of validation.")
