"""The training loop (section 3.3): from labelled volumes to the moving average of a network's weights.

Each batch depends only on the seed and the step, so a resumed run ends exactly like an uninterrupted one.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import swa_utils
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from tomopicker.config import Settings
from tomopicker.errors import TomoPickerError
from tomopicker.models.precision import autocast
from tomopicker.pu.objective import PULoss
from tomopicker.pu.prior import Priors
from tomopicker.training.batchnorm import update_batchnorm
from tomopicker.training.checkpoint import (
    CHECKPOINT,
    build_network,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
    schedule_facts,
)
from tomopicker.training.fingerprint import Fingerprint, check_same_run, run_fingerprint
from tomopicker.training.interrupt import defer_signals
from tomopicker.training.labels import LabelledVolume
from tomopicker.training.pretrained import load_pretrained
from tomopicker.training.samplers import Batch, GridPatchSampler, PatchSampler, training_sampler, validation_batches
from tomopicker.training.seeding import seeded

REPORT_EVERY = 25
BATCHNORM_BATCHES, BATCHNORM_OFFSET = 8, 10**9
SAVE_SECONDS = 30
KERNEL = 3
"""Edge of the network's largest kernels, in voxels of their level."""

History = list[dict[str, float | int]]
"""Known fields of a `Report`, every few steps."""


@dataclass(frozen=True)
class Report:
    """Progress of the training, for a progress bar or a log."""

    step: int
    steps: int
    risk: float
    learning_rate: float
    validation_risk: float | None = None
    validation_accuracy: float | None = None


@dataclass
class TrainState:
    """Everything that changes from step to step and is saved in a checkpoint."""

    network: nn.Module
    averaged: swa_utils.AveragedModel
    optimizer: torch.optim.Optimizer
    schedule: Any
    loss: PULoss
    step: int = 0
    losses: list[float] = field(default_factory=list)
    history: History = field(default_factory=list)


def fit(
    training: Sequence[LabelledVolume],
    validation: Sequence[LabelledVolume],
    settings: Settings,
    priors: Priors,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Callable[[Report], None] | None = None,
) -> tuple[nn.Module, History]:
    """Train a network.

    Parameters
    ----------
    training, validation : sequence of LabelledVolume
        Validation may be empty: the learning rate then depends on the training loss.
    settings : Settings
        With a number of steps or of epochs.
    priors : Priors
        Class priors that the loss needs.
    device : torch.device
        Device for training.
    checkpoint : Path, optional
        Written at intervals, at the end, and when SIGINT or SIGTERM interrupts the run between steps.
    resume : bool
        Continue from the checkpoint if it exists.
    report : callable, optional
        Called every few steps.

    Returns
    -------
    network : Module
        In evaluation mode, with batch normalisation updated for the final weights.
    history : History

    Raises
    ------
    TomoPickerError
        If the loss or the weights become non-finite, or the checkpoint belongs to another run.
    """
    sampler = training_sampler(training, settings.patches, settings.seed)
    validated = validation_batches(validation, settings.patches, settings.seed)
    epoch = sampler.batches_per_epoch if isinstance(sampler, GridPatchSampler) else REPORT_EVERY
    total = int(settings.training.steps or epoch * (settings.training.epochs or 1))
    state = start(settings, priors, total, device)
    run = run_fingerprint(training, validation, settings, priors, total)
    if resume and checkpoint is not None and checkpoint.exists():
        restore(state, checkpoint, run)
    saved = time.monotonic()
    with defer_signals() as stop_requested:
        try:
            while state.step < total:
                state.losses.append(train_step(state, sampler.batch(state.step), settings, device))
                if state.step % epoch == 0 or state.step == total:
                    line = validate_and_log(state, total, sampler, validated, settings, device)
                    if report:
                        report(line)
                if checkpoint is not None and time.monotonic() - saved > SAVE_SECONDS:
                    save(state, checkpoint, run)
                    saved = time.monotonic()
                if stop_requested():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:  # Raised above or by `report`, never in the middle of a step.
            if checkpoint is not None:
                save(state, checkpoint, run)
            raise
        if checkpoint is not None:
            save(state, checkpoint, run)
    _update_batchnorm(state.averaged, sampler, settings, device)
    # The last step's loss was finite, but its gradient may not have been, nor the batch normalisation since.
    _refuse_not_finite(state.averaged.module)
    return state.averaged.module, state.history


def start(settings: Settings, priors: Priors, total: int, device: torch.device) -> TrainState:
    """Create the network, the moving average of its weights, the optimiser and the learning-rate schedule."""
    cfg = settings.training
    with seeded(settings.seed, torch.device("cpu")):
        network: nn.Module = build_network(settings)
    network = network.to(device)
    load_pretrained(network, settings.network)
    averaged = swa_utils.AveragedModel(network, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(cfg.ema))
    rates = {False: cfg.learning_rate, True: cfg.learning_rate * cfg.head_lr_factor}
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in network.named_parameters() if name.startswith("head.") == head], "lr": rate}
        for head, rate in rates.items()
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=cfg.weight_decay)
    schedule: Any = (
        ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=4, threshold=0.0)
        if cfg.schedule == "plateau"
        else OneCycleLR(optimizer, list(rates.values()), total_steps=total, pct_start=0.15)
    )
    return TrainState(network, averaged, optimizer, schedule, PULoss(settings.objective, priors))


