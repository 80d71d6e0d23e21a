"""One network from several: trained from the same weights on other draws of patches, and averaged weight by weight.

Networks that start from the same pretrained weights end in one basin, where the mean of their weights errs less than
any of them and costs no more to use (Wortsman et al., ICML 2022, "model soups").
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tomopicker.config import Settings
from tomopicker.data.patches import LabelledVolume
from tomopicker.engine.state import History
from tomopicker.engine.train import Report, fit, refit
from tomopicker.pu.prior import Priors

APART = 1000
"""Between the seeds of two networks, so that trainings with seeds 0, 1, 2 share none."""


def fit_mean(
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
    """Train `training.networks` networks and average their weights.

    Parameters
    ----------
    training, validation, settings, priors, device, resume
        As `fit` takes them.
    checkpoint : Path, optional
        Of the first network; the others' have its number in the name.
    report : callable, optional
        Called every few steps, which count on from one network to the next.

    Returns
    -------
    network : Module
        In evaluation mode, its batch normalisation refitted.
    history : History
        Of all networks, one after the other.

    Raises
    ------
    TomoPickerError
        If a risk is no longer finite, or a checkpoint is of another run.
    """
    networks = settings.training.networks
    fitted, history = [], []
    for number in range(networks):

        def tell(line: Report, before: int = number) -> None:
            if report:
                report(replace(line, step=line.step + before * line.steps, steps=networks * line.steps))

        network, lines = fit(
            training,
            validation,
            settings.model_copy(update={"seed": settings.seed + APART * number}),
            priors,
            device=device,
            checkpoint=checkpoint and _numbered(checkpoint, number),
            resume=resume,
            report=tell,
        )
        fitted.append(network)
        history += [{**line, "network": number + 1} for line in lines]
    mean = mean_weights(fitted)
    refit(mean, training, settings, device)
    return mean, history


def mean_weights(networks: Sequence[nn.Module]) -> nn.Module:
    """Average the parameters of networks of one kind into the first of them.

    Parameters
    ----------
    networks : sequence of Module
        At least one. The batch normalisation's statistics belong to other weights afterwards: fit them anew.
    """
    mean = networks[0]
    with torch.no_grad():
        for parameters in zip(*(network.parameters() for network in networks), strict=True):
            parameters[0].copy_(torch.stack(parameters).mean(dim=0))
    return mean


def _numbered(checkpoint: Path, number: int) -> Path:
    return checkpoint.with_name(f"{checkpoint.stem}{number + 1}{checkpoint.suffix}") if number else checkpoint
