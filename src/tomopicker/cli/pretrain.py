"""``tomopicker pretrain``: initial weights for every training, learned on random molecules."""

from pathlib import Path
from typing import Annotated

from tomopicker.cli.options import Device, Resume, Seed, StartAnew, option

HELP = """Pretrain initial weights on random molecules. Not needed: the program ships with such weights.

[bold]Examples[/bold]

  [cyan]tomopicker pretrain --output start.safetensors[/cyan]
  [cyan]tomopicker pretrain --output start.safetensors --steps 20000 --classes 400 --device cuda --workers 8[/cyan]
  [cyan]tomopicker pretrain --output start.safetensors --pretrained shipped --seed 1[/cyan]

then, in a settings file for [cyan]tomopicker train --config[/cyan]:  network: {pretrained: start.safetensors}

Nothing is read: molecules that exist nowhere are drawn (lumps, lobes, shells, barrels, rings), placed among membranes
and a crowd, imaged at a random defocus with a random missing wedge, and classified by the network. About half a second
per step on a CPU core."""


def command(
    output: Annotated[Path, option("File of weights to write.", "--output", "-o", unit="WEIGHTS")],
    steps: Annotated[int, option("Training steps, a scene of 72³ voxels each.", unit="N", min=1)] = 5000,
    classes: Annotated[int, option("Random molecules to tell apart.", unit="N", min=2)] = 150,
    pretrained: Annotated[
        str, option("Initial weights: none, shipped, or a file made by this command.", unit="FILE")
    ] = "none",
    workers: Annotated[int, option("Processes that draw scenes.", unit="N", min=0)] = 1,
    seed: Seed = 0,
    device: Device = None,
    resume: Resume = False,
    overwrite: StartAnew = False,
) -> None:
    """Parse, pretrain, write."""
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter
    from tomopicker.files import check_writable
    from tomopicker.pipeline.resume import discard_checkpoints, how_to_go_on, is_finished, remove_checkpoints

    with Reporter() as reporter, interruptible(lambda: how_to_go_on(output)):
        if is_finished(output, reporter, resume=resume, overwrite=overwrite):
            return
        check_writable(output.parent)
        from tomopicker.models.precision import choose_device
        from tomopicker.pretraining.train import Recipe, pretrain, save_pretrained

        if not resume:
            discard_checkpoints(output, reporter)
        recipe = Recipe(steps=steps, classes=classes, seed=seed, pretrained=pretrained)
        checkpoint = output.with_name(f"{output.name}.ckpt")
        weights = pretrain(
            recipe, device=choose_device(device), workers=workers, checkpoint=checkpoint, resume=resume,
            report=lambda at: reporter.step(
                "pretraining", f"{100 * at.accuracy:.0f} % accuracy in molecules", at.step, at.steps
            ),
        )  # fmt: skip
        save_pretrained(output, weights, recipe)
        remove_checkpoints(output)
        reporter.end_bar()
        reporter.say(f"{output}: start from it with  network: {{start: {output}}}  in a --config file.")
