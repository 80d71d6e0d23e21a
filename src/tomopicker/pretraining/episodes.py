"""Episodes: a few clicks on one kind of molecule in a scene, to be found there and under another microscope.

As in few-shot classification (Snell, Swersky and Zemel, NeurIPS 2017), each episode is the task that the network is
for. Several kinds of a scene are targets, one an episode, so that the features of two scenes serve all of them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.spatial import cKDTree

from tomopicker.pretraining.acquisition import draw_volume
from tomopicker.pretraining.look_alikes import Cast, Families, draw_cast
from tomopicker.pretraining.scenes import (
    EDGE,
    TARGET_RADIUS,
    Scene,
    add,
    add_background,
    add_membrane,
    draw_balls,
    place_molecules,
    random_orientation,
)
from tomopicker.training.labels import IGNORED

MAX_CLICKS = 20
MAX_TARGETS = 3
OFF_VOXELS = 1.5
"""Distance of a click from the centre is at most about this, in working voxels."""
MARGIN = 6
"""Voxels between a clicked centre and the faces: molecules cut by the border are not clicked."""
SHARE = (0.3, 0.6)
"""Of the molecules tried, those that are targets."""

Labels = Int64[np.ndarray, "half_z half_y half_x"]
Clicks = Float64[np.ndarray, "clicks 3"]


@dataclass(frozen=True)
class Neighbours:
    """The mean of rows of features about some places, as a weighted sum.

    Parameters
    ----------
    rows : array, shape (terms,)
        Of the features of a scene at half resolution, flattened.
    weights : array, shape (terms,)
        Of 1 in all.
    """

    rows: Int64[np.ndarray, " terms"]
    weights: Float32[np.ndarray, " terms"]


@dataclass(frozen=True)
class Episode:
    """One target, its clicks and its labels in both scenes.

    Parameters
    ----------
    target : int
        Its molecule in the library.
    clicks : array, shape (clicks, 3)
        (z, y, x) in voxels of the first scene.
    at_clicks : Neighbours
    labels : tuple of two arrays, half the scenes' resolution
        1 in a ball about the centre of a copy, -1 in the shell around and about clicked copies, else 0.
    """

    target: int
    clicks: Clicks
    at_clicks: Neighbours
    labels: tuple[Labels, Labels]


@dataclass(frozen=True)
class Episodes:
    """Two scenes of the same kinds under two microscopes, and an episode for each target with a copy to click."""

    scenes: tuple[Scene, Scene]
    episodes: tuple[Episode, ...]


def draw_episodes(families: Families, rng: np.random.Generator) -> Episodes:
    """Draw two scenes and click one to twenty copies of each of up to three targets."""
    cast = draw_cast(families, int(rng.integers(1, MAX_TARGETS + 1)), rng.uniform(*SHARE), rng)
    while True:
        scenes = draw_cast_scene(families, cast, rng), draw_cast_scene(families, cast, rng)
        episodes = []
        for target in cast.targets:
            count = int(np.exp(rng.uniform(0, np.log(MAX_CLICKS + 1))))
            clicked = draw_clicked(scenes[0], int(target), count, rng)
            if len(clicked):
                episodes.append(episode_of(scenes, int(target), clicked, rng))
        if episodes:
            return Episodes(scenes, tuple(episodes))


def draw_cast_scene(families: Families, cast: Cast, rng: np.random.Generator) -> Scene:
    """Draw a scene of a cast, membranes and unlabelled background under a microscope of its own."""
    library = families.library
    density = np.zeros((EDGE, EDGE, EDGE), np.float32)
    taken = np.zeros(density.shape, bool)
    for _ in range(rng.poisson(0.8)):
        taken |= add_membrane(density, rng)
    positions, classes = place_molecules(library.radii, cast.kinds, cast.shares, taken, rng)
    gains = dict(zip(cast.kinds.tolist(), cast.gains.tolist(), strict=True))
    for position, molecule in zip(positions, classes.tolist(), strict=True):
        gain = np.float32(gains[molecule] * rng.uniform(0.85, 1.15))
        add(density, random_orientation(library, molecule, rng) * gain, position)
    add_background(density, library, rng)
    return Scene(draw_volume(density, rng), positions, classes)


def draw_clicked(scene: Scene, target: int, count: int, rng: np.random.Generator) -> Int64[np.ndarray, " clicked"]:
    """Draw the copies that are clicked, away from the faces, at most so many; their rows of the scene's positions."""
    last = scene.volume.shape[0] - MARGIN
    inside = ((scene.positions >= MARGIN) & (scene.positions < last)).all(axis=1)
    rows = np.flatnonzero(inside & (scene.classes == target))
    return rng.permutation(rows)[:count]


def episode_of(
    scenes: tuple[Scene, Scene], target: int, clicked: Int64[np.ndarray, " clicked"], rng: np.random.Generator
) -> Episode:
    """Make an episode of a target, some copies of which are clicked in the first scene, each a little off."""
    off = rng.standard_normal((len(clicked), 3))
    off *= OFF_VOXELS * rng.random((len(clicked), 1)) / np.linalg.norm(off, axis=1, keepdims=True)
    clicks = scenes[0].positions[clicked] + off
    nothing = np.empty(0, np.int64)
    labels = labels_of(scenes[0], target, clicked), labels_of(scenes[1], target, nothing)
    return Episode(target, clicks, neighbours(clicks, len(labels[0])), labels)


def labels_of(scene: Scene, target: int, clicked: Int64[np.ndarray, " clicked"]) -> Labels:
    """Label a scene at half resolution for one target: 1 about its copies, -1 around them and about clicked ones."""
    half = len(scene.volume) // 2
    labels = np.zeros((half, half, half), np.int64)
    copies = scene.classes == target
    left = copies.copy()
    left[clicked] = False
    for rows, radius, value in ((copies, TARGET_RADIUS, IGNORED), (left, TARGET_RADIUS / 2, 1)):
        draw_balls(labels, scene.positions[rows], radius, np.full(int(rows.sum()), value))
    return labels


def neighbours(clicks: Clicks, half: int) -> Neighbours:
    """Return the feature voxels within one feature voxel of each click; each click weighs the same.

    As `FeatureMap.at` takes them; a scene of 2·half voxels has half feature voxels along an edge.
    """
    centres = (clicks + 0.5) / 2 - 0.5
    grid = np.stack(np.meshgrid(*[np.arange(half)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    near = [np.sort(np.atleast_1d(found)) for found in cKDTree(grid).query_ball_point(centres, 1.0)]
    rows = np.concatenate(near).astype(np.int64)
    weights = np.concatenate([np.full(len(found), 1 / (len(found) * len(near)), np.float32) for found in near])
    return Neighbours(rows, weights)
