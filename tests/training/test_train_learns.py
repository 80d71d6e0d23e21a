"""Training learns dark balls in noise from clicks on half of them, whatever the objective and the sampling."""

import numpy as np
import pytest
import torch

from tomopicker.inference.tiles import score_volumes
from tomopicker.pu.prior import class_priors
from tomopicker.training.loop import fit

CPU = torch.device("cpu")


def area_under_curve(scores, truth):
    """Chance that a voxel in a ball scores above one outside."""
    ranks = np.empty(scores.size)
    ranks[np.argsort(scores, axis=None)] = np.arange(scores.size)
    inside = ranks[truth.ravel()]
    return (inside.sum() - inside.size * (inside.size - 1) / 2) / (inside.size * (scores.size - inside.size))


def test_area_under_curve():
    truth = np.array([True, True, False, False])
    assert area_under_curve(np.array([4, 3, 2, 1]), truth) == 1
    assert area_under_curve(np.array([4, 1, 3, 2]), truth) == 0.5


@pytest.mark.parametrize("kind", ["pn", "pu", "kl", "distpu"])
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_learns(balls, small_settings, preset, kind):
    """Half of the balls are clicked; those of another volume must be found."""
    seen, unseen = balls(clicked=4), balls(seed=1)
    objective, steps = {"loss": kind, "balanced": True}, {"default": 40, "paper": 24}[preset]
    settings = small_settings(preset, steps, objective=objective, training={"learning_rate": 0.01})
    labels = seen.labelled.labels
    priors = class_priors(int((labels == 1).sum()), labels.size, 123, 8.0)
    network, _ = fit([seen.labelled], [], settings, priors, device=CPU)
    volume = unseen.labelled.volume
    scores = score_volumes(network, volume, core=16, halo=8, device=CPU, precision="float32")[0]
    assert area_under_curve(-volume, unseen.everywhere) < 0.999  # not given away by the voxels alone
    assert area_under_curve(scores, unseen.everywhere) > 0.95
