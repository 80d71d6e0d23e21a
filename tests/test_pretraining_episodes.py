"""Pretraining in episodes: solver, labels, variety of scenes, validation, resuming."""

import signal
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.interruption import signal_in_step
from tomopicker import api
from tomopicker.cli.app import run
from tomopicker.config import Network, resolve
from tomopicker.fewshot.discriminant import Statistics, discriminant
from tomopicker.fewshot.feature_map import FeatureMap
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.models.resunet import ResUNet
from tomopicker.pretraining import validation
from tomopicker.pretraining.acquisition import (
    draw_microscope,
    draw_volume,
    noise_factor,
    non_local_means,
    wiener,
)
from tomopicker.pretraining.episodes import (
    MARGIN,
    MAX_CLICK_ERROR,
    draw_episodes,
    label_target,
    make_episode,
    neighbours,
)
from tomopicker.pretraining.episodic import FewShotNetwork, pretrain_episodes
from tomopicker.pretraining.look_alikes import MASS_FRACTION, draw_cast, draw_families, sub_complex
from tomopicker.pretraining.molecules import random_molecule
from tomopicker.pretraining.recipe import EpisodeRecipe
from tomopicker.pretraining.run import save_pretrained
from tomopicker.pretraining.scenes import Scene
from tomopicker.pretraining.solver import Solver, solve
from tomopicker.pretraining.validation import (
    FewShotF1,
    TrainingCurve,
    Trial,
    best_f1,
    draw_trials,
    few_shot_f1,
    mean_feature,
    score_volume,
)
from tomopicker.simulation.projection import sirt_response
from tomopicker.tomogram import Tomogram
from tomopicker.training.checkpoint import CHECKPOINT, PRETRAINED, load_tensors
from tomopicker.training.pretrained import load_pretrained, trained_shrinkage

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def families():
    return draw_families(5, 1, seed=3)


@pytest.fixture
def small(monkeypatch):
    """Use a third of the voxels and fewer clicks where results do not depend on the number."""
    for module in ("scenes", "train"):
        monkeypatch.setattr(f"tomopicker.pretraining.{module}.EDGE", 48)
    monkeypatch.setattr(validation, "CLICKS", (1, 2))
    monkeypatch.setattr("tomopicker.pretraining.episodic.VALIDATION_FAMILIES", 2)
    monkeypatch.setattr(
        "tomopicker.pretraining.episodic.draw_families", lambda molecules, _, seed: draw_families(molecules, 1, seed)
    )
    monkeypatch.setattr(
        "tomopicker.pretraining.episodic.draw_trials", lambda families, _, seed: draw_trials(families, 1, seed)
    )


def random_features(rows=60, channels=4, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(rows, channels)) @ rng.normal(size=(channels, channels)) + 1.0)


