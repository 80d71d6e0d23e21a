"""Training of a classifier of random molecules: one scene per step, whose patches share their imaging."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tomopicker.config import Network
from tomopicker.models.precision import autocast
from tomopicker.models.resunet import ResUNet
from tomopicker.pretraining.molecules import MoleculeLibrary, draw_library
from tomopicker.pretraining.recipe import Recipe
from tomopicker.pretraining.run import Run
from tomopicker.pretraining.scenes import EDGE, draw_scene, label
from tomopicker.training.pretrained import load_pretrained
from tomopicker.training.seeding import seeded

PATCH = 24
REPORT_EVERY = 25


def _draw_patches(library: MoleculeLibrary, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Draw the scene of a step, cut into patches with labels; the same for the same seed and step.

    Returns
    -------
    patches : tensor, shape (n, 1, z, y, x)
    labels : tensor, shape (n, z / 2, y / 2, x / 2)
    """
    rng = np.random.default_rng([seed, step])
    scene = draw_scene(library, rng)
    # Scenes are periodic, so they can be cut anywhere; the shift is even, since labels have half the resolution.
    shift = 2 * rng.integers(0, EDGE // 2, 3)
    volume = np.roll(scene.volume, shift, (0, 1, 2))
    labels = np.roll(label(scene), shift // 2, (0, 1, 2))
    return torch.from_numpy(cut_cubes(volume, PATCH)[:, None]), torch.from_numpy(cut_cubes(labels, PATCH // 2))


def cut_cubes(array: np.ndarray, size: int) -> np.ndarray:
    """Cut a cube into cubes of an edge that divides its own: shape (n, size, size, size)."""
    count = len(array) // size
    cubes = array.reshape(count, size, count, size, count, size).transpose(0, 2, 4, 1, 3, 5)
    return np.ascontiguousarray(cubes.reshape(-1, size, size, size))


class Classifier(nn.Module):
    """The default preset's network with a head of one class per molecule, and background, at half resolution."""

    def __init__(self, classes: int):
        super().__init__()
        cfg = Network()
        self.trunk = ResUNet(cfg.block, cfg.channels, cfg.dropout, cfg.stride)
        self.head = nn.Conv3d(cfg.channels[0], classes + 1, 1)
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, patches: Float[Tensor, "n 1 z y x"]) -> Float[Tensor, "n classes _ _ _"]:
        """Return a logit for each class."""
        return self.head(self.trunk.features(patches))  # type: ignore[no-any-return]

    def weights(self) -> dict[str, Tensor]:
        """Return the weights without the head."""
        return {name: value for name, value in self.trunk.state_dict().items() if not name.startswith("head.")}


def loss_terms(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean cross-entropy over voxels of molecules and over background, and the accuracy in molecules.

    Logits (n, classes + 1, z, y, x), labels (n, z, y, x); labels of -1 are ignored.
    """
    flat, truth = logits.float().movedim(1, -1).flatten(0, -2), labels.flatten()
    inside, outside = truth > 0, truth == 0
    accuracy = (flat[inside].argmax(dim=1) == truth[inside]).float().mean()
    entropy = nn.functional.cross_entropy
    return entropy(flat[inside], truth[inside]), entropy(flat[outside], truth[outside]), accuracy


def pretrain(
    recipe: Recipe,
    *,
    device: torch.device,
    workers: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Callable[[int, str], None] | None = None,
) -> dict[str, Tensor]:
    """Train a classifier of random molecules and return its weights without the head.

    Parameters
    ----------
    recipe : Recipe
    device : torch.device
    workers : int
        Processes that draw scenes.
    checkpoint : Path, optional
        Written every minute, and when SIGINT or SIGTERM interrupts the run between steps.
    resume : bool
        Continue from the checkpoint.
    report : callable, optional
        Called every few steps with the number of steps taken and the accuracy, as text.

    Raises
    ------
    TomoPickerError
        If the checkpoint belongs to another recipe, the initial weights to another network, or the loss is not finite.
    """
    with seeded(recipe.seed, torch.device("cpu")):
        network = Classifier(recipe.classes)
    load_pretrained(network.trunk, Network(pretrained=recipe.pretrained))
    network.to(device)
    group = {"params": network.parameters(), "lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    run = Run(recipe, network, [group], device=device, checkpoint=checkpoint)
    first = run.resume()[0] if resume else 0
    library = draw_library(recipe.classes, recipe.orientations, recipe.seed)
    accuracies: list[float] = []

    def take(batch: Sequence[Tensor], step: int) -> bool:
        network.train()
        inputs, labels = (tensor.to(device) for tensor in batch)
        with autocast("auto", device):
            logits = network(inputs.contiguous(memory_format=torch.channels_last_3d))
        inside, outside, accuracy = loss_terms(logits, labels)
        run.descend(inside + outside)
        accuracies.append(float(accuracy))
        if report and (step % REPORT_EVERY == 0 or step == recipe.steps):
            report(step, f"{np.mean(accuracies):.0%} accuracy in molecules")
            accuracies.clear()
        return False

    run.take_steps(partial(_draw_patches, library, recipe.seed), take, first=first, workers=workers)
    return network.weights()