def train_step(state: TrainState, batch: Batch, settings: Settings, device: torch.device) -> float:
    """Take one optimiser step and return its loss."""
    state.network.train()
    # Seeded step by step, dropout draws the same after a resume.
    precision = precision_of_steps(state.network, settings, device)
    with seeded(settings.seed + state.step, device), autocast(precision, device):
        logits = state.network(_inputs(batch, device))[:, 0]
    masks = (torch.from_numpy(mask).to(device) for mask in (batch.positive, batch.unlabelled, batch.negative))
    loss, state.loss = state.loss(logits, *masks)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TomoPickerError(
            f"the loss became {value} at step {state.step}; lower training.learning_rate or change --seed"
        )
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.optimizer.step()
    if settings.training.schedule == "one-cycle":
        state.schedule.step()
    state.averaged.update_parameters(state.network)
    state.step += 1
    return value


def precision_of_steps(network: nn.Module, settings: Settings, device: torch.device) -> str:
    """Return the precision of training steps: that of the settings, but float32 for tiny patches on a CPU.

    In oneDNN 3.12, the bfloat16 weight gradient of a 3×3×3 convolution of 2×2×2 voxels is sometimes NaN, since it reads
    uninitialised memory.
    """
    smallest = settings.patches.size // int(getattr(network, "divisor", 1))
    return "float32" if smallest < KERNEL and device.type == "cpu" else settings.precision


def _refuse_not_finite(network: nn.Module) -> None:
    if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
        raise TomoPickerError(
            "the network's weights are no longer finite; lower training.learning_rate, change --seed, or set "
            "precision to float32"
        )


def validate_and_log(
    state: TrainState,
    total: int,
    sampler: PatchSampler,
    validated: list[Batch],
    settings: Settings,
    device: torch.device,
) -> Report:
    """Validate the averaged weights, lower the learning rate on a plateau, and extend the history."""
    mean_loss = sum(state.losses) / len(state.losses)
    state.losses.clear()
    loss = accuracy = None
    if validated:
        _update_batchnorm(state.averaged, sampler, settings, device)
        loss, accuracy = _validate(state, validated, settings, device)
    if settings.training.schedule == "plateau":
        state.schedule.step(-mean_loss if accuracy is None else accuracy)
    line = Report(state.step, total, mean_loss, state.optimizer.param_groups[0]["lr"], loss, accuracy)
    state.history.append({name: value for name, value in asdict(line).items() if value is not None})
    return line


def _validate(
    state: TrainState, validated: list[Batch], settings: Settings, device: torch.device
) -> tuple[float, float]:
    """Return the mean loss, and the accuracy at probability 1/2 with unlabelled voxels as background."""
    losses, right, voxels = [], 0, 0
    fresh = replace(state.loss, running_mean=None)
    with torch.inference_mode(), autocast(settings.precision, device):
        for batch in validated:
            logits = state.averaged(_inputs(batch, device))[:, 0].float().cpu()
            positive, unlabelled = torch.from_numpy(batch.positive), torch.from_numpy(batch.unlabelled)
            losses.append(float(fresh(logits, positive, unlabelled)[0]))
            right += int((logits[positive] > 0).sum()) + int((logits[unlabelled] <= 0).sum())
            voxels += int(positive.sum()) + int(unlabelled.sum())
    return sum(losses) / len(losses), right / voxels


def _inputs(batch: Batch, device: torch.device) -> Tensor:
    return torch.from_numpy(batch.inputs).to(device).contiguous(memory_format=torch.channels_last_3d)


def _update_batchnorm(network: nn.Module, sampler: PatchSampler, settings: Settings, device: torch.device) -> None:
    # Batches that no step draws, so that a resumed run and an unbroken one agree.
    batches = (torch.from_numpy(sampler.batch(BATCHNORM_OFFSET + i).inputs) for i in range(BATCHNORM_BATCHES))
    update_batchnorm(network, batches, device, settings.precision)


def save(state: TrainState, path: Path, run: Fingerprint) -> None:
    """Write a checkpoint with everything the next step depends on."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"averaged.{name}": value for name, value in state.averaged.state_dict().items()}
    tensors |= optimizer_tensors(state.optimizer)
    facts = {
        "run": run,
        "groups": state.optimizer.state_dict()["param_groups"],
        "schedule": schedule_facts(state.schedule),
        "running_mean": state.loss.running_mean,
        "step": state.step,
        "losses": state.losses,
        "history": state.history,
    }
    save_tensors(path, CHECKPOINT, tensors, facts)


def restore(state: TrainState, path: Path, run: Fingerprint) -> None:
    """Restore the state from a checkpoint.

    Raises
    ------
    TomoPickerError
        If it belongs to another run.
    """
    tensors, facts = load_tensors(path, CHECKPOINT)
    check_same_run(path, facts.get("run"), run)
    for name, module in {"network.": state.network, "averaged.": state.averaged}.items():
        module.load_state_dict({k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)})
    restore_optimizer(state.optimizer, tensors, facts["groups"])
    state.schedule.load_state_dict(facts["schedule"])
    state.loss = replace(state.loss, running_mean=facts["running_mean"])
    state.step, state.losses, state.history = facts["step"], facts["losses"], facts["history"]