def test_the_gradient_of_the_solver_is_that_of_finite_differences():
    features = random_features(25).requires_grad_()
    clicked = (features.detach()[:2].mean(dim=0) + 1.5).requires_grad_()
    shrinkage = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(solve, (features, clicked, shrinkage), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("shrinkage", [0.03, 0.5])
def test_the_solver_is_the_discriminant_of_instant_picks(shrinkage):
    features = random_features(500, 6)
    clicks = features[:3] + 2.0
    rows = features.numpy()
    statistics = Statistics(rows.mean(axis=0), np.cov(rows.T, bias=True), rows, shrinkage)
    line = discriminant(statistics, clicks.numpy(), np.empty((0, 6)))
    weights, bias = solve(features, clicks.mean(dim=0), torch.tensor(shrinkage, dtype=torch.float64))
    np.testing.assert_allclose(weights, line.weights, rtol=1e-9)
    assert float(bias) == pytest.approx(line.bias, rel=1e-9)


def test_features_at_clicks_are_those_of_a_feature_map():
    features = torch.from_numpy(np.random.default_rng(2).normal(size=(8**3, 3)))
    clicks = np.array([[6.2, 7.0, 9.4], [0.0, 15.0, 3.3]])
    one = FeatureMap(features, np.ones((8, 8, 8), bool), (16, 16, 16), 2)
    expected = one.at(clicks[:, ::-1]).mean(axis=0)
    np.testing.assert_allclose(mean_feature(features, neighbours(clicks, 8)), expected, rtol=1e-6)


def test_the_loss_by_hand():
    solver = Solver()
    with torch.no_grad():
        solver.log_scale.fill_(np.log(2.0))
        solver.bias.fill_(-1.0)
    loss = solver.loss(torch.tensor([1.0, 0.0, 3.0, 0.5, 9.0]), torch.tensor([1, 1, 0, 0, -1]))
    positive = np.log1p(np.exp(-1.0)) + np.log1p(np.exp(1.0))
    negative = np.log1p(np.exp(5.0)) + np.log1p(np.exp(0.0))
    assert float(loss.detach()) == pytest.approx((positive + negative) / 2, rel=1e-5)
    only = solver.loss(torch.tensor([3.0, 0.5]), torch.tensor([0, 0]))  # No copy: every peak is false.
    assert float(only.detach()) == pytest.approx(negative, rel=1e-5)


def test_labels_of_an_episode_by_hand():
    positions = np.array([[12, 12, 12], [12, 12, 28], [28, 28, 28]])
    scene = Scene(np.zeros((40, 40, 40), np.float32), positions, np.array([7, 7, 4]))
    labels = label_target(scene, 7, np.array([1]))
    grid = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), axis=-1)
    left, clicked = (np.linalg.norm(grid - ((where + 0.5) / 2 - 0.5), axis=-1) for where in positions[:2])
    expected = np.where((left <= 3) | (clicked <= 3), -1, 0)
    expected[left <= 1.5] = 1
    np.testing.assert_array_equal(labels, expected)
    assert labels[14, 14, 14] == 0  # Other molecules are negatives.


def test_clicks_are_a_little_off_and_only_some_copies_are_clicked():
    rng = np.random.default_rng(4)
    positions = rng.integers(MARGIN, 48 - MARGIN, (6, 3))
    scene = Scene(np.zeros((48, 48, 48), np.float32), positions, np.zeros(6, int))
    episode = make_episode((scene, scene), 0, np.array([5, 2]), rng)
    off = np.linalg.norm(episode.clicks - positions[[5, 2]], axis=1)
    assert ((off > 0) & (off <= MAX_CLICK_ERROR)).all()
    assert episode.at_clicks.weights.sum() == pytest.approx(1)
    assert (episode.labels[1] == 1).sum() > (episode.labels[0] == 1).sum() > 0


@pytest.mark.usefixtures("small")
def test_episodes_are_the_same_for_the_same_seed_and_their_scenes_are_not_alike(families):
    one, two = (draw_episodes(families, np.random.default_rng(1)) for _ in range(2))
    for here, there in zip(one.scenes, two.scenes, strict=True):
        np.testing.assert_array_equal(here.volume, there.volume)
    assert [each.target for each in one.episodes] == [each.target for each in two.episodes]
    first, second = one.scenes
    assert not np.array_equal(first.volume, second.volume)
    for scene in one.scenes:
        assert abs(scene.volume.mean()) < 1e-3
        assert scene.volume.std() == pytest.approx(1, abs=1e-3)
    for episode in one.episodes:
        assert episode.target in first.classes
        assert len(episode.clicks) >= 1


