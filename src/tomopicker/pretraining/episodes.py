"""Episodes: a few clicks on one kind of molecule in a scene, to be found there and in a scene with different imaging.

As in few-shot classification (Snell, Swersky and Zemel, NeurIPS 2017), each episode poses the task for which the
network will be used. Several kinds of molecules are targets, one per episode, which share the features of two scenes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.spatial import cKDTree

from tomopicker.pretraining.acquisition import draw_volume
from tomopicker.pretraining.look_alikes import Cast, Families, draw_cast
from tomopicker.pretraining.scenes import (
    TARGET_RADIUS,
    Scene,
    add,
    add_background,
    draw_balls,
    draw_layout,
    random_orientation,
)
from tomopicker.training.labels import IGNORED

MAX_CLICKS = 20
MAX_TARGETS = 3
MAX_CLICK_ERROR = 1.5
"""Maximum distance of a click from the centre, in working voxels."""
MARGIN = 6
"""Voxels between clicked centres and the faces: molecules cut by the border are not clicked."""
TARGET_FRACTION = (0.3, 0.6)
"""Fraction of the molecules tried that are targets."""

Labels = Int64[np.ndarray, "half_z half_y half_x"]
Clicks = Float64[np.ndarray, "clicks 3"]


@dataclass(frozen=True)
class Neighbours:
    """The mean feature near clicks, as a weighted sum of rows.

    Parameters
    ----------
    rows : array, shape (terms,)
        Indices into the flattened features of a scene, at half resolution.
    weights : array, shape (terms,)
        They sum to 1.
    """

    rows: Int64[np.ndarray, " terms"]
    weights: Float32[np.ndarray, " terms"]


@dataclass(frozen=True)
class Episode:
    """One target, its clicks and its labels in both scenes.

    Parameters
    ----------
    target : int
        Index of the molecule in the library.
    clicks : array, shape (clicks, 3)
        (z, y, x) in voxels of the first scene.
    at_clicks : Neighbours
    labels : tuple of two arrays, half the scenes' resolution
        1 in a ball around each copy's centre, -1 in the shell around it and around clicked copies, else 0.
    """

    target: int
    clicks: Clicks
    at_clicks: Neighbours
    labels: tuple[Labels, Labels]


@dataclass(frozen=True)
class Episodes:
    """Two scenes of the same kinds with different imaging, and an episode for each target with a copy to click."""

    scenes: tuple[Scene, Scene]
    episodes: tuple[Episode, ...]


def draw_episodes(families: Families, rng: np.random.Generator) -> Episodes:
    """Draw two scenes and one to twenty clicks on copies of each of up to three targets."""
    cast = draw_cast(families, int(rng.integers(1, MAX_TARGETS + 1)), rng.uniform(*TARGET_FRACTION), rng)
    while True:
        scenes = draw_cast_scene(families, cast, rng), draw_cast_scene(families, cast, rng)
        episodes = []
        for target in cast.targets:
            count = int(np.exp(rng.uniform(0, np.log(MAX_CLICKS + 1))))
            clicked = draw_clicked(scenes[0], int(target), count, rng)
            if len(clicked):
                episodes.append(make_episode(scenes, int(target), clicked, rng))
        if episodes:
            return Episodes(scenes, tuple(episodes))


def draw_cast_scene(families: Families, cast: Cast, rng: np.random.Generator) -> Scene:
    """Draw a scene of a cast, membranes and unlabelled background, with imaging of its own."""
    library = families.library
    density, positions, classes = draw_layout(library.radii, cast.kinds, cast.shares, rng)
    gains = dict(zip(cast.kinds.tolist(), cast.gains.tolist(), strict=True))
    for position, molecule in zip(positions, classes.tolist(), strict=True):
        gain = np.float32(gains[molecule] * rng.uniform(0.85, 1.15))
        add(density, random_orientation(library, molecule, rng) * gain, position)
    add_background(density, library, rng)
    return Scene(draw_volume(density, rng), positions, classes)


def draw_clicked(scene: Scene, target: int, count: int, rng: np.random.Generator) -> Int64[np.ndarray, " clicked"]:
    """Draw up to `count` copies to click, away from the faces; return their rows in the scene's positions."""
    last = scene.volume.shape[0] - MARGIN
    inside = ((scene.positions >= MARGIN) & (scene.positions < last)).all(axis=1)
    rows = np.flatnonzero(inside & (scene.classes == target))
    return rng.permutation(rows)[:count]


def make_episode(
    scenes: tuple[Scene, Scene], target: int, clicked: Int64[np.ndarray, " clicked"], rng: np.random.Generator
) -> Episode:
    """Make an episode of a target with clicks on some copies in the first scene, off their centres."""
    error = rng.standard_normal((len(clicked), 3))
    error *= MAX_CLICK_ERROR * rng.random((len(clicked), 1)) / np.linalg.norm(error, axis=1, keepdims=True)
    clicks = scenes[0].positions[clicked] + error
    labels = label_target(scenes[0], target, clicked), label_target(scenes[1], target, np.empty(0, np.int64))
    return Episode(target, clicks, neighbours(clicks, len(labels[0])), labels)


def label_target(scene: Scene, target: int, clicked: Int64[np.ndarray, " clicked"]) -> Labels:
    """Label a scene at half resolution for one target: 1 at its copies, -1 around them and at clicked ones."""
    labels = np.zeros([edge // 2 for edge in scene.volume.shape], np.int64)
    is_copy = scene.classes == target
    is_unclicked = is_copy.copy()
    is_unclicked[clicked] = False
    for rows, radius, value in ((is_copy, TARGET_RADIUS, IGNORED), (is_unclicked, TARGET_RADIUS / 2, 1)):
        draw_balls(labels, scene.positions[rows], radius, np.full(int(rows.sum()), value))
    return labels


def neighbours(clicks: Clicks, edge: int) -> Neighbours:
    """Return the feature voxels within one feature voxel of the clicks, all clicks having equal weight.

    As in `FeatureMap.at`; the features are a cube with an edge of half the scene's.
    """
    centres = (clicks + 0.5) / 2 - 0.5
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    near = [np.sort(np.atleast_1d(rows)) for rows in cKDTree(grid).query_ball_point(centres, 1.0)]
    weights = [np.full(len(rows), 1 / (len(rows) * len(near)), np.float32) for rows in near]
    return Neighbours(np.concatenate(near).astype(np.int64), np.concatenate(weights))
