"""Pretraining in episodes: the network learns features from which a few clicks are enough.

Each step draws two scenes under two microscopes; the features of each, batch normalisation being that of the scene as
it is of the tomogram in use, are solved for every target's clicks in closed form (`pretraining.solver`), and the loss
is computed on copies that were not clicked, in both.
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
from tomopicker.pretraining.curve import BestWeights, TrainingCurve
from tomopicker.pretraining.episodes import Episodes, draw_episodes
from tomopicker.pretraining.look_alikes import Families, draw_families
from tomopicker.pretraining.recipe import EpisodeRecipe
from tomopicker.pretraining.run import Run, take_steps
from tomopicker.pretraining.solver import Solver
from tomopicker.pretraining.train import save_pretrained
from tomopicker.pretraining.validation import at, draw_trials, few_shot_f1, scene_features
from tomopicker.training.pretrained import load_pretrained
from tomopicker.training.seeding import seeded

SOLVER_RATE = 10.0
"""Learning rate of the solver's three parameters, relative to the network's."""
VALIDATION_SEED = 2**32
"""Added to the seed for molecules and scenes of validation, so that no training has them."""
VALIDATION_FAMILIES = 24


class FewShotNetwork(nn.Module):
    """The default preset's network, and the solver in place of a head."""

    def __init__(self) -> None:
        super().__init__()
        cfg = Network()
        self.trunk = ResUNet(cfg.block, cfg.channels, cfg.dropout, cfg.stride)
        self.trunk.head = nn.Identity()
        self.solver = Solver()
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def loss(self, drawn: Episodes, device: torch.device) -> Tensor:
        """Return the mean loss of the episodes of two scenes, each scored in both."""
        here, there = (scene_features(self.trunk, scene.volume, device) for scene in drawn.scenes)
        terms = []
        for episode in drawn.episodes:
            clicked = at(here, episode.at_clicks)
            scores = torch.cat([self.solver.scores(features, clicked) for features in (here, there)])
            labels = np.concatenate([part.ravel() for part in episode.labels])
            terms.append(self.solver.loss(scores, torch.from_numpy(labels).to(device)))
        return torch.stack(terms).mean()


def pretrain_episodes(
    recipe: EpisodeRecipe,
    *,
    device: torch.device,
    workers: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Callable[[int, float], None] | None = None,
    curve: TrainingCurve | None = None,
) -> BestWeights:
    """Train features for picking from a few clicks, and give those of the best few-shot F1.

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
        Called after each step with the steps done and the loss.
    curve : TrainingCurve, optional
        Called with each point of the validation curve, the first one before the first step.

    Raises
    ------
    TomoPickerError
        If the checkpoint is of another recipe, the start of another network, or the loss is no longer finite.
    """
    with seeded(recipe.seed, torch.device("cpu")):
        network = FewShotNetwork()
    load_pretrained(network.trunk, Network(pretrained=recipe.pretrained))
    network.to(device)
    rates = [recipe.learning_rate, recipe.learning_rate * SOLVER_RATE]
    optimizer = torch.optim.AdamW(
        [
            {"params": network.trunk.parameters(), "lr": rates[0], "weight_decay": recipe.weight_decay},
            {"params": network.solver.parameters(), "lr": rates[1], "weight_decay": 0.0},
        ]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=recipe.steps, pct_start=0.1)
    run = Run({"episodes": True} | asdict(recipe), network, optimizer, schedule)
    curve = curve or TrainingCurve()
    unseen = draw_families(VALIDATION_FAMILIES, recipe.orientations, recipe.seed + VALIDATION_SEED)
    trials = draw_trials(unseen, recipe.trials, recipe.seed + VALIDATION_SEED)

    def measure(step: int) -> None:
        f1 = few_shot_f1(network.trunk, network.solver, trials, device)
        curve.add(step, f1, float(network.solver.shrinkage.detach()), network.trunk.state_dict())

    def take(drawn: Episodes, step: int) -> bool:
        network.train()
        loss = run.descend(network.loss(drawn, device))
        curve.losses.append(loss)
        due = step % recipe.validate_every == 0 or step == recipe.steps
        if due:
            measure(step)
        if report:
            report(step, loss)
        return due

    def save(step: int) -> None:
        if checkpoint is not None:
            run.save(checkpoint, step, *curve.state())

    first = 0
    if resume and checkpoint is not None and checkpoint.exists():
        first, tensors, facts = run.restore(checkpoint)
        curve.restore(tensors, facts)
    else:
        measure(0)
    families = draw_families(recipe.molecules, recipe.orientations, recipe.seed)
    take_steps(
        partial(draw_step, families, recipe.seed), take, save,
        first=first, steps=recipe.steps, workers=workers, seed=recipe.seed, device=device,
    )  # fmt: skip
    return curve.result()


def save_best(path: Path, recipe: EpisodeRecipe, best: BestWeights) -> None:
    """Write the best weights, with the validation curve so far."""
    point, curve = best.point, [asdict(each) for each in best.curve]
    facts = {"shrinkage": point.shrinkage, "step": point.step, "validation": curve}
    save_pretrained(path, best.weights, {"episodes": True} | asdict(recipe), facts)


def draw_step(families: Families, seed: int, step: int) -> Episodes:
    """Draw the episodes of a step; the same for the same seed and step."""
    return draw_episodes(families, np.random.default_rng([seed, step]))
