"""Validation of few-shot pretraining: F1 of peaks from 1, 5 and 20 clicks, its curve, and the best weights.

Clicks are on one scene and picks in another with different imaging. Both are drawn once, from a seed of their own, with
molecules that occur in no training scene.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from tomopicker.evaluation.metrics import evaluate
from tomopicker.fewshot.extraction import two_levels
from tomopicker.models.precision import autocast
from tomopicker.models.resunet import ResUNet
from tomopicker.picking.local_maxima import local_peaks
from tomopicker.pretraining.episodes import Neighbours, draw_cast_scene, draw_clicked, make_episode
from tomopicker.pretraining.look_alikes import Families, draw_cast
from tomopicker.pretraining.scenes import Scene
from tomopicker.pretraining.solver import Solver
from tomopicker.types import Positions, Volume

CLICKS = (1, 5, 20)
TARGET_FRACTION = 0.5
"""Fraction of the molecules tried that are the target: twenty to click, and more to find."""
PARTICLE_RADIUS = 6.0
"""In working voxels."""
MIN_DISTANCE, SMOOTHING = 1.4 * PARTICLE_RADIUS, 0.2 * PARTICLE_RADIUS
"""Settings of the peaks, as in picking."""
TOLERANCE = 5.0
"""Maximum distance between a pick and a particle, in working voxels."""

BEST_PREFIX = "best."
"""Prefix of the best weights in a checkpoint."""

Features = Float[Tensor, "rows channels"]
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Trial:
    """Clicks on a target in one scene, to be found in another.

    Parameters
    ----------
    scenes : tuple of two Scene
        The clicked and the evaluated one.
    at_clicks : tuple of Neighbours
        One for each number of `CLICKS`, nested.
    truth : array, shape (copies, 3)
        (x, y, z) in voxels of the second scene.
    """

    scenes: tuple[Scene, Scene]
    at_clicks: tuple[Neighbours, ...]
    truth: Positions


@dataclass(frozen=True)
class FewShotF1:
    """Mean best F1 over trials, by number of clicks.

    Parameters
    ----------
    by_clicks : tuple of float
        In the order of `CLICKS`.
    """

    by_clicks: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the numbers of clicks, which is maximised."""
        return float(np.mean(self.by_clicks))

    def __str__(self) -> str:
        numbers = ", ".join(f"{value:.3f}" for value in self.by_clicks)
        return f"F1 with {', '.join(map(str, CLICKS))} clicks {numbers}"


def draw_trials(families: Families, count: int, seed: int) -> list[Trial]:
    """Draw trials, each of one target with enough copies to click; the same for the same seed."""
    trials: list[Trial] = []
    rng = np.random.default_rng(seed)
    while len(trials) < count:
        cast = draw_cast(families, 1, TARGET_FRACTION, rng)
        target = int(cast.targets[0])
        scenes = draw_cast_scene(families, cast, rng), draw_cast_scene(families, cast, rng)
        clicked = draw_clicked(scenes[0], target, CLICKS[-1], rng)
        truth = scenes[1].positions[scenes[1].classes == target]
        if len(clicked) < CLICKS[-1] or not len(truth):
            continue
        at_clicks = tuple(make_episode(scenes, target, clicked[:n], rng).at_clicks for n in CLICKS)
        trials.append(Trial(scenes, at_clicks, truth[:, ::-1].astype(np.float64)))
    return trials


def few_shot_f1(network: ResUNet, solver: Solver, trials: Sequence[Trial], device: torch.device) -> FewShotF1:
    """Measure the best F1 of each trial's peaks, without changing the network.

    Batch normalisation uses the statistics of the scene, as it uses those of a tomogram in picking.
    """
    network = copy.deepcopy(network).train()
    rows = []
    with torch.no_grad():
        for trial in trials:
            clicked, evaluated = (scene_features(network, scene.volume, device) for scene in trial.scenes)
            scores = [solver.scores(evaluated, mean_feature(clicked, clicks)) for clicks in trial.at_clicks]
            rows.append([best_f1(score_volume(volume), trial.truth) for volume in scores])
    return FewShotF1(tuple(np.mean(rows, axis=0).tolist()))