def test_look_alikes_are_parts_and_twins_by_mass(families):
    rng = np.random.default_rng(5)
    whole = random_molecule(rng)
    part = sub_complex(whole, rng)
    assert MASS_FRACTION[0] - 0.05 < part.sum() / whole.sum() < MASS_FRACTION[1] + 0.05 or part.sum() > 290
    np.testing.assert_allclose(ndimage.center_of_mass(part), 27.5, atol=0.1)
    assert (families.masses[1::2] < families.masses[::2]).all()
    twin, gain = families.twin(2)
    assert twin // 2 != 1
    others = [index for index in range(10) if index // 2 != 1]
    assert twin == min(others, key=lambda index: abs(np.log(families.masses[index] / families.masses[2])))
    cast = draw_cast(families, 2, 0.4, rng)
    assert cast.shares.sum() == pytest.approx(1)
    for target in cast.targets:
        assert {target, target ^ 1, families.twin(int(target))[0]} <= set(cast.kinds)
    assert gain == pytest.approx(np.clip(families.masses[2] / families.masses[twin], 0.6, 1.6))


def test_every_microscope_leaves_protein_dark_and_the_wedge_empty():
    ball = np.zeros((32, 32, 32), np.float32)
    ball[13:19, 13:19, 13:19] = 1
    means = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        imaging = draw_microscope(32, 15.0, 1500.0, 100.0, rng)
        assert not imaging.wedge[1:, 0, 0].any()
        assert 0.2 < (imaging.wedge > 0).mean() < 0.8
        assert imaging.image(ball)[15:17, 15:17, 15:17].mean() < 0
        means.append(draw_volume(ball, rng)[15:17, 15:17, 15:17].mean())
    assert np.mean(means) < -1


def test_reconstruction_and_noise_by_hand():
    k = np.array([[[0.01, 0.1, 0.5]]])
    np.testing.assert_allclose(sirt_response(k * 20.0, 1), [[[1, 0.5, 0.1]]])
    np.testing.assert_allclose(sirt_response(k * 20.0, 3), [[[1, 0.875, 1 - 0.9**3]]])
    assert noise_factor(1500.0, 120.0) == 1
    assert noise_factor(1500.0, 30.0) == pytest.approx(2)
    assert noise_factor(1500.0 + 3100.0, 120.0) == pytest.approx(np.exp(0.5))


def test_denoising_by_hand():
    rng = np.random.default_rng(6)
    volume = rng.normal(size=(8, 8, 8)).astype(np.float32)
    contrast = np.full((8, 8, 5), -0.5, np.float32)
    flat = wiener(volume, contrast, 4.0, 0.0)  # c / (c² + 1/SNR) = 0.5 / (0.25 + 0.25), of a CTF that is -0.5.
    np.testing.assert_allclose(flat, volume, atol=1e-5)
    step = np.zeros((12, 12, 12), np.float32)
    step[6:] = 20
    noisy = step + rng.normal(size=step.shape).astype(np.float32)
    smooth = non_local_means(noisy, 1.0)
    assert np.abs(smooth[2:4] - step[2:4]).mean() < 0.6 * np.abs(noisy[2:4] - step[2:4]).mean()
    assert smooth[6:].mean() - smooth[:6].mean() > 19.5  # The edge is preserved.
    np.testing.assert_allclose(non_local_means(step, 1.0), step, atol=1e-4)


def test_best_f1_of_a_score_volume_by_hand():
    grid = np.zeros((20, 20, 20), np.float32)
    for (z, y, x), height in {(4, 4, 4): 9.0, (14, 4, 4): 8.0, (4, 14, 14): 7.0, (14, 14, 14): 6.0}.items():
        grid[z, y, x] = height
    scores = score_volume(torch.from_numpy(ndimage.gaussian_filter(grid, 1.0)).flatten())
    assert scores.shape == (40, 40, 40)
    centres = {place: 2 * np.array(place[::-1]) + 0.5 for place in ((4, 4, 4), (14, 4, 4), (4, 14, 14), (14, 14, 14))}
    # The second best pick is false and one particle is missed: the best threshold keeps four picks, 2·3 / (4 + 4).
    truth = np.stack([centres[4, 4, 4], centres[4, 14, 14], centres[14, 14, 14], [20.0, 20.0, 2.0]])
    assert best_f1(scores, truth) == pytest.approx(6 / 8)
    assert best_f1(scores, truth[:1]) == 1


def test_few_shot_f1_is_the_mean_over_trials_and_changes_nothing(monkeypatch):
    network = FewShotNetwork()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scene = Scene(np.zeros((16, 16, 16), np.float32), np.empty((0, 3), int), np.empty(0, int))
    near = neighbours(np.array([[8.0, 8.0, 8.0]]), 8)
    trials = [Trial((scene, scene), (near, near, near), np.full((1, 3), float(number))) for number in range(2)]
    found = iter([0.2, 0.4, 0.6, 0.4, 0.8, 1.0])
    monkeypatch.setattr(validation, "best_f1", lambda _, truth: next(found))
    f1 = few_shot_f1(network.trunk, network.solver, trials, CPU)
    assert f1.by_clicks == pytest.approx((0.3, 0.6, 0.8))
    assert f1.mean == pytest.approx(1.7 / 3)
    assert str(f1) == "F1 with 1, 5, 20 clicks 0.300, 0.600, 0.800"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.usefixtures("small")
def test_trials_have_the_clicks_and_something_to_find(families):
    (trial,) = draw_trials(families, 1, seed=9)
    fewer, more = (set(near.rows.tolist()) for near in trial.at_clicks)
    assert len(fewer) < len(more)
    copies = {tuple(place) for place in trial.truth[:, ::-1].tolist()}
    assert len(copies) >= 1
    scene = trial.scenes[1]
    (target,) = {int(scene.classes[row]) for row, place in enumerate(scene.positions) if tuple(place) in copies}
    assert (scene.classes == target).sum() == len(copies)


def test_the_weights_of_the_best_point_are_kept():
    kept, points = [], []
    curve = TrainingCurve(
        lambda best: kept.append(float(best.weights["w"])), lambda point, best: points.append((point.step, best))
    )
    for step, value in enumerate((0.5, 0.7, 0.7, 0.6)):
        curve.losses.append(float(step))
        curve.add(step, FewShotF1((value, value)), 0.03 * (step + 1), {"w": torch.tensor(float(step))})
    assert points == [(0, True), (1, True), (2, False), (3, False)]
    assert kept == [0, 1]
    assert (curve.best.step, curve.best.shrinkage, len(curve.points)) == (1, 0.06, 4)
    again = TrainingCurve()
    again.restore(*curve.state())
    assert (again.points, again.best, again.weights) == (curve.points, curve.best, curve.weights)


@pytest.mark.usefixtures("small")
def test_interrupted_and_resumed_ends_where_it_would_have(tmp_path, monkeypatch):
    monkeypatch.setattr("tomopicker.pretraining.episodic.Network", partial(Network, channels=(4, 6, 8)))
    recipe = EpisodeRecipe(steps=4, molecules=2, orientations=1, seed=1, validate_every=2, trials=1, pretrained="none")
    whole = pretrain_episodes(recipe, device=CPU)
    checkpoint = tmp_path / "w.ckpt"
    with pytest.MonkeyPatch.context() as patch:
        signal_in_step(patch, 3, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            pretrain_episodes(recipe, device=CPU, checkpoint=checkpoint)
    assert load_tensors(checkpoint, CHECKPOINT)[1]["step"] == 3
    resumed = pretrain_episodes(recipe, device=CPU, checkpoint=checkpoint, resume=True)
    assert [point.step for point in resumed.points] == [0, 2, 4]
    assert resumed.points == whole.points
    assert whole.points[1].loss != whole.points[2].loss
    for name, value in whole.weights.items():
        assert torch.equal(value, resumed.weights[name]), name


@pytest.mark.usefixtures("small")
def test_the_command_writes_weights_to_start_from(tmp_path, capsys):
    path = tmp_path / "few.safetensors"
    arguments = ["pretrain", "--episodes", "--output", str(path), "--steps", "1", "--classes", "2", "--workers", "0"]
    assert run([*arguments, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "step 0: F1 with" in printed
    assert "step 1: F1 with" in printed
    _, facts = load_tensors(path, PRETRAINED)
    assert facts["recipe"]["pretrained"] == "shipped"
    assert [point["step"] for point in facts["validation"]] == [0, 1]
    cfg = Network(pretrained=str(path))
    load_pretrained(FewShotNetwork().trunk, cfg)
    assert trained_shrinkage(cfg) == facts["shrinkage"]
    assert not list(tmp_path.glob("*.ckpt"))


def test_instant_picks_use_the_learnt_shrinkage(tmp_path):
    path = tmp_path / "small.safetensors"
    weights = {k: v for k, v in ResUNet(channels=(4, 6, 8), stride=2).state_dict().items() if k[:5] != "head."}
    save_pretrained(path, weights, asdict(EpisodeRecipe()), {"shrinkage": 0.2})
    network = {"channels": (4, 6, 8), "pretrained": str(path)}
    settings = resolve({"preset": "instant", "particle_diameter": 150.0, "network": network})
    data = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float32)
    tomogram = Tomogram("a", data, 12.5)
    for _ in range(2):  # Computed first, then read from the cache.
        features = api.features(tomogram, 150.0, cache=tmp_path, settings=settings, device="cpu", mask="none")
        assert features.statistics.shrinkage == 0.2
    assert trained_shrinkage(Network()) == 0.03
    assert float(DiscriminantNetwork(ResUNet(channels=(4, 6, 8), stride=2)).shrinkage) == 0.03
