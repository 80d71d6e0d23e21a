"""A pretraining run: AdamW with a one-cycle schedule, checkpoints between steps, and an exact resume."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tomopicker import __version__
from tomopicker.config import Network
from tomopicker.errors import TomoPickerError
from tomopicker.pretraining.recipe import EpisodeRecipe, Recipe
from tomopicker.training.checkpoint import (
    CHECKPOINT,
    PRETRAINED,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
    schedule_facts,
)
from tomopicker.training.fingerprint import changed_settings
from tomopicker.training.interrupt import defer_signals, ignore_signals
from tomopicker.training.seeding import seeded

CHECKPOINT_SECONDS = 60
MAX_GRADIENT_NORM = 5.0
NETWORK_PREFIX = "network."

Batch = TypeVar("Batch")
State = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Tensors and facts of a checkpoint."""


class Run:
    """Everything that changes from step to step.

    Parameters
    ----------
    recipe : Recipe or EpisodeRecipe
        Settings that determine the weights; a checkpoint of other settings is refused.
    network : Module
        All trained weights.
    groups : sequence of dict
        Parameter groups of AdamW, each with its maximum learning rate.
    device : torch.device
    checkpoint : Path or None
        Written every minute, when a step asks for it, and when SIGINT or SIGTERM interrupts the run between steps.
    extra_state : callable, optional
        Returns tensors and facts that the checkpoint stores in addition.
    """

    def __init__(
        self,
        recipe: Recipe | EpisodeRecipe,
        network: nn.Module,
        groups: Sequence[dict[str, Any]],
        *,
        device: torch.device,
        checkpoint: Path | None,
        extra_state: Callable[[], State] = lambda: ({}, {}),
    ) -> None:
        self.recipe, self.network, self.device = recipe, network, device
        self.checkpoint, self.extra_state = checkpoint, extra_state
        self.optimizer = torch.optim.AdamW(groups)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, [group["lr"] for group in groups], total_steps=recipe.steps, pct_start=0.1
        )

    def descend(self, loss: Tensor) -> float:
        """Take an optimiser step and return the loss.

        Raises
        ------
        TomoPickerError
            If the loss is not finite.
        """
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TomoPickerError("pretraining: the loss is no longer finite; change --seed")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.schedule.step()
        return value

    def save(self, step: int) -> None:
        """Write the checkpoint after a step, if there is one to write."""
        if self.checkpoint is None:
            return
        extra_tensors, extra_facts = self.extra_state()
        tensors = {f"{NETWORK_PREFIX}{name}": value for name, value in self.network.state_dict().items()}
        facts = {
            "recipe": self.recipe.to_dict(),
            "step": step,
            "groups": self.optimizer.state_dict()["param_groups"],
            "schedule": schedule_facts(self.schedule),
        }
        save_tensors(
            self.checkpoint, CHECKPOINT, tensors | optimizer_tensors(self.optimizer) | dict(extra_tensors),
            facts | dict(extra_facts),
        )  # fmt: skip

    def resume(self) -> tuple[int, State]:
        """Restore the checkpoint, if there is one, and return its step, tensors and facts; else 0 and nothing.

        Raises
        ------
        TomoPickerError
            If it belongs to another recipe.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0, ({}, {})
        tensors, facts = load_tensors(self.checkpoint, CHECKPOINT)
        if changes := list(changed_settings(facts.get("recipe", {}), self.recipe.to_dict())):
            raise TomoPickerError(
                f"{self.checkpoint}: belongs to a run with {', '.join(changes)}; repeat its options, "
                "or give --overwrite instead of --resume to start again"
            )
        prefixed = {name: value for name, value in tensors.items() if name.startswith(NETWORK_PREFIX)}
        self.network.load_state_dict({name.removeprefix(NETWORK_PREFIX): value for name, value in prefixed.items()})
        restore_optimizer(self.optimizer, tensors, facts["groups"])
        self.schedule.load_state_dict(facts["schedule"])
        return int(facts["step"]), (tensors, facts)

    def take_steps(
        self, draw: Callable[[int], Batch], take: Callable[[Batch, int], bool], *, first: int, workers: int
    ) -> None:
        """Take the remaining steps on drawn batches, writing checkpoints in between.

        Parameters
        ----------
        draw : callable
            Draws the batch of a step, given the number of steps before it, in a worker process.
        take : callable
            Takes a step, given the batch and the number of steps including it; returns whether to save at once.
        first : int
            Steps already taken.
        workers : int
            Processes that draw batches.
        """
        batches: DataLoader[Any] = DataLoader(
            range(self.recipe.steps),  # type: ignore[arg-type]  # Any sequence is accepted.
            batch_size=None,
            sampler=range(first, self.recipe.steps),
            collate_fn=draw,  # type: ignore[arg-type]  # Without a batch size it receives one item.
            num_workers=workers,
            worker_init_fn=ignore_signals,
            generator=torch.Generator(),
        )
        saved, step = time.monotonic(), first
        with defer_signals() as stop_requested:
            try:
                for batch in batches:
                    step += 1
                    with seeded(self.recipe.seed + step - 1, self.device):
                        save_now = take(batch, step)
                    if save_now or time.monotonic() - saved > CHECKPOINT_SECONDS:
                        self.save(step)
                        saved = time.monotonic()
                    if stop_requested():
                        raise KeyboardInterrupt
            except KeyboardInterrupt:  # Raised above, or by a callback at the end of a step.
                self.save(step)
                raise


def save_pretrained(
    path: Path, weights: Mapping[str, Tensor], recipe: Mapping[str, Any], facts: Mapping[str, Any] | None = None
) -> None:
    """Write weights in half precision, with their recipe and other facts about them."""
    halved = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    cfg = Network()
    network = {"block": cfg.block, "channels": list(cfg.channels), "stride": cfg.stride}
    stored = {"network": network, "recipe": dict(recipe), "tomopicker": __version__}
    save_tensors(path, PRETRAINED, halved, stored | dict(facts or {}))
