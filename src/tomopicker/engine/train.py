"""The training loop (section 3.3): from labelled volumes to the moving average of a network's weights.

Every batch depends on the seed and the step alone, so a run resumed from its checkpoint ends where it would have ended.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from tomopicker.config import Settings
from tomopicker.data.patches import Batch, Blocks, LabelledVolume, TwoStreams
from tomopicker.engine.batchnorm import refit_batchnorm
from tomopicker.engine.fingerprint import run_fingerprint
from tomopicker.engine.interrupt import deferred_signals
from tomopicker.engine.precision import arithmetic
from tomopicker.engine.seeding import seeded
from tomopicker.engine.state import History, State, restore, save, start
from tomopicker.errors import TomoPickerError
from tomopicker.pu.prior import Priors

REPORT_EVERY = 25
REFIT_BATCHES, REFIT_OFFSET = 8, 10**9
VALIDATION_BATCHES = 8
SAVE_SECONDS = 30


@dataclass(frozen=True)
class Report:
    """How the training stands, for a bar or a line in a log."""

    step: int
    steps: int
    risk: float
    learning_rate: float
    validation_risk: float | None = None
    validation_accuracy: float | None = None


def fit(
    training: Sequence[LabelledVolume],
    validation: Sequence[LabelledVolume],
    settings: Settings,
    priors: Priors | None,
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
        Validation may be empty: the learning rate then follows the training risk.
    settings : Settings
        Resolved.
    priors : Priors or None
        Class priors; without them the balanced PN risk is minimised whatever the objective.
    device : torch.device
        Where to train.
    checkpoint : Path, optional
        Written now and then, at the end, and when SIGINT or SIGTERM interrupts the run, which they do between steps.
    resume : bool
        Start from the checkpoint if there is one.
    report : callable, optional
        Called every few steps.

    Returns
    -------
    network : Module
        In evaluation mode, its batch normalisation measured anew with the final weights.
    history : History

    Raises
    ------
    TomoPickerError
        If the risk is no longer finite, or the checkpoint is of another run.
    """
    sampler = _sampler(training, settings)
    watched = _validation(validation, settings)
    epoch = sampler.batches_per_epoch if isinstance(sampler, Blocks) else REPORT_EVERY
    clicks = sum(len(item.positions) for item in training)
    total = settings.training.steps_for(clicks) or epoch * (settings.training.epochs or 1)
    state = start(settings, priors, total, device)
    run = run_fingerprint(training, validation, settings, priors, total)
    if resume and checkpoint is not None and checkpoint.exists():
        restore(state, checkpoint, run)
    saved = time.monotonic()
    with deferred_signals() as stop_requested:
        try:
            while state.step < total:
                state.risks.append(_advance(state, sampler.batch(state.step), settings, device))
                if state.step % epoch == 0 or state.step == total:
                    line = _look(state, total, watched, sampler, settings, device)
                    if report:
                        report(line)
                if checkpoint is not None and time.monotonic() - saved > SAVE_SECONDS:
                    save(state, checkpoint, run)
                    saved = time.monotonic()
                if stop_requested():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:  # Asked for above or by `report`, never in the middle of a step.
            if checkpoint is not None:
                save(state, checkpoint, run)
            raise
        if checkpoint is not None:
            save(state, checkpoint, run)
    _refit(state.averaged, sampler, settings, device)
    return state.averaged.module, state.history  # type: ignore[return-value]


def _sampler(data: Sequence[LabelledVolume], settings: Settings) -> Blocks | TwoStreams:
    knobs = settings.patches
    if knobs.sampling == "blocks":
        return Blocks(data, knobs.size, knobs.batch, settings.seed)
    return TwoStreams(
        data,
        knobs.size,
        knobs.batch,
        settings.seed,
        augmented=knobs.augment,
        turned=knobs.rotation_prob,
        rejected=knobs.negative_fraction,
    )


def _validation(data: Sequence[LabelledVolume], settings: Settings) -> list[Batch]:
    if not data:
        return []
    knobs = settings.patches
    if knobs.sampling == "blocks":
        blocks = Blocks(data, knobs.size, knobs.batch, settings.seed, only_positive=True)
        return [blocks.batch(step) for step in range(blocks.batches_per_epoch)]
    streams = TwoStreams(data, knobs.size, knobs.batch, settings.seed, augmented=False)
    return [streams.batch(step) for step in range(VALIDATION_BATCHES)]


def _advance(state: State, batch: Batch, settings: Settings, device: torch.device) -> float:
    """Take one step; give its risk."""
    state.network.train()
    # Seeded step by step, dropout draws the same after a resume.
    with seeded(settings.seed + state.step, device), arithmetic(settings.precision, device):
        logits = state.network(_to(device, batch))[:, 0]
    kinds = (torch.from_numpy(which).to(device) for which in (batch.positive, batch.unlabelled, batch.negative))
    risk, state.risk = state.risk(logits, *kinds)
    value = float(risk.detach())
    if not math.isfinite(value):
        raise TomoPickerError(
            f"the loss became {value} at step {state.step}; lower training.learning_rate or change --seed"
        )
    state.optimizer.zero_grad(set_to_none=True)
    risk.backward()
    state.optimizer.step()
    if settings.training.schedule == "one-cycle":
        state.schedule.step()
    state.averaged.update_parameters(state.network)  # type: ignore[operator]
    state.step += 1
    return value


def _to(device: torch.device, batch: Batch) -> Tensor:
    return torch.from_numpy(batch.inputs).to(device).contiguous(memory_format=torch.channels_last_3d)


def _refit(network: nn.Module, sampler: Blocks | TwoStreams, settings: Settings, device: torch.device) -> None:
    # Batches that no step of a usual run draws, so that a resumed run and an unbroken one agree.
    batches = (torch.from_numpy(sampler.batch(REFIT_OFFSET + i).inputs) for i in range(REFIT_BATCHES))
    refit_batchnorm(network, batches, device, settings.precision)


def _look(
    state: State,
    total: int,
    watched: list[Batch],
    sampler: Blocks | TwoStreams,
    settings: Settings,
    device: torch.device,
) -> Report:
    """Measure the validation, let a plateau lower the learning rate, and note how things stand."""
    risk = sum(state.risks) / len(state.risks)
    state.risks.clear()
    validation_risk = accuracy = None
    if watched:
        _refit(state.averaged, sampler, settings, device)
        validation_risk, accuracy = _validate(state, watched, settings, device)
    if settings.training.schedule == "plateau":
        state.schedule.step(-risk if accuracy is None else accuracy)
    line = Report(state.step, total, risk, state.optimizer.param_groups[0]["lr"], validation_risk, accuracy)
    state.history.append({name: value for name, value in asdict(line).items() if value is not None})
    return line


def _validate(state: State, watched: list[Batch], settings: Settings, device: torch.device) -> tuple[float, float]:
    """Give the risk, and the share of voxels on the right side of 1/2 if the unlabelled are taken for background."""
    risks, right, voxels = [], 0, 0
    with torch.inference_mode(), arithmetic(settings.precision, device):
        for batch in watched:
            logits = state.averaged(_to(device, batch))[:, 0].float().cpu()
            positive, unlabelled = torch.from_numpy(batch.positive), torch.from_numpy(batch.unlabelled)
            risks.append(float(replace(state.risk, remembered=None)(logits, positive, unlabelled)[0]))
            right += int((logits[positive] > 0).sum()) + int((logits[unlabelled] <= 0).sum())
            voxels += int(positive.sum()) + int(unlabelled.sum())
    return sum(risks) / len(risks), right / voxels