def scene_features(network: ResUNet, volume: Volume, device: torch.device) -> Features:
    """Return the features of a scene, one row per feature voxel, with batch normalisation as set in the network."""
    patch = torch.from_numpy(volume)[None, None].to(device).contiguous(memory_format=torch.channels_last_3d)
    with autocast("auto", device):
        features = two_levels(network, patch)
    return features[0].float().flatten(1).T


def mean_feature(features: Features, clicks: Neighbours) -> Float[Tensor, " channels"]:
    """Return the mean feature at clicks."""
    rows, weights = (torch.from_numpy(array).to(features.device) for array in (clicks.rows, clicks.weights))
    return weights.to(features.dtype) @ features[rows]


def score_volume(scores: Float[Tensor, " rows"]) -> Volume:
    """Interpolate the scores of a cubic scene to its full resolution, as `FeatureMap.volume_of` does."""
    half = round(len(scores) ** (1 / 3))
    grid = scores.float().reshape(1, 1, half, half, half)
    volume = functional.interpolate(grid, scale_factor=2, mode="trilinear", align_corners=False)
    return np.asarray(volume[0, 0].cpu())


def best_f1(scores: Volume, truth: Positions) -> float:
    """Return the best F1 of the peaks of a score volume, matched one-to-one; the truth is (x, y, z) in voxels."""
    peaks = local_peaks(scores, min_distance=MIN_DISTANCE, threshold=float("-inf"), smoothing=SMOOTHING)
    return float(evaluate(peaks.positions_voxels, peaks.scores, truth, TOLERANCE).best_f1 or 0.0)


@dataclass(frozen=True)
class CurvePoint:
    """A point of the validation curve.

    Parameters
    ----------
    step : int
    f1 : FewShotF1
    loss : float or None
        Mean over the steps since the previous point; None before the first step.
    shrinkage : float
        λ, as learned so far.
    """

    step: int
    f1: FewShotF1
    loss: float | None
    shrinkage: float

    def line(self, is_best: bool) -> str:
        """Describe the point in one line."""
        loss = "" if self.loss is None else f"; loss {self.loss:.3f}, shrinkage {self.shrinkage:.4f}"
        return f"step {self.step}: {self.f1}{loss}{' (best)' if is_best else ''}"


@dataclass
class TrainingCurve:
    """The points so far, and the weights, without a head, of the best one.

    Parameters
    ----------
    keep : callable, optional
        Called with this curve when a point is the best so far.
    report : callable, optional
        Called with each point, and whether it is the best so far.
    losses : list of float
        Losses of the steps since the last point.
    """

    keep: Callable[["TrainingCurve"], None] | None = None
    report: Callable[[CurvePoint, bool], None] | None = None
    losses: list[float] = field(default_factory=list)
    points: list[CurvePoint] = field(default_factory=list)
    weights: Weights = field(default_factory=dict)

    @property
    def best(self) -> CurvePoint:
        """The point with the highest mean F1; of equals, the first."""
        return max(self.points, key=lambda point: point.f1.mean)

    def add(self, step: int, f1: FewShotF1, shrinkage: float, weights: Mapping[str, Tensor]) -> None:
        """Add a point after a step, and keep a copy of its weights if it is the best."""
        point = CurvePoint(step, f1, float(np.mean(self.losses)) if self.losses else None, shrinkage)
        self.losses.clear()
        self.points.append(point)
        is_best = self.best is point
        if is_best:
            self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        if self.report:
            self.report(point, is_best)
        if is_best and self.keep:
            self.keep(self)

    def state(self) -> tuple[Weights, dict[str, Any]]:
        """Return tensors and facts for a checkpoint."""
        facts = {"curve": [asdict(point) for point in self.points], "losses": self.losses}
        return {f"{BEST_PREFIX}{name}": value for name, value in self.weights.items()}, facts

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Restore from the tensors and facts of `state`."""
        self.points = [
            CurvePoint(**point | {"f1": FewShotF1(tuple(point["f1"]["by_clicks"]))}) for point in facts["curve"]
        ]
        self.losses = list(facts["losses"])
        prefixed = {name: value for name, value in tensors.items() if name.startswith(BEST_PREFIX)}
        self.weights = {name.removeprefix(BEST_PREFIX): value for name, value in prefixed.items()}
