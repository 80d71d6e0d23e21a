"""Pretraining in episodes: the network learns features for which a few clicks suffice.

Each step draws two scenes with different imaging. The features of each, normalised by the scene's own batch statistics
as those of a tomogram are in use, are solved for every target's clicks in closed form (`pretraining.solver`), and the
loss is computed on copies that were not clicked, in both scenes.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tomopicker.config import Network
from tomopicker.models.resunet import ResUNet
from tomopicker.pretraining.episodes import Episodes, draw_episodes
from tomopicker.pretraining.look_alikes import Families, draw_families
from tomopicker.pretraining.recipe import EpisodeRecipe
from tomopicker.pretraining.run import Run, save_pretrained
from tomopicker.pretraining.solver import Solver
from tomopicker.pretraining.validation import TrainingCurve, draw_trials, few_shot_f1, mean_feature, scene_features
from tomopicker.training.pretrained import load_pretrained
from tomopicker.training.seeding import seeded

SOLVER_RATE_FACTOR = 10.0
"""Learning rate of the solver's three parameters, relative to the network's."""
VALIDATION_SEED = 2**32
"""Added to the seed for the molecules and scenes of validation, to keep them out of training."""
VALIDATION_FAMILIES = 24


class FewShotNetwork(nn.Module):
    """The default preset's network, with the solver instead of a head."""

    def __init__(self) -> None:
        super().__init__()
        cfg = Network()
        self.trunk = ResUNet(cfg.block, cfg.channels, cfg.dropout, cfg.stride)
        self.trunk.head = nn.Identity()
        self.solver = Solver()
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def loss(self, drawn: Episodes, device: torch.device) -> Tensor:
        """Return the mean loss of the episodes of two scenes, each scored in both."""
        clicked_scene, other_scene = (scene_features(self.trunk, scene.volume, device) for scene in drawn.scenes)
        losses = []
        for episode in drawn.episodes:
            clicked = mean_feature(clicked_scene, episode.at_clicks)
            scores = torch.cat([self.solver.scores(features, clicked) for features in (clicked_scene, other_scene)])
            labels = np.concatenate([part.ravel() for part in episode.labels])
            losses.append(self.solver.loss(scores, torch.from_numpy(labels).to(device)))
        return torch.stack(losses).mean()


def pretrain_episodes(
    recipe: EpisodeRecipe,
    *,
    device: torch.device,
    workers: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Callable[[int, str], None] | None = None,
    curve: TrainingCurve | None = None,
) -> TrainingCurve:
    """Train features for picking from a few clicks.

    Parameters
    ----------
    recipe : EpisodeRecipe
    device : torch.device
    workers : int
        Processes that draw scenes.
    checkpoint : Path, optional
        Written every minute, after each validation, and when SIGINT or SIGTERM interrupts the run between steps.
    resume : bool
        Continue from the checkpoint.
    report : callable, optional
        Called after each step with the number of steps taken and the loss, as text.
    curve : TrainingCurve, optional
        Collects the points of the validation curve, the first one before the first step.

    Returns
    -------
    TrainingCurve
        With the weights of the best few-shot F1.

    Raises
    ------
    TomoPickerError
        If the checkpoint belongs to another recipe, the initial weights to another network, or the loss is not finite.
    """
    with seeded(recipe.seed, torch.device("cpu")):
        network = FewShotNetwork()
    load_pretrained(network.trunk, Network(pretrained=recipe.pretrained))
    network.to(device)
    rate, decay = recipe.learning_rate, recipe.weight_decay
    groups = [
        {"params": network.trunk.parameters(), "lr": rate, "weight_decay": decay},
        {"params": network.solver.parameters(), "lr": rate * SOLVER_RATE_FACTOR, "weight_decay": 0.0},
    ]
    curve = curve or TrainingCurve()
    run = Run(recipe, network, groups, device=device, checkpoint=checkpoint, extra_state=curve.state)
    unseen = draw_families(VALIDATION_FAMILIES, recipe.orientations, recipe.seed + VALIDATION_SEED)
    trials = draw_trials(unseen, recipe.trials, recipe.seed + VALIDATION_SEED)

    def validate(step: int) -> None:
        f1 = few_shot_f1(network.trunk, network.solver, trials, device)
        curve.add(step, f1, float(network.solver.shrinkage.detach()), network.trunk.state_dict())

    def take(drawn: Episodes, step: int) -> bool:
        network.train()
        loss = run.descend(network.loss(drawn, device))
        curve.losses.append(loss)
        is_due = step % recipe.validate_every == 0 or step == recipe.steps
        if is_due:
            validate(step)
        if report:
            report(step, f"loss {loss:.3f}")
        return is_due

    first, state = run.resume() if resume else (0, ({}, {}))
    if first:
        curve.restore(*state)
    else:
        validate(0)
    families = draw_families(recipe.molecules, recipe.orientations, recipe.seed)
    run.take_steps(partial(_draw_step, families, recipe.seed), take, first=first, workers=workers)
    return curve


def save_best(path: Path, recipe: EpisodeRecipe, curve: TrainingCurve) -> None:
    """Write the best weights, with the validation curve."""
    points = [asdict(point) for point in curve.points]
    facts = {"shrinkage": curve.best.shrinkage, "step": curve.best.step, "validation": points}
    save_pretrained(path, curve.weights, recipe.to_dict(), facts)


def _draw_step(families: Families, seed: int, step: int) -> Episodes:
    """Draw the episodes of a step; the same for the same seed and step."""
    return draw_episodes(families, np.random.default_rng([seed, step]))
