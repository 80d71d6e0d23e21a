"""Pretraining into a file of weights, with its checkpoint next to it."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tomopicker.models.precision import choose_device
from tomopicker.pipeline.callbacks import Callback
from tomopicker.pipeline.resume import discard_checkpoints, remove_checkpoints
from tomopicker.pretraining.curve import TrainingCurve
from tomopicker.pretraining.episodic import pretrain_episodes, save_best
from tomopicker.pretraining.recipe import EpisodeRecipe, Recipe
from tomopicker.pretraining.train import pretrain, save_pretrained


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
        Of a classifier, or of training in episodes; the latter writes the best weights so far after each validation.
    output : Path
        File of weights.
    device : str, optional
        The best available if None.
    workers : int
        Processes that draw scenes.
    resume : bool
        Continue from the checkpoint, which is otherwise discarded.
    callback : Callback
        Receives messages and warnings.
    on_step : callable
        Receives a title, the training state, the steps done and their number.

    Raises
    ------
    TomoPickerError
        As `pretrain` and `pretrain_episodes`, or if the file cannot be written.
    """
    if not resume:
        discard_checkpoints(output, callback)
    run: dict[str, Any] = {
        "device": choose_device(device), "workers": workers, "resume": resume,
        "checkpoint": output.with_name(f"{output.name}.ckpt"),
    }  # fmt: skip
    if isinstance(recipe, EpisodeRecipe):
        keep = partial(save_best, output, recipe)
        best = pretrain_episodes(
            recipe, curve=TrainingCurve(keep, lambda point, is_best: callback.log(point.line(is_best))),
            report=lambda step, loss: on_step("pretraining", f"loss {loss:.3f}", step, recipe.steps), **run,
        )  # fmt: skip
        keep(best)
        callback.log(f"Best at step {best.point.step}: {best.point.f1}.")
    else:
        weights = pretrain(recipe, report=lambda at: on_step("pretraining", at.words, at.step, at.steps), **run)
        save_pretrained(output, weights, asdict(recipe))
    remove_checkpoints(output)
