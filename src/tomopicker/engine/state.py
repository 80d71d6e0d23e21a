"""The state of a training run: what changes from step to step, and its checkpoint."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tomopicker.config import Settings
from tomopicker.engine.checkpoint import (
    CHECKPOINT,
    build_network,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
    schedule_facts,
)
from tomopicker.engine.fingerprint import Fingerprint, check_same_run
from tomopicker.engine.pretrained import start_from
from tomopicker.engine.risk import Risk
from tomopicker.engine.seeding import seeded
from tomopicker.pu.prior import Priors

History = list[dict[str, float | int]]
"""Risk and learning rate, and the validation's risk and accuracy, every few steps."""


@dataclass
class State:
    """What changes from step to step, and what a checkpoint holds."""

    network: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Any
    risk: Risk
    step: int = 0
    risks: list[float] = field(default_factory=list)
    history: History = field(default_factory=list)


def start(settings: Settings, priors: Priors | None, total: int, device: torch.device) -> State:
    """Make the state before the first step."""
    knobs = settings.training
    with seeded(settings.seed, torch.device("cpu")):
        network: nn.Module = build_network(settings)
    network = network.to(device)
    start_from(network, settings.network)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(knobs.ema)
    )
    rates = {False: knobs.learning_rate, True: knobs.learning_rate * knobs.head_lr_factor}
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in network.named_parameters() if name.startswith("head.") == head], "lr": rate}
        for head, rate in rates.items()
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=knobs.weight_decay)
    schedule: Any = (
        torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=4, threshold=0.0)
        if knobs.schedule == "plateau"
        else torch.optim.lr_scheduler.OneCycleLR(optimizer, list(rates.values()), total_steps=total, pct_start=0.15)
    )
    return State(network, averaged, optimizer, schedule, Risk(settings.objective, priors))


def save(state: State, path: Path, run: Fingerprint) -> None:
    """Write a checkpoint: everything the next step depends on."""
    tensors = {f"network.{k}": v for k, v in state.network.state_dict().items()}
    tensors |= {f"averaged.{k}": v for k, v in state.averaged.state_dict().items()}
    tensors |= optimizer_tensors(state.optimizer)
    facts = {
        "run": run,
        "groups": state.optimizer.state_dict()["param_groups"],
        "schedule": schedule_facts(state.schedule),
        "remembered": state.risk.remembered,
        "step": state.step,
        "risks": state.risks,
        "history": state.history,
    }
    save_tensors(path, CHECKPOINT, tensors, facts)


def restore(state: State, path: Path, run: Fingerprint) -> None:
    """Take the state from a checkpoint.

    Raises
    ------
    TomoPickerError
        If it belongs to another run.
    """
    tensors, facts = load_tensors(path, CHECKPOINT)
    check_same_run(path, facts.get("run"), run)
    state.network.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("network.")})
    state.averaged.load_state_dict({k[9:]: v for k, v in tensors.items() if k.startswith("averaged.")})
    restore_optimizer(state.optimizer, tensors, facts["groups"])
    state.schedule.load_state_dict(facts["schedule"])
    state.risk = replace(state.risk, remembered=facts["remembered"])
    state.step, state.risks, state.history = facts["step"], facts["risks"], facts["history"]
