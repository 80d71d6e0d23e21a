"""Pretrain initial weights on random molecules. Not needed: the program ships with such weights.

[bold]Examples[/bold]

  [cyan]tomopicker pretrain --output start.safetensors[/cyan]
  [cyan]tomopicker pretrain --output start.safetensors --steps 20000 --classes 400 --device cuda --workers 8[/cyan]
  [cyan]tomopicker pretrain --output start.safetensors --pretrained shipped --seed 1[/cyan]
  [cyan]tomopicker pretrain --episodes --output few.safetensors --steps 20000 --device cuda --workers 8[/cyan]

then, in a settings file for [cyan]tomopicker train --config[/cyan]:  network: {pretrained: start.safetensors}

No data are needed: random molecules (lumps, lobes, shells, barrels, rings) are placed among membranes and a crowded
background, imaged at a random defocus with a random missing wedge, and classified by the network. About half a second
per step on a CPU core.

With [cyan]--episodes[/cyan] the network learns what instant picks need: from 1 to 20 clicks on one kind of molecule in
a scene with look-alikes, to find the others there and in a second scene of another tilt range, dose,
thickness, defocus and reconstruction. It starts from the shipped weights. F1 with 1, 5 and 20 clicks on validation
scenes of other molecules is printed, and OUTPUT has the weights of the best so far. One to two seconds per
step on a CPU core.
"""

from pathlib import Path
from typing import Any

from tomopicker.cli.options import Device, DiscardRun, Resume, SettingOptions, option
from tomopicker.cli.progress import Reporter
from tomopicker.config import fields_of
from tomopicker.files import check_writable
from tomopicker.pretraining.recipe import EpisodeRecipe, Recipe


class RecipeOptions(SettingOptions, fields=fields_of(EpisodeRecipe)):
    """Settings that determine the weights; those of a classifier are among those of episodes."""

    @property
    def of_classifier(self) -> dict[str, Any]:
        """Settings of a `Recipe`: a class for each molecule, and no validation."""
        renamed = {"classes" if name == "molecules" else name: value for name, value in self.given.items()}
        return {name: value for name, value in renamed.items() if name in fields_of(Recipe)}


def command(
    *,
    output: Path = option(..., "Weights file to write.", "--output", "-o", unit="WEIGHTS"),
    episodes: bool = option(False, "Train in few-shot episodes, for instant picks.", "--episodes"),
    given: RecipeOptions,
    workers: int = option(1, "Processes that draw scenes.", unit="N", min=0),
    device: Device = None,
    resume: Resume = False,
    overwrite: DiscardRun = False,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Pretrain, and write the weights."""
    from tomopicker.pipeline.resume import is_finished, resume_advice

    reporter.advice = lambda: resume_advice(output)
    if is_finished(output, reporter, resume=resume, overwrite=overwrite):
        return
    check_writable(output.parent)
    from tomopicker.pretraining.pretrain_to_file import pretrain_to_file

    recipe = EpisodeRecipe(**given.given) if episodes else Recipe(**given.of_classifier)
    pretrain_to_file(
        recipe, output, device=device, workers=workers, resume=resume, callback=reporter, on_step=reporter.step
    )
    reporter.end_bar()
    reporter.log(f"{output}: start from it with  network: {{pretrained: {output}}}  in a --config file.")
