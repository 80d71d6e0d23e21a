"""``tomopicker pretrain``: initial weights for every training, learned on random molecules."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tomopicker.cli.options import Device, Resume, Seed, StartAnew, option, switch
from tomopicker.cli.progress import Reporter
from tomopicker.files import check_writable

if TYPE_CHECKING:
    import torch


HELP = """Pretrain initial weights on random molecules. Not needed: the program ships with such weights.

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
step on a CPU core."""


def command(
    output: Annotated[Path, option("File of weights to write.", "--output", "-o", unit="WEIGHTS")],
    episodes: Annotated[bool, switch("Train in few-shot episodes, for instant picks.", "--episodes")] = False,
    steps: Annotated[
        int, option("Training steps, a scene of 72³ voxels each; two with --episodes.", unit="N", min=1)
    ] = 5000,
    classes: Annotated[
        int, option("Random molecules; with --episodes each has a sub-complex as well.", unit="N", min=2, max=100_000)
    ] = 150,
    pretrained: Annotated[
        str | None,
        option(
            "Initial weights: none, shipped, or a file made by this command.",
            unit="FILE",
            default="none; with --episodes, shipped",
        ),
    ] = None,
    validate_every: Annotated[int, option("Episodes: steps between two validations.", unit="N", min=1)] = 100,
    workers: Annotated[int, option("Processes that draw scenes.", unit="N", min=0)] = 1,
    seed: Seed = 0,
    device: Device = None,
    resume: Resume = False,
    overwrite: StartAnew = False,
) -> None:
    """Parse, pretrain, write."""
    from tomopicker.pipeline.resume import discard_checkpoints, how_to_go_on, is_finished, remove_checkpoints

    with Reporter(lambda: how_to_go_on(output)) as reporter:
        if is_finished(output, reporter, resume=resume, overwrite=overwrite):
            return
        check_writable(output.parent)
        from tomopicker.models.precision import choose_device

        if not resume:
            discard_checkpoints(output, reporter)
        job = Job(output, choose_device(device), workers, resume, reporter)
        if episodes:
            _in_episodes(job, steps, classes, seed, pretrained or "shipped", validate_every)
        else:
            _as_classifier(job, steps, classes, seed, pretrained or "none")
        remove_checkpoints(output)
        reporter.end_bar()
        reporter.log(f"{output}: start from it with  network: {{pretrained: {output}}}  in a --config file.")


@dataclass(frozen=True)
class Job:
    """Arguments that both kinds of pretraining share."""

    output: Path
    device: "torch.device"
    workers: int
    resume: bool
    reporter: Reporter

    @property
    def checkpoint(self) -> Path:
        """Beside the output."""
        return self.output.with_name(f"{self.output.name}.ckpt")


def _as_classifier(job: Job, steps: int, classes: int, seed: int, pretrained: str) -> None:
    from tomopicker.pretraining.train import Recipe, pretrain, save_pretrained

    recipe = Recipe(steps=steps, classes=classes, seed=seed, pretrained=pretrained)
    weights = pretrain(
        recipe, device=job.device, workers=job.workers, checkpoint=job.checkpoint, resume=job.resume,
        report=lambda at: job.reporter.step(
            "pretraining", f"{100 * at.accuracy:.0f} % accuracy in molecules", at.step, at.steps
        ),
    )  # fmt: skip
    save_pretrained(job.output, weights, asdict(recipe))


def _in_episodes(job: Job, steps: int, classes: int, seed: int, pretrained: str, validate_every: int) -> None:
    from tomopicker.pretraining.curve import BestWeights, CurvePoint, TrainingCurve
    from tomopicker.pretraining.episodic import EpisodeRecipe, pretrain_episodes
    from tomopicker.pretraining.train import save_pretrained

    recipe = EpisodeRecipe(
        steps=steps, molecules=classes, seed=seed, pretrained=pretrained, validate_every=validate_every
    )

    def keep(best: BestWeights) -> None:
        curve = [asdict(point) for point in best.curve]
        save_pretrained(
            job.output, best.weights, {"episodes": True} | asdict(recipe),
            {"shrinkage": best.point.shrinkage, "step": best.point.step, "validation": curve},
        )  # fmt: skip

    def show(point: CurvePoint, is_best: bool) -> None:
        loss = "" if point.loss is None else f"; loss {point.loss:.3f}, shrinkage {point.shrinkage:.4f}"
        job.reporter.log(f"step {point.step}: {point.f1}{loss}{' (best)' if is_best else ''}")

    best = pretrain_episodes(
        recipe, device=job.device, workers=job.workers, checkpoint=job.checkpoint, resume=job.resume,
        report=lambda step, loss: job.reporter.step("pretraining", f"loss {loss:.3f}", step, steps),
        curve=TrainingCurve(keep, show),
    )  # fmt: skip
    keep(best)
    job.reporter.log(f"Best at step {best.point.step}: {best.point.f1}.")
