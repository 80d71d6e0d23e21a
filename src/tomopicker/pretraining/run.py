"""Parts that every pretraining shares: steps with a one-cycle schedule, checkpoints between them, an exact resume."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tomopicker.errors import TomoPickerError
from tomopicker.training.checkpoint import (
    CHECKPOINT,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
    schedule_facts,
)
from tomopicker.training.fingerprint import changed_settings
from tomopicker.training.interrupt import defer_signals, ignore_signals
from tomopicker.training.seeding import seeded

SAVE_SECONDS = 60
CLIP_NORM = 5.0
NETWORK = "network."

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Run:
    """The parts of a pretraining that change from step to step.

    Parameters
    ----------
    recipe : mapping
        Settings that determine the weights; a checkpoint of others is refused.
    network : Module
        With all that is trained.
    optimizer : Optimizer
    schedule : LRScheduler
    """

    recipe: Mapping[str, Any]
    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler

    def descend(self, loss: Tensor) -> float:
        """Take an optimiser step; return the loss.

        Raises
        ------
        TomoPickerError
            If the loss is no longer finite.
        """
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TomoPickerError("pretraining: the loss is no longer finite; change --seed")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.schedule.step()
        return value

    def save(
        self, path: Path, step: int, tensors: Mapping[str, Tensor] | None = None, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Write a checkpoint after a step, with tensors and facts that are the caller's own."""
        kept = {f"{NETWORK}{name}": value for name, value in self.network.state_dict().items()}
        kept |= optimizer_tensors(self.optimizer) | dict(tensors or {})
        stated = {
            "recipe": self.recipe,
            "step": step,
            "groups": self.optimizer.state_dict()["param_groups"],
            "schedule": schedule_facts(self.schedule),
        }
        save_tensors(path, CHECKPOINT, kept, stated | dict(facts or {}))

    def restore(self, path: Path) -> tuple[int, dict[str, Tensor], dict[str, Any]]:
        """Take up a checkpoint; give its step, and all its tensors and facts.

        Raises
        ------
        TomoPickerError
            If it is of another recipe.
        """
        tensors, facts = load_tensors(path, CHECKPOINT)
        if changes := list(changed_settings(facts.get("recipe", {}), self.recipe)):
            raise TomoPickerError(
                f"{path}: belongs to a run with {', '.join(changes)}; repeat its options, "
                "or give --overwrite in place of --resume to start anew"
            )
        self.network.load_state_dict(
            {name.removeprefix(NETWORK): value for name, value in tensors.items() if name.startswith(NETWORK)}
        )
        restore_optimizer(self.optimizer, tensors, facts["groups"])
        self.schedule.load_state_dict(facts["schedule"])
        return int(facts["step"]), tensors, facts


def take_steps(
    draw: Callable[[int], Batch],
    take: Callable[[Batch, int], bool],
    save: Callable[[int], None],
    *,
    first: int,
    steps: int,
    workers: int,
    seed: int,
    device: torch.device,
) -> None:
    """Take steps on drawn batches, and save every minute and when SIGINT or SIGTERM interrupts between steps.

    Parameters
    ----------
    draw : callable
        Draws the batch of a step, given the number of steps before it, in a worker process.
    take : callable
        Takes a step, given the batch and the number of steps including it; returns whether to save at once.
    save : callable
        Saves, given the number of steps taken.
    first, steps : int
        Steps taken before, and of the whole pretraining.
    workers : int
        Processes that draw batches.
    seed : int
        Of torch's generators, anew in each step.
    device : torch.device
    """
    batches: DataLoader[Any] = DataLoader(
        range(steps),  # type: ignore[arg-type]  # Any sequence will do.
        batch_size=None,
        sampler=range(first, steps),
        collate_fn=draw,  # type: ignore[arg-type]  # Without a batch size it gets one item.
        num_workers=workers,
        worker_init_fn=ignore_signals,
        generator=torch.Generator(),
    )
    saved, step = time.monotonic(), first
    with defer_signals() as stop_requested:
        try:
            for batch in batches:
                step += 1
                with seeded(seed + step - 1, device):
                    now = take(batch, step)
                if now or time.monotonic() - saved > SAVE_SECONDS:
                    save(step)
                    saved = time.monotonic()
                if stop_requested():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:  # Raised above, or by a report at the end of a step.
            save(step)
            raise
