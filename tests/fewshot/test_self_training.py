"""Examples from clicks: particles among look-alikes of more contrast, on a grid of features made by hand."""

import numpy as np
import pytest
import torch

from tomopicker.fewshot.discriminant import Discriminant, Statistics, discriminant, statistics_of
from tomopicker.fewshot.feature_map import FeatureMap
from tomopicker.fewshot.self_training import ClickedTomogram, self_train, similarity

CHANNELS, RADIUS, VOXEL = 24, 3.0, 25.0
NONE = np.empty((0, CHANNELS))
PARTICLE = np.eye(CHANNELS)[0] * 6 + np.eye(CHANNELS)[1] * 6
LOOKALIKE = np.eye(CHANNELS)[1] * 12 + np.eye(CHANNELS)[2] * 12


def place(index):
    """Feature voxel (z, y, x) of an object: five apart."""
    return 3 + 5 * (index // 36), 3 + 5 * (index // 6 % 6), 3 + 5 * (index % 6)


@pytest.fixture(scope="module")
def scene():
    """Normal noise; round objects, five voxels wide, whose features vary: 20 particles, 20 look-alikes."""
    rng = np.random.default_rng(0)
    away = np.mgrid[-2:3, -2:3, -2:3]
    profile = np.exp(-np.square(away).sum(axis=0) / 2)[..., None]
    grid = rng.normal(size=(13, 33, 33, CHANNELS), scale=0.8)
    for index in range(40):
        feature = (PARTICLE if index < 20 else LOOKALIKE) + rng.normal(size=CHANNELS)
        z, y, x = place(index)
        grid[z - 2 : z + 3, y - 2 : y + 3, x - 2 : x + 3] += feature * profile
    features = FeatureMap(
        torch.from_numpy(grid.reshape(-1, CHANNELS)).half(), np.ones(grid.shape[:3], bool), (26, 66, 66), 2
    )
    return features, statistics_of(features)


def at(features, indices):
    return features.in_voxels(np.array([place(index) for index in indices], dtype=float)[:, ::-1])


def test_the_cosine_is_the_literal_one():
    rng = np.random.default_rng(3)
    sigma = np.cov(rng.normal(size=(5, 50)) * np.array([[1, 2, 3, 4, 5]]).T)
    statistics = Statistics(rng.normal(size=5), sigma, rng.normal(size=(50, 5)))
    m, f = rng.normal(size=(2, 5))
    line = discriminant(statistics, m[None], np.empty((0, 5)))
    white = np.linalg.cholesky(np.linalg.inv(sigma + 0.03 * np.trace(sigma) / 5 * np.eye(5))).T
    a, b = white @ (f - statistics.mean), white @ (m - statistics.mean)
    wanted = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(similarity(line, statistics, f[None]), wanted, rtol=1e-9)
    np.testing.assert_allclose(similarity(Discriminant(line.weights * 7, 3.0), statistics, f[None]), wanted, rtol=1e-9)


def test_one_click_finds_the_others_and_not_the_look_alikes(scene):
    features, statistics = scene
    click = at(features, [0])
    examples = self_train([ClickedTomogram(features, statistics, RADIUS, click, VOXEL)], features.at(click), NONE)
    np.testing.assert_array_equal(examples.particles[:1], features.at(click))
    assert len(examples.particles) == 20, "each particle once, the click included"
    assert (examples.particles[:, 0] > 2).all()
    assert (examples.background[:, 2] > 4).sum() >= 10, "look-alikes are known as background"


def test_clicks_and_rejected_picks_come_first_and_once(scene):
    features, statistics = scene
    click, rejected = at(features, [0]), at(features, [20, 21])
    tomogram = ClickedTomogram(features, statistics, RADIUS, np.concatenate([click, rejected]), VOXEL)
    examples = self_train([tomogram], features.at(click), features.at(rejected))
    np.testing.assert_array_equal(examples.background[:2], features.at(rejected))
    assert len(examples.particles) == 20, "negatives take no particle away"
    for known, added in ((click, examples.particles[1:]), (rejected, examples.background[2:])):
        assert np.abs(added[:, None] - features.at(known)[None]).max(axis=2).min() > 0.5


def test_many_rejected_picks_take_no_particle_away(scene):
    """The refit to them turns away from the particles' mean; what is like the clicks is not measured with it."""
    features, statistics = scene
    click, rejected = at(features, [0]), at(features, range(20, 34))
    tomogram = ClickedTomogram(features, statistics, RADIUS, np.concatenate([click, rejected]), VOXEL)
    examples = self_train([tomogram], features.at(click), features.at(rejected))
    assert len(examples.particles) == 20
    assert (examples.particles[:, 0] > 2).all()


def test_tomograms_that_were_clicked_in_are_searched_together(scene):
    features, statistics = scene
    click = at(features, [0])
    one = ClickedTomogram(features, statistics, RADIUS, click, VOXEL)
    other = ClickedTomogram(features, statistics, RADIUS, np.empty((0, 3)), VOXEL)
    examples = self_train([one, other], features.at(click), NONE)
    assert len(examples.particles) == 40


def test_the_number_of_examples_does_not_grow_with_finer_voxels(scene):
    """A tomogram of small particles has more feature voxels, not more particles."""
    _, statistics = scene

    def most(edge, voxel_size):
        where = np.ones((edge, edge, edge), bool)
        features = FeatureMap(torch.zeros(edge**3, 1).half(), where, (2 * edge,) * 3, 2)
        return ClickedTomogram(features, statistics, RADIUS, np.empty((0, 3)), voxel_size).max_examples

    assert most(40, 27) == 50, "a small tomogram"
    assert most(100, 27) == pytest.approx(333, abs=2), "one for 3,000 feature voxels"
    assert most(100, 13.5) == 50, "an eighth of the volume"
    assert most(100, 50) == most(100, 27), "large particles are no more abundant than small ones"
