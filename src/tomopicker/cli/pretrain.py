"""``tomopicker pretrain``: weights to start every training from, learned on random molecules."""

from pathlib import Path
from typing import Annotated

import typer

from tomopicker.cli.options import MORE

HELP = """Make weights to start from, by learning to tell random molecules apart. You do not need this.

The program brings such weights along. Make your own to go on for longer.

[bold]Examples[/bold]

  [cyan]tomopicker pretrain start.safetensors[/cyan]
  [cyan]tomopicker pretrain start.safetensors --steps 20000 --kinds 400 --device cuda --workers 8[/cyan]
  [cyan]tomopicker pretrain start.safetensors --start shipped --seed 1[/cyan]

then, in a settings file for [cyan]tomopicker train --config[/cyan]:  network: {start: start.safetensors}

Nothing is read: molecules that exist nowhere are drawn (lumps, lobes, shells, barrels, rings), put among membranes and
a crowd, imaged at a random defocus behind a random missing wedge, and named by the network. About half a second a step
on a CPU core."""


def command(
    output: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="File to write.", show_default=False)],
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Training steps, a scene of 72³ voxels each.")] = 5000,
    kinds: Annotated[int, typer.Option(min=2, metavar="N", help="Random molecules to tell apart.")] = 150,
    seed: Annotated[int, typer.Option(min=0, help="Of the molecules, the scenes and the first weights.")] = 0,
    start: Annotated[
        str,
        typer.Option(metavar="FILE", help="Weights to go on from: scratch, shipped, or a file made by this command."),
    ] = "scratch",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps.  [dim]\\[default: the best there is][/dim]")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, metavar="N", help="Processes that draw scenes.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the file, or start anew where an interrupted run left a checkpoint.",
            rich_help_panel=MORE,
        ),
    ] = False,
) -> None:
    """Parse, pretrain, write."""
    from tomopicker.cli.inputs import check_writable
    from tomopicker.cli.interrupt import interruptible
    from tomopicker.cli.progress import Reporter
    from tomopicker.cli.resume import discard_checkpoints, how_to_go_on, is_finished, remove_checkpoints

    with Reporter() as reporter, interruptible(lambda: how_to_go_on(output)):
        if is_finished(output, reporter, resume=resume, overwrite=overwrite):
            return
        check_writable(output.parent)
        from tomopicker.engine.precision import choose_device
        from tomopicker.pretraining.train import Recipe, pretrain, save_pretrained

        if not resume:
            discard_checkpoints(output, reporter)
        recipe = Recipe(steps=steps, classes=kinds, seed=seed, start=start)
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
