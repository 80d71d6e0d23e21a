"""Pretraining to a file of weights, with a checkpoint next to it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tomopicker.models.precision import choose_device
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.resume import discard_checkpoints, remove_checkpoints
from tomopicker.pretraining.episodic import pretrain_episodes, save_best
from tomopicker.pretraining.recipe import EpisodeRecipe, Recipe
from tomopicker.pretraining.run import save_pretrained
from tomopicker.pretraining.train import pretrain
from tomopicker.pretraining.validation import TrainingCurve


def pretrain_to_file(
    recipe: Recipe | EpisodeRecipe,
    output: Path,
    *,
    device: str | None,
    workers: int,
    resume: bool,
    callback: Callback,
    on_step: Callable[[str, str, int, int], None],
) -> None:
    """Pretrain, write the weights and remove the checkpoint.

    Parameters
    ----------
    recipe : Recipe or EpisodeRecipe
        Recipe of a classifier, or of episodes; the latter writes the best weights so far after each validation.
    output : Path
        File of weights.
    device : str, optional
        Default: the best available.
    workers : int
        Processes that draw scenes.
    resume : bool
        Continue from the checkpoint, which is otherwise discarded.
    callback : Callback
        Receives messages and warnings.
    on_step : callable
        Receives a title, the loss or accuracy as text, the number of steps taken, and their total.

    Raises
    ------
    TomoPickerError
        If `pretrain` or `pretrain_episodes` does, or the file cannot be written.
    """
    if not resume:
        discard_checkpoints(output, callback)
    run: dict[str, Any] = {
        "device": choose_device(device), "workers": workers, "resume": resume,
        "checkpoint": output.with_name(f"{output.name}.ckpt"),
        "report": lambda step, status: on_step("pretraining", status, step, recipe.steps),
    }  # fmt: skip
    if isinstance(recipe, EpisodeRecipe):
        keep = partial(save_best, output, recipe)
        curve = TrainingCurve(keep, lambda point, is_best: callback.log(point.line(is_best)))
        keep(pretrain_episodes(recipe, curve=curve, **run))
        callback.log(f"Best at step {curve.best.step}: {curve.best.f1}.")
    else:
        save_pretrained(output, pretrain(recipe, **run), recipe.to_dict())
    remove_checkpoints(output)
